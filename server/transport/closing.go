package transport

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/shiplog/shiplog/internal/fault"
)

// closeTimeout is how long the end of a connection may take: writing what
// waits and the close frame, and then waiting for the peer to close.
const closeTimeout = time.Second

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

	return append(binary.BigEndian.AppendUint16(nil, uint16(code)), reason...) //nolint:gosec // close codes are below 5000
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
