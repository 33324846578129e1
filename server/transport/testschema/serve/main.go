// Command serve serves the test schema on a free loopback port, which it
// prints, until it is told to stop: for the published clients' tests of what no
// setting of Shiplog brings about.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/shiplog/shiplog/internal/fault"
	"github.com/shiplog/shiplog/server/graphiql"
	"github.com/shiplog/shiplog/server/transport"
	"github.com/shiplog/shiplog/server/transport/testschema"
)

func main() {
	if err := run(); err != nil {
		slog.Error("serve the test schema", "error", err)
		os.Exit(1)
	}
}

func run() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()

	config := transport.DefaultExecutorConfig()
	config.Report = func(ctx context.Context, id string, err error) {
		slog.ErrorContext(ctx, "internal error", "request", id, "error", err)
	}

	executor, err := transport.NewExecutor(testschema.New(&testschema.Resolvers{}), config)
	if err != nil {
		return err
	}

	transports := transport.DefaultConfig()
	transports.InitTimeout = time.Second
	transports.Init = admit

	handler, err := transport.New(executor, transports)
	if err != nil {
		return err
	}

	page, err := graphiql.New(graphiql.DefaultConfig())
	if err != nil {
		return err
	}

	mux := http.NewServeMux()
	mux.Handle("/graphql", handler)
	mux.Handle("/graphiql", page)
	mux.Handle("/graphiql/", page)

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}

	fmt.Printf("http://%s\n", listener.Addr())

	server := &http.Server{Handler: mux, ReadHeaderTimeout: time.Second}
	failed := make(chan error, 1)

	go func() { failed <- server.Serve(listener) }()

	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}

	ending, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	if err := handler.Drain(ending); err != nil {
		return err
	}

	return errors.Join(server.Shutdown(ending), ignoreClosed(<-failed))
}

func ignoreClosed(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}

	return err
}

// admit knows three tokens: one that is refused, one that is forbidden and
// one that ends soon.
func admit(ctx context.Context, payload map[string]any, _ *http.Request) (context.Context, time.Time, error) {
	switch payload["token"] {
	case "bad":
		return nil, time.Time{}, fault.New(fault.Unauthenticated, "the token is not known")
	case "forbidden":
		return nil, time.Time{}, fault.New(fault.Forbidden, "the token may not subscribe")
	case "short":
		return ctx, time.Now().Add(300 * time.Millisecond), nil
	default:
		return ctx, time.Time{}, nil
	}
}
