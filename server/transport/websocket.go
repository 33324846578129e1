package transport

import (
	"context"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
)

// connection is one WebSocket connection.
type connection struct {
	handler *Handler
	request *http.Request
	socket  *websocket.Conn
	conn    net.Conn
	out     *outbox

	// ctx ends when the connection is to be closed; base is what Init gets.
	ctx    context.Context //nolint:containedctx // the connection is the scope of its context
	cancel context.CancelFunc

	// goroutines are all but the reader.
	goroutines sync.WaitGroup

	mu         sync.Mutex
	ending     bool // no operation may start, no goroutine be added
	code       int
	reason     string
	init       initState
	admitted   context.Context //nolint:containedctx // of the operations, from Init
	operations map[string]*operation
	running    int // operations' goroutines
	singles    int // of them, those that end by themselves
	restarting bool
	release    func() // counts the caller out
	expiry     *time.Timer
	withdrawn  *hook // follows the admission

	// peerClosed is set by the reader when the peer sent a close frame.
	peerClosed atomic.Bool
}

type initState int

const (
	initAwaited initState = iota
	initReceived
	initAcknowledged
)

// hook runs a function once a context has ended, unless it is stopped before.
type hook struct {
	unlink func() bool
	done   chan struct{}
}

func follow(ctx context.Context, run func()) *hook {
	h := &hook{done: make(chan struct{})}
	h.unlink = context.AfterFunc(ctx, func() {
		defer close(h.done)

		run()
	})

	return h
}

// stop returns when the function will not run, or has. On nil it does nothing.
func (h *hook) stop() {
	if h != nil && !h.unlink() {
		<-h.done
	}
}

// serveWebSocket serves a connection until it is closed.
func (h *Handler) serveWebSocket(w http.ResponseWriter, r *http.Request) {
	if err := h.openStream(); err != nil {
		w.Header().Set("Retry-After", strconv.Itoa(retryAfter))
		h.reject(w, r, accepted{}, &rejection{status: http.StatusServiceUnavailable, cause: err})

		return
	}
	defer h.closeStream()

	// A client that offers other subprotocols gets its first one, because it
	// would not see the close code without.
	offered := websocket.Subprotocols(r)
	header := http.Header{}

	if slices.Contains(offered, protocol) {
		header.Set("Sec-WebSocket-Protocol", protocol)
	} else if len(offered) > 0 {
		header.Set("Sec-WebSocket-Protocol", offered[0])
	}

	socket, err := h.upgrader.Upgrade(w, r, header)
	if err != nil {
		return // Upgrade has answered.
	}

	// The request's context may carry a deadline that was meant for a request.
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.Context()))

	c := &connection{
		handler: h, request: r, socket: socket, conn: socket.NetConn(), out: newOutbox(h.config.Outbox),
		ctx: ctx, cancel: cancel, operations: map[string]*operation{}, release: func() {},
	}
	c.run(slices.Contains(offered, protocol)) //nolint:contextcheck // the connection carries its own
}

// run reads until the connection ends, and returns when everything has.
func (c *connection) run(acceptable bool) {
	written := make(chan struct{})

	go func() {
		defer close(written)

		c.writeAll()
	}()

	// Hooks, because a goroutine that waits costs each viewer its stack.
	drained := follow(c.handler.draining, c.restart)
	defer drained.stop()

	if acceptable {
		late := time.AfterFunc(c.handler.config.InitTimeout, c.late)
		c.read()
		late.Stop()
	} else {
		c.end(closeProtocol, reasonProtocol)
	}

	<-written
	c.linger()

	// Both only fail when the connection is gone already, which is the aim.
	_ = c.conn.Close()

	c.goroutines.Wait()

	c.mu.Lock()
	release, expiry, withdrawn := c.release, c.expiry, c.withdrawn
	c.mu.Unlock()

	withdrawn.stop()

	if expiry != nil {
		expiry.Stop()
	}

	release()
}

// end closes the connection with the code, closeNone without a close frame.
// The first end wins.
func (c *connection) end(code int, reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()

	c.endLocked(code, reason)
}

func (c *connection) endLocked(code int, reason string) {
	if c.ending {
		return
	}

	c.ending, c.code, c.reason = true, code, reason
	c.cancel()
}

// late ends the connection when no connection_init has come in time.
func (c *connection) late() {
	c.mu.Lock()
	defer c.mu.Unlock()

	if c.init == initAwaited {
		c.endLocked(closeInitTimeout, reasonInitTimeout)
	}
}

// restart ends subscriptions and lets other operations finish, then closes.
func (c *connection) restart() {
	c.mu.Lock()
	c.restarting = true

	for _, op := range c.operations {
		if !op.single.Load() {
			op.cancel()
		}
	}

	if c.singles == 0 {
		c.endLocked(closeRestart, reasonRestart)
	}
	c.mu.Unlock()

	grace := time.NewTimer(c.handler.config.DrainGrace)
	defer grace.Stop()

	select {
	case <-grace.C:
		c.end(closeRestart, reasonRestart)
	case <-c.ctx.Done():
	}
}
