package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	// grace is how long requests and streams get to end at a stop.
	grace = 10 * time.Second
	// adoptEvery is how often processes without their shim are looked for.
	adoptEvery = 10 * time.Second
	// headerTimeout bounds how long a request's header may take.
	headerTimeout = 10 * time.Second
	// bodyTimeout bounds how long a body may take that nobody reads.
	bodyTimeout = 10 * time.Second
	// idleTimeout ends connections that nobody uses.
	idleTimeout = 2 * time.Minute
)

// Run serves until ctx ends, then stops in order: no new requests, streams
// told to come back, work handed over, database closed. Ready is called once,
// with the base URL, when requests are answered. Errors name the setting that
// is wrong.
func Run(ctx context.Context, c Config, ready func(url string)) error {
	c, err := c.withDefaults()
	if err != nil {
		return err
	}

	if err := c.Validate(); err != nil {
		return err
	}

	spareCollections()

	log := slog.New(slog.NewJSONHandler(c.Log, nil))

	listener, err := listen(ctx, c.Listen, silenceOf(c.PingInterval))
	if err != nil {
		return err
	}

	r, err := build(ctx, c, log)
	if err != nil {
		return errors.Join(err, listener.Close())
	}

	err = r.serve(ctx, listener, ready)
	r.clusters.Close()
	r.images.Close()

	return errors.Join(err, r.store.Close())
}

// Migrate brings the database up to date and says on out what it did.
func Migrate(ctx context.Context, c Config, out io.Writer) error {
	c, err := c.withDefaults()
	if err != nil {
		return err
	}

	log := slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey || a.Key == slog.LevelKey {
			return slog.Attr{}
		}

		return a
	}}))

	s, err := open(ctx, c, log, newMetrics(c.Version))
	if err != nil {
		return err
	}

	_, err = fmt.Fprintln(out, "the database is up to date")

	return errors.Join(err, s.Close())
}

func (r *rooms) serve(ctx context.Context, listener net.Listener, ready func(url string)) error {
	work, stopWork := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWork()

	var (
		background sync.WaitGroup
		engineErr  error
	)

	background.Go(func() { r.hub.Run(work) })
	background.Go(func() { r.refusals.Run(work) })
	background.Go(func() { engineErr = r.engine.Run(work) })
	background.Go(func() { r.adopt(work) })

	for _, o := range r.observers {
		background.Go(func() { o.Run(work) })
	}

	server := &http.Server{
		Handler: r.handlers.routes(), ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout,
		ErrorLog: slog.NewLogLogger(r.log.Handler(), slog.LevelWarn),
	}
	failed := make(chan error, 1)

	go func() { failed <- server.Serve(listener) }()

	url := "http://" + listener.Addr().String()
	r.log.InfoContext(ctx, "serving", "url", url, "version", r.config.Version)

	if ready != nil {
		ready(url)
	}

	var err error

	select {
	case err = <-failed:
	case <-ctx.Done():
		err = r.drain(ctx, server)
	}

	stopWork()
	background.Wait()

	return errors.Join(err, engineErr, r.stopProcesses(ctx))
}

// drain ends requests and streams; clients are told to come back.
func (r *rooms) drain(ctx context.Context, server *http.Server) error {
	r.log.InfoContext(ctx, "stopping")
	r.handlers.draining.Store(true)

	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()

	if err := r.transport.Drain(ending); err != nil {
		r.log.WarnContext(ctx, "streams were cut off", "error", err)
	}

	if err := server.Shutdown(ending); err != nil {
		r.log.WarnContext(ctx, "requests were cut off", "error", err)

		return server.Close()
	}

	return nil
}

// adopt looks, now and then, for processes whose shim is gone.
func (r *rooms) adopt(ctx context.Context) {
	if r.processes == nil {
		return
	}

	ticker := time.NewTicker(adoptEvery)
	defer ticker.Stop()

	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}

		if err := r.processes.Adopt(ctx); err != nil && ctx.Err() == nil {
			r.log.WarnContext(ctx, "adopting processes", "error", err)
		}
	}
}

func (r *rooms) stopProcesses(ctx context.Context) error {
	if r.processes == nil || !r.config.StopProcesses {
		return nil
	}

	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()

	return r.processes.StopAll(ending)
}
