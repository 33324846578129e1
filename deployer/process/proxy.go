//go:build unix

package process

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// proxyGlance is how often the proxy looks at its routes and at the
	// readiness of the instances.
	proxyGlance = 200 * time.Millisecond
	// dialTimeout is for a connect on loopback.
	dialTimeout = time.Second
	// maxConnections bounds the connections of a unit; one more is accepted
	// and closed.
	maxConnections = 4096
	// keepTrying bounds how long a connection waits for an instance when the
	// one it was meant for has just gone.
	keepTrying = 3
)

// RunProxy is the hidden subcommand `process-proxy DIR`: it leads the
// connections to a service's ports to its instances until it is told to end,
// and gives the exit code.
func RunProxy(args []string) int {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	if len(args) != 1 {
		log.Error("process-proxy takes the directory of a proxy")

		return 2
	}

	return whileLocked(filepath.Join(args[0], "lock"), log, func() error { return runProxy(args[0], log) })
}

func runProxy(dir string, log *slog.Logger) (err error) {
	woken, control, err := listenControl(dir)
	if err != nil {
		return err
	}

	defer func() {
		err = errors.Join(err, control.Close())
		for range woken {
		}
	}()

	signal.Ignore(syscall.SIGINT, syscall.SIGHUP, syscall.SIGPIPE)

	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer cancel()

	p := &proxy{
		dir: dir, log: log, listening: map[int]*listening{}, states: map[string]cachedState{},
		slots: make(chan struct{}, maxConnections),
	}
	defer p.close()

	return p.serve(ctx, woken)
}

// proxy is the one process behind the ports of a unit. All fields belong to
// the goroutine of serve, but what listeners hold.
type proxy struct {
	dir       string
	log       *slog.Logger
	revision  int64
	errors    map[int]string
	routes    routes
	listening map[int]*listening
	states    map[string]cachedState
	slots     chan struct{}
}

// cachedState is a run's readiness and the file that says so.
type cachedState struct {
	modified time.Time
	size     int64
	ready    bool
}

func (p *proxy) serve(ctx context.Context, woken <-chan struct{}) error {
	failing := false

	for {
		end, err := p.look(ctx)
		if end {
			return nil
		}

		// Out of descriptors, or of disk: what it has taken goes on.
		if err != nil && !failing {
			p.log.Error("look at the routes; trying on", "error", err)
		}

		failing = err != nil

		select {
		case <-ctx.Done():
			return nil
		case <-woken:
		case <-time.After(proxyGlance):
		}
	}
}

// look takes new routes and what is ready among them, and says that it has. It
// reports whether the proxy is to end.
func (p *proxy) look(ctx context.Context) (bool, error) {
	var now routes

	found, err := readJSON(routesFile(p.dir), &now)
	if err != nil {
		return false, err
	}

	if !found || now.Closed {
		return true, nil
	}

	p.routes = now
	failed := p.listen(ctx)

	for port, l := range p.listening {
		var ready []string
		for _, r := range now.Ports[port] {
			if p.ready(r) {
				ready = append(ready, r.Address)
			}
		}

		l.ready.Store(&ready)
	}

	if p.revision == now.Revision && len(failed) == len(p.errors) {
		return false, nil
	}

	state := proxyState{Process: os.Getpid(), Revision: now.Revision, Errors: failed}
	if err := writeJSON(proxyStateFile(p.dir), state, false); err != nil {
		return false, err
	}

	p.revision, p.errors = now.Revision, failed

	return false, nil
}

// listen opens and closes listeners, and gives the ports that it cannot open.
func (p *proxy) listen(ctx context.Context) map[int]string {
	failed := map[int]string{}

	for port := range p.routes.Ports {
		if p.listening[port] != nil {
			continue
		}

		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address(port))
		if err != nil {
			failed[port] = err.Error()

			continue
		}

		p.listening[port] = newListening(ctx, l, p.slots, p.log)
	}

	for port, l := range p.listening {
		if _, wanted := p.routes.Ports[port]; !wanted {
			l.close()
			delete(p.listening, port)
		}
	}

	return failed
}

