package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"github.com/shiplog/shiplog/internal/journal"
	"github.com/shiplog/shiplog/internal/store"
	"github.com/shiplog/shiplog/test/bench/dataset"
	"github.com/shiplog/shiplog/test/bench/limit"
)

// serveLimit is the limit as a process of its own, so that its CPU time can be
// told from the others'.
func serveLimit(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("limit", flag.ContinueOnError)
	database := flags.String("database", "", "sqlite:PATH or postgres://…")

	if err := flags.Parse(args); err != nil {
		return err
	}

	h, err := limit.New(ctx, *database)
	if err != nil {
		return err
	}

	return errors.Join(serveUntil(ctx, h), h.Close())
}

// serveFan is the limit of showing a log: it starts the producer and shows
// what that prints.
func serveFan(ctx context.Context, args []string) (err error) {
	flags := flag.NewFlagSet("fan", flag.ContinueOnError)
	path := flags.String("producer", "", "the built test/bench/produce")

	if err := flags.Parse(args); err != nil {
		return err
	}

	port, err := freePort()
	if err != nil {
		return err
	}

	where := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	producer := exec.CommandContext(ctx, *path)
	producer.Env, producer.Stderr = append(os.Environ(), "PORT="+strconv.Itoa(port)), os.Stderr
	producer.Cancel = func() error { return producer.Process.Signal(syscall.SIGTERM) }

	lines, err := producer.StdoutPipe()
	if err != nil {
		return err
	}

	if err := producer.Start(); err != nil {
		return err
	}

	fan, shown := limit.NewFan(), make(chan error, 1)

	go func() { shown <- fan.Run(ctx, lines) }()

	mux := http.NewServeMux()
	mux.Handle("/graphql", fan)
	mux.Handle("/produce", httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: where}))

	err = errors.Join(serveUntil(ctx, mux), <-shown)

	if ended := producer.Wait(); ctx.Err() == nil {
		err = errors.Join(err, ended)
	}

	return err
}

// serveUntil serves on a free port, and says where, until ctx ends.
func serveUntil(ctx context.Context, h http.Handler) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}

	s := &http.Server{Handler: h, ReadHeaderTimeout: time.Second}
	stopped := context.AfterFunc(ctx, func() { s.Close() })

	defer stopped()

	fmt.Fprintf(os.Stderr, "serving on http://%s \n", listener.Addr())

	if err := s.Serve(listener); err != nil && ctx.Err() == nil {
		return err
	}

	return nil
}

// fill makes a database of a size and leaves it.
func fill(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("fill", flag.ContinueOnError)
	database := flags.String("database", "", "sqlite:PATH or postgres://…")
	total := flags.Int("deployments", 0, "a history of about so many deployments, with answers of the same size in all")
	full := flags.Bool("full", false, "the full data set instead of the small one")

	if err := flags.Parse(args); err != nil {
		return err
	}

	size := dataset.Small()

	switch {
	case *total > 0:
		size = dataset.Of(*total)
	case *full:
		size = dataset.Full()
	}

	began := time.Now()

	if err := filled(ctx, *database, size); err != nil {
		return err
	}

	fmt.Printf("%s in %s\n", size, time.Since(began).Round(time.Second/10))

	return nil
}

// filled migrates and fills the database.
func filled(ctx context.Context, database string, size dataset.Size) error {
	s, err := store.Open(ctx, store.Config{URL: database, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}

	err = s.Migrate(ctx, func(string, ...any) {})
	if err == nil {
		err = journal.Init(ctx, s)
	}

	if err == nil {
		err = dataset.Fill(ctx, s, size)
	}

	return errors.Join(err, s.Close())
}
