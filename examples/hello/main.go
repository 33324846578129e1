// Command hello is the small service that the demo deploys. The same source is
// built in several versions by setting variables at link time:
//
//	go build -ldflags "-X main.version=1.1.0 -X main.behaviour=good" ./examples/hello
//
// It listens on 127.0.0.1:$PORT, greets with $GREETING, logs every request and
// a heartbeat, and ends gracefully on SIGTERM.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// The link-time settings: which version this is, and how it behaves: `good`,
// `crash` (prints two lines and exits 3 at once) or `neverready` (runs, and
// answers its readiness probe with 503 for ever).
var (
	version   = "0.0.0"
	behaviour = "good" //nolint:gochecknoglobals // set by the linker, as version is
)

const (
	// heartbeatEvery is short enough that somebody who follows the log sees
	// life, and long enough not to drown the requests.
	heartbeatEvery = 5 * time.Second
	// drainFor is how long requests under way may take after SIGTERM.
	drainFor = 5 * time.Second
)

func main() {
	logger := log.New(os.Stdout, "", log.Ltime|log.Lmicroseconds)
	logger.Printf("hello %s starting as process %d", version, os.Getpid())

	if behaviour == "crash" {
		fmt.Fprintln(os.Stderr, "fatal: cannot parse DATABASE_URL: missing host")
		os.Exit(3)
	}

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()

	if err := serve(ctx, logger, settings{
		Version:  version,
		Greeting: envOr("GREETING", "Hello"),
		Port:     envOr("PORT", "8090"),
		Ready:    behaviour != "neverready",
	}); err != nil {
		logger.Printf("error: %v", err)
		os.Exit(1)
	}

	logger.Print("stopped")
}

type settings struct {
	Version  string
	Greeting string
	Port     string
	Ready    bool
}

// serve answers until ctx ends, then lets the requests under way finish.
func serve(ctx context.Context, logger *log.Logger, s settings) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", s.Port))
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}

	server := &http.Server{Handler: logged(logger, routes(s)), ReadHeaderTimeout: 5 * time.Second}
	served := make(chan error, 1)

	go func() { served <- server.Serve(listener) }()

	logger.Printf("listening on http://%s", listener.Addr())

	heartbeat := time.NewTicker(heartbeatEvery)
	defer heartbeat.Stop()

	for began := time.Now(); ; {
		select {
		case err := <-served:
			return fmt.Errorf("serve: %w", err)
		case <-heartbeat.C:
			logger.Printf("heartbeat: up for %s", time.Since(began).Round(time.Second))
		case <-ctx.Done():
			logger.Print("asked to stop, draining")

			drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainFor)
			defer cancel()

			err := server.Shutdown(drain)
			if s := <-served; !errors.Is(s, http.ErrServerClosed) {
				err = errors.Join(err, s)
			}

			return err
		}
	}
}

// routes are the endpoints of the version; /greet came with 1.1.0.
func routes(s settings) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "%s from hello %s\n", s.Greeting, s.Version)
	})
	mux.HandleFunc("GET /version", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, s.Version)
	})
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		if !s.Ready {
			http.Error(w, "warming up the cache", http.StatusServiceUnavailable)

			return
		}

		fmt.Fprintln(w, "ok")
	})

	if s.Version != "1.0.0" {
		mux.HandleFunc("GET /greet", func(w http.ResponseWriter, r *http.Request) {
			name := r.URL.Query().Get("name")
			if name == "" {
				name = "stranger"
			}

			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			fmt.Fprintf(w, "%s, %s, from hello %s\n", s.Greeting, name, s.Version) //nolint:gosec // plain text
		})
	}

	return mux
}

// logged writes one line a request.
func logged(logger *log.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		recorder := &statusRecorder{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(recorder, r)
		logger.Printf("%s %s %d %s", r.Method, r.URL.RequestURI(), recorder.status, time.Since(began).Round(time.Microsecond))
	})
}

type statusRecorder struct {
	http.ResponseWriter

	status int
}

func (r *statusRecorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

func envOr(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}

	return otherwise
}
