package server

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/go-chi/chi/v5"
)

// readyTimeout bounds how long a database may take to say that it is there.
const readyTimeout = 2 * time.Second

type requestKey struct{}

// requestID is the id of the request of the context, "" outside of one.
func requestID(ctx context.Context) string {
	id, _ := ctx.Value(requestKey{}).(string)

	return id
}

// numbered gives every request an id that the answer tells too.
func numbered(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := rand.Text()
		w.Header().Set("X-Request-ID", id)
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), requestKey{}, id)))
	})
}

// secured sets the headers that every answer has.
func secured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("X-Frame-Options", "DENY")
		next.ServeHTTP(w, r)
	})
}

// bounded ends the waiting for a body that is refused unread: net/http takes
// some of it before it answers. Who reads a body sets its own time.
func bounded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != 0 {
			deadline := time.Now().Add(bodyTimeout)
			if err := http.NewResponseController(w).SetReadDeadline(deadline); err != nil && !errors.Is(err, http.ErrNotSupported) {
				return // The connection is gone.
			}
		}

		next.ServeHTTP(w, r)
	})
}

// handlers are what the routes lead to.
type handlers struct {
	graphql  http.Handler
	graphiql http.Handler
	metrics  http.Handler
	identity identity
	ping     func(ctx context.Context) error
	draining *atomic.Bool
}

func (h handlers) routes() http.Handler {
	router := chi.NewRouter()
	router.Use(numbered, secured, bounded)

	router.With(h.identity.middleware).Handle("/graphql", h.graphql)
	router.Handle("/graphiql", h.graphiql)
	router.Handle("/graphiql/*", h.graphiql)
	router.Handle("/metrics", h.metrics)
	router.Get("/healthz", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, "ok") })
	router.Get("/readyz", h.ready)
	router.Get("/", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/graphiql", http.StatusFound) })

	return router
}

// ready says whether requests should be sent here.
func (h handlers) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
	defer cancel()

	switch {
	case h.draining.Load():
		answer(w, http.StatusServiceUnavailable, "stopping")
	case h.ping(ctx) != nil:
		answer(w, http.StatusServiceUnavailable, "the database cannot be reached")
	default:
		answer(w, http.StatusOK, "ok")
	}
}

func answer(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)

	_ = json.NewEncoder(w).Encode(map[string]string{"status": text}) //nolint:errchkjson // the caller may be gone; there is nobody else to tell
}
