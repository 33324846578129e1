package transport

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/gorilla/websocket"

	"github.com/shiplog/shiplog/internal/fault"
)

// closeTimeout is how long the end of a connection may take: writing what
// waits and the close frame, and then waiting for the peer to close.
const closeTimeout = time.Second

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

	// peerClosed is set by the reader when the peer sent a close frame.
	peerClosed atomic.Bool
}

type initState int

const (
	initAwaited initState = iota
	initReceived
	initAcknowledged
)

// serveWebSocket serves a connection until it is closed.
func (h *Handler) serveWebSocket(w http.ResponseWriter, r *http.Request) {
	if err := h.openStream(); err != nil {
		w.Header().Set("Retry-After", "5")
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
	c.run(slices.Contains(offered, protocol))
}

// run reads until the connection ends, and returns when everything has.
func (c *connection) run(acceptable bool) {
	written := make(chan struct{})

	go func() {
		defer close(written)

		c.writeAll()
	}()

	if acceptable {
		c.goroutines.Go(c.watch)
		c.readAll()
	} else {
		c.end(closeProtocol, reasonProtocol)
	}

	<-written
	c.linger()

	// Both only fail when the connection is gone already, which is the aim.
	_ = c.conn.Close()

	c.goroutines.Wait()

	c.mu.Lock()
	release, expiry := c.release, c.expiry
	c.mu.Unlock()

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

// watch ends the connection when no connection_init comes in time and when
// the server drains.
func (c *connection) watch() {
	timer := time.NewTimer(c.handler.config.InitTimeout)
	defer timer.Stop()

	for {
		select {
		case <-timer.C:
			c.mu.Lock()
			if c.init == initAwaited {
				c.endLocked(closeInitTimeout, reasonInitTimeout)
			}
			c.mu.Unlock()
		case <-c.handler.draining:
			c.restart()

			return
		case <-c.ctx.Done():
			return
		}
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

// writeAll is the writer: it writes frames as they come and pings, and at the
// end what is left and the close frame.
func (c *connection) writeAll() {
	w := newFrameWriter(c.conn, c.handler.config.WriteTimeout)

	ping := time.NewTicker(c.handler.config.PingInterval)
	defer ping.Stop()

	var frames []frame

	for {
		var more bool

		select {
		case <-c.out.wake:
			for more = true; more && c.ctx.Err() == nil; {
				frames, more = c.out.take(frames[:0])
				if w.write(frames) != nil {
					c.end(closeNone, "")

					break
				}

				clear(frames)
			}
		case <-ping.C:
			if w.write([]frame{{opcode: framePing}}) != nil {
				c.end(closeNone, "")
			}
		case <-c.ctx.Done():
		}

		if c.ctx.Err() != nil {
			c.writeEnd(w)

			return
		}
	}
}

func (c *connection) writeEnd(w *frameWriter) {
	c.mu.Lock()
	code, reason := c.code, c.reason
	c.mu.Unlock()

	defer func() {
		// The reader may wait for a peer that says nothing any more.
		_ = c.conn.SetReadDeadline(time.Now().Add(closeTimeout))
	}()

	if code == closeNone {
		return
	}

	w.timeout = closeTimeout

	for more := true; more; {
		var frames []frame

		frames, more = c.out.take(nil)
		if w.write(frames) != nil {
			return
		}
	}

	_ = w.write([]frame{{opcode: frameClose, body: closeBody(code, reason)}}) // the connection is closed next anyway
}

// linger waits for the peer to close after it was told to, and reads what it
// still sends: closing at once would reset the connection, and the peer would
// lose the close frame.
func (c *connection) linger() {
	if c.peerClosed.Load() {
		return
	}

	if half, ok := c.conn.(interface{ CloseWrite() error }); ok && half.CloseWrite() != nil {
		return
	}

	if c.conn.SetReadDeadline(time.Now().Add(closeTimeout)) != nil {
		return
	}

	_, _ = io.Copy(io.Discard, c.conn) // any end is an end
}

func closeBody(code int, reason string) []byte {
	if len(reason) > maxCloseReason {
		reason = reason[:maxCloseReason]
		for !utf8.ValidString(reason) {
			reason = reason[:len(reason)-1]
		}
	}

	return append(binary.BigEndian.AppendUint16(nil, uint16(code)), reason...)
}

// closeOf gives the close code and reason for an admission that was refused
// or withdrawn.
func (c *connection) closeOf(ctx context.Context, err error) (code int, reason string) {
	refusal, ok := errors.AsType[*fault.Error](err)
	shown := c.handler.executor.errors.present(ctx, err)

	switch {
	case !ok, refusal.Code == fault.Internal, refusal.Code == fault.Unavailable, refusal.Code == fault.RateLimited:
		return closeTryAgain, shown.Message
	case refusal.Code == fault.Forbidden:
		return closeForbidden, orElse(shown.Message, reasonForbidden)
	default:
		return closeUnauthorized, orElse(shown.Message, reasonUnauthorized)
	}
}

func orElse(s, other string) string {
	if strings.TrimSpace(s) == "" {
		return other
	}

	return s
}
