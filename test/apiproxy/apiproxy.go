// Package apiproxy stands between a client and the API server of a cluster: it
// records what is asked and answered, holds watches back, and can be as silent
// as a cluster that is not reachable.
//
// It listens on loopback without TLS and shows the API server what the client
// shows it, or, where the client shows nothing, what the kubeconfig has.
package apiproxy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/shiplog/shiplog/test/cluster"
)

// Request is one that was answered, or begun to be: a watch is recorded when
// its answer begins.
type Request struct {
	At            time.Time
	Method, Path  string
	Query         url.Values
	Status        int
	Watch, DryRun bool
}

func (r Request) String() string { return fmt.Sprintf("%s %s: %d", r.Method, r.Path, r.Status) }

// Proxy is one that serves.
type Proxy struct {
	// URL is where clients find it.
	URL string

	bearer  string
	forward *httputil.ReverseProxy

	mu       sync.Mutex
	requests []Request
	// all and watches are gates: closed channels let through.
	all, watches chan struct{}
	slow         time.Duration
}

// credentials is what is read of a kubeconfig.
type credentials struct {
	Clusters []struct {
		Cluster struct {
			Server    string
			Authority []byte `json:"certificate-authority-data"`
			Insecure  bool   `json:"insecure-skip-tls-verify"`
		}
	}
	Users []struct {
		User struct {
			Token       string
			Certificate []byte `json:"client-certificate-data"`
			Key         []byte `json:"client-key-data"`
		}
	}
}

// New starts a proxy before the cluster; it ends with the test.
func New(t testing.TB, c *cluster.Cluster) *Proxy {
	t.Helper()

	p, err := start(context.WithoutCancel(t.Context()), c, t.Cleanup)
	if err != nil {
		t.Fatal(err)
	}

	return p
}

// start starts a proxy and hands over what ends it.
func start(ctx context.Context, c *cluster.Cluster, last func(func())) (*Proxy, error) {
	server, transport, bearer, err := upstream(ctx, c)
	if err != nil {
		return nil, err
	}

	p := &Proxy{bearer: bearer, all: shut(), watches: shut()}
	open(p.all)
	open(p.watches)

	p.forward = &httputil.ReverseProxy{
		FlushInterval: -1, // an event of a watch is for now
		Transport:     transport,
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(server) },
		// What the client gave up is no news.
		ErrorHandler:   func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
		ModifyResponse: p.answered,
	}

	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}

	front := &http.Server{Handler: p, ReadHeaderTimeout: time.Minute}
	p.URL = "http://" + listener.Addr().String()

	var serving sync.WaitGroup

	serving.Go(func() { _ = front.Serve(listener) })
	last(func() {
		p.Answer()
		p.ReleaseWatches()
		_ = front.Close()

		serving.Wait()
		transport.CloseIdleConnections()
	})

	return p, nil
}

// upstream reads how the API server is reached.
func upstream(ctx context.Context, c *cluster.Cluster) (*url.URL, *http.Transport, string, error) {
	raw, err := c.Run(ctx, nil, "config", "view", "--raw", "--flatten", "--minify", "--output", "json")
	if err != nil {
		return nil, nil, "", err
	}

	var known credentials
	if err := json.Unmarshal(raw, &known); err != nil {
		return nil, nil, "", fmt.Errorf("read the kubeconfig: %w", err)
	}

	if len(known.Clusters) != 1 || len(known.Users) != 1 {
		return nil, nil, "", errors.New("the kubeconfig has no current cluster and user")
	}

	at, user := known.Clusters[0].Cluster, known.Users[0].User
	settings := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: at.Insecure}

	if len(at.Authority) > 0 {
		settings.RootCAs = x509.NewCertPool()
		settings.RootCAs.AppendCertsFromPEM(at.Authority)
	}

	if len(user.Certificate) > 0 {
		pair, err := tls.X509KeyPair(user.Certificate, user.Key)
		if err != nil {
			return nil, nil, "", fmt.Errorf("the kubeconfig's certificate: %w", err)
		}

		settings.Certificates = []tls.Certificate{pair}
	}

	server, err := url.Parse(at.Server)
	if err != nil {
		return nil, nil, "", fmt.Errorf("the kubeconfig's server: %w", err)
	}

	return server, &http.Transport{TLSClientConfig: settings, MaxIdleConnsPerHost: 100, ForceAttemptHTTP2: true}, user.Token, nil
}

// Kubeconfig writes one that leads here; with a token, that is shown.
func (p *Proxy) Kubeconfig(t testing.TB, token string) string {
	t.Helper()

	user := map[string]any{}
	if token != "" {
		user["token"] = token
	}

	content, err := json.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "Config", "current-context": "proxy",
		"clusters": []any{map[string]any{"name": "proxy", "cluster": map[string]any{"server": p.URL}}},
		"users":    []any{map[string]any{"name": "proxy", "user": user}},
		"contexts": []any{map[string]any{"name": "proxy", "context": map[string]any{"cluster": "proxy", "user": "proxy"}}},
	})
	if err != nil {
		t.Fatal(err)
	}

	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}

	return path
}

// ServeHTTP hands one request on.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !p.pass(r.Context(), func() chan struct{} { return p.all }) {
		return
	}

	if !p.linger(r.Context()) {
		return
	}

	if r.Header.Get("Authorization") == "" && p.bearer != "" {
		r.Header.Set("Authorization", "Bearer "+p.bearer)
	}

	p.forward.ServeHTTP(w, r)
}

// pass waits until a gate is open; false: the client has gone.
func (p *Proxy) pass(ctx context.Context, gate func() chan struct{}) bool {
	for {
		p.mu.Lock()
		open := gate()
		p.mu.Unlock()

		select {
		case <-ctx.Done():
			return false
		case <-open:
		}

		p.mu.Lock()
		same := gate() == open
		p.mu.Unlock()

		if same {
			return true
		}
	}
}

// answered records an answer and puts the gates before its body.
func (p *Proxy) answered(answer *http.Response) error {
	r := answer.Request
	query := r.URL.Query()
	one := Request{
		At: time.Now(), Method: r.Method, Path: r.URL.Path, Query: query, Status: answer.StatusCode,
		Watch: query.Get("watch") == "true" || query.Get("watch") == "1", DryRun: query.Has("dryRun"),
	}

	p.mu.Lock()
	p.requests = append(p.requests, one)
	p.mu.Unlock()

	if answer.StatusCode != http.StatusSwitchingProtocols {
		answer.Body = &gated{ReadCloser: answer.Body, ctx: r.Context(), proxy: p, watch: one.Watch}
	}

	return nil
}
