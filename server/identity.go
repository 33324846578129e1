package server

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/gorilla/websocket"

	"github.com/shiplog/shiplog/internal/access"
	"github.com/shiplog/shiplog/internal/fault"
)

// identity tells who calls.
type identity struct {
	dev    bool
	digest [sha256.Size]byte
	token  bool
}

func newIdentity(c Config) identity {
	return identity{dev: c.Dev, token: c.Token != "", digest: sha256.Sum256([]byte(c.Token))}
}

// caller gives who shows this token; "" is none. A token that is not ours is
// refused, never taken for nobody's.
func (i identity) caller(token string) (access.Caller, error) {
	given := sha256.Sum256([]byte(token))

	switch {
	case token == "" && i.dev:
		return access.LocalAdmin(), nil
	case token == "":
		return access.Caller{}, fault.New(fault.Unauthenticated, "who calls is not known: send a token as Authorization: Bearer …")
	case i.token && subtle.ConstantTimeCompare(given[:], i.digest[:]) == 1:
		return access.SettingsAdmin(), nil
	}

	return access.Caller{}, fault.New(fault.Unauthenticated, "this token is not known")
}

func bearer(header string) string {
	token, _ := strings.CutPrefix(header, "Bearer ")

	return strings.TrimSpace(token)
}

// middleware puts the caller into the context. A WebSocket may bring its token
// in connection_init: it is let through and admitted there.
func (i identity) middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if i.dev && !loopback(r.Host) {
			// A page of another site that made its name point here.
			refuse(w, http.StatusForbidden, fault.New(fault.Forbidden, "a server with dev answers to loopback names only"))

			return
		}

		caller, err := i.caller(bearer(r.Header.Get("Authorization")))

		switch {
		case err == nil:
			r = r.WithContext(access.With(r.Context(), caller))
		case !websocket.IsWebSocketUpgrade(r):
			w.Header().Set("WWW-Authenticate", "Bearer")
			refuse(w, http.StatusUnauthorized, fault.New(fault.CodeOf(err), "%s", err))

			return
		}

		next.ServeHTTP(w, r)
	})
}

// admit is the WebSocket's connection_init: its token, else the request's.
func (i identity) admit(ctx context.Context, payload map[string]any, r *http.Request) (context.Context, time.Time, error) {
	token := bearer(r.Header.Get("Authorization"))

	for _, key := range []string{"authorization", "Authorization", "token"} {
		if v, ok := payload[key].(string); ok && v != "" {
			token = bearer(v)
		}
	}

	caller, err := i.caller(token)
	if err != nil {
		return nil, time.Time{}, err
	}

	return access.With(ctx, caller), time.Time{}, nil
}

func callerKey(ctx context.Context) string {
	caller, err := access.From(ctx)
	if err != nil {
		return ""
	}

	return caller.Key()
}

func loopback(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}

	ip := net.ParseIP(strings.Trim(host, "[]"))

	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// refuse answers a request that got no further, in the form of GraphQL.
func refuse(w http.ResponseWriter, status int, refusal *fault.Error) {
	w.Header().Set("Content-Type", "application/graphql-response+json; charset=utf-8")
	w.WriteHeader(status)

	_ = json.NewEncoder(w).Encode(map[string]any{"errors": []any{map[string]any{ //nolint:errchkjson // the caller may be gone; there is nobody else to tell
		"message": refusal.Message, "extensions": map[string]any{"code": refusal.Code},
	}}})
}