// ready reports whether all runs of an instance are, reading only what has
// changed.
func (p *proxy) ready(r route) bool {
	for _, dir := range r.Runs {
		info, err := os.Stat(runDir(dir).state())
		if err != nil {
			return false
		}

		c, ok := p.states[dir]
		if !ok || !c.modified.Equal(info.ModTime()) || c.size != info.Size() {
			c = cachedState{modified: info.ModTime(), size: info.Size(), ready: runDir(dir).readState().Ready}
			p.states[dir] = c
		}

		if !c.ready {
			return false
		}
	}

	return true
}

func (p *proxy) close() {
	for _, l := range p.listening {
		l.close()
	}
}

// listening is one open port. Connections that it has made go on when it is
// closed, until one of their ends closes them.
type listening struct {
	listener net.Listener
	cancel   context.CancelFunc
	log      *slog.Logger
	slots    chan struct{}
	ready    atomic.Pointer[[]string]
	turn     atomic.Uint64
	accepts  sync.WaitGroup
}

func newListening(ctx context.Context, l net.Listener, slots chan struct{}, log *slog.Logger) *listening {
	ctx, cancel := context.WithCancel(ctx)
	n := &listening{listener: l, cancel: cancel, slots: slots, log: log}
	n.accepts.Go(func() { n.accept(ctx) })

	return n
}

func (l *listening) close() {
	l.cancel()

	if err := l.listener.Close(); err != nil {
		l.log.Error("close a listener", "error", err)
	}

	l.accepts.Wait()
}

func (l *listening) accept(ctx context.Context) {
	for {
		conn, err := l.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}

		if err != nil {
			// Out of descriptors: they come back.
			l.log.Error("accept", "error", err)

			select {
			case <-time.After(proxyGlance):
			case <-ctx.Done():
			}

			continue
		}

		select {
		case l.slots <- struct{}{}:
			// The process ends with its connections; nobody waits for one.
			go func() {
				defer func() { <-l.slots }()
				l.lead(ctx, conn)
			}()
		default:
			l.drop(conn)
		}
	}
}

// lead joins a connection to the next ready instance that takes it. One that
// was accepted is led on even when the port is closed meanwhile; it only waits
// for another instance no longer.
func (l *listening) lead(ctx context.Context, client net.Conn) {
	dialer := net.Dialer{Timeout: dialTimeout}

	for range keepTrying {
		ready := l.ready.Load()
		if ready == nil || len(*ready) == 0 {
			break
		}

		turn := l.turn.Add(1)
		for i := range *ready {
			to := (*ready)[(turn+uint64(i))%uint64(len(*ready))]

			server, err := dialer.DialContext(context.WithoutCancel(ctx), "tcp", to)
			if err == nil {
				join(client, server)

				return
			}
		}

		// What was ready is gone; the next look may know better.
		select {
		case <-time.After(proxyGlance):
		case <-ctx.Done():
			l.drop(client)

			return
		}
	}

	l.drop(client)
}

func (l *listening) drop(conn net.Conn) {
	if err := conn.Close(); err != nil {
		l.log.Error("close a connection", "error", err)
	}
}

// join copies both ways until both ends have said all; each end's half-close
// is handed on.
func join(client, server net.Conn) {
	var copying sync.WaitGroup

	copying.Go(func() { pass(client, server) })
	copying.Go(func() { pass(server, client) })
	copying.Wait()

	// Errors of connections that have ended are their peers' own business.
	_ = client.Close()
	_ = server.Close()
}

func pass(to, from net.Conn) {
	_, err := io.Copy(to, from)
	if err != nil {
		// Broken on one side: the other way cannot go on either.
		_ = to.Close()
		_ = from.Close()

		return
	}

	if half, ok := to.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}
