package transport

import (
	"context"
	"errors"
	"time"

	"github.com/gorilla/websocket"
)

// read is the reader: whatever becomes of it, the connection's end waits for
// everything else to end.
func (c *connection) read() {
	defer c.survive()

	c.readAll()
}

// readAll reads messages until the connection ends. Reading fails after
// nearly two ping intervals in which the peer said nothing.
func (c *connection) readAll() {
	silence := 2*c.handler.config.PingInterval - c.handler.config.PingInterval/8
	heard := func() error {
		c.mu.Lock()
		defer c.mu.Unlock()

		if c.ending {
			return nil // The writer sets the last deadline.
		}

		return c.conn.SetReadDeadline(time.Now().Add(silence))
	}

	c.socket.SetReadLimit(c.handler.config.MaxMessage)
	c.socket.SetPongHandler(func(string) error { return heard() })
	c.socket.SetPingHandler(func(data string) error {
		if err := heard(); err != nil {
			return err
		}

		return c.answer(frame{opcode: framePong, body: []byte(data)})
	})
	c.socket.SetCloseHandler(func(int, string) error {
		c.peerClosed.Store(true)

		return nil
	})

	for {
		if heard() != nil {
			c.end(closeNone, "")

			return
		}

		kind, raw, err := c.socket.ReadMessage()
		if err != nil {
			c.endRead(err)

			return
		}

		if c.ctx.Err() != nil {
			continue // Closing: read on until the peer has closed.
		}

		if kind != websocket.TextMessage {
			c.end(closeBadRequest, reasonInvalidMessage)

			continue
		}

		m, err := decodeMessage(raw)
		if err != nil {
			c.end(closeBadRequest, err.Error())

			continue
		}

		c.handle(m)
	}
}

// endRead ends the connection after a failed read. gorilla has answered
// frames that break WebSocket's rules or pass the limit (1002, 1009) itself.
func (c *connection) endRead(err error) {
	var closed *websocket.CloseError
	if errors.As(err, &closed) && c.peerClosed.Load() {
		code := closed.Code
		if code == websocket.CloseNoStatusReceived {
			code = closeNormal
		}

		c.end(code, "")

		return
	}

	c.end(closeNone, "")
}

// handle acts on one message. It may wait for room in the outbox, and for
// nothing else.
func (c *connection) handle(m message) {
	switch m.kind {
	case messageInit:
		c.initialise(m.payload)
	case messagePing:
		pong := `{"type":"pong"}`

		if m.payload != nil {
			if payload, err := appendJSON(nil, m.payload); err == nil {
				pong = `{"type":"pong","payload":` + string(payload) + `}`
			}
		}

		c.text(pong)
	case messageSubscribe:
		c.subscribe(m)
	case messageComplete:
		c.complete(m.id)
	}
}

// text puts a message of the connection itself into the outbox.
func (c *connection) text(s string) {
	if c.answer(frame{opcode: frameText, body: []byte(s)}) != nil {
		return // The connection ends.
	}
}

func (c *connection) answer(f frame) error {
	return c.out.put(c.ctx, c.handler.config.Outbox+reserve, nil, f)
}

// initialise admits the connection, outside the reader, so that messages that
// must not come before the acknowledgement are seen.
func (c *connection) initialise(payload map[string]any) {
	c.mu.Lock()
	defer c.mu.Unlock()

	if c.ending {
		return
	}

	if c.init != initAwaited {
		c.endLocked(closeTooManyInits, reasonTooManyInits)

		return
	}

	c.init = initReceived
	c.goroutines.Go(func() {
		defer c.survive()

		c.admit(payload)
	})
}

// admit asks Init and acknowledges. When the admission is withdrawn the
// connection ends.
func (c *connection) admit(payload map[string]any) {
	admitted, expires, err := c.askInit(payload)
	if err != nil {
		if c.ctx.Err() == nil {
			c.end(c.closeOf(c.ctx, err))
		}

		return
	}

	release, err := c.handler.openCaller(admitted)
	if err != nil {
		c.end(c.closeOf(admitted, err))

		return
	}

	c.mu.Lock()
	c.release, c.admitted = release, admitted
	c.withdrawn = follow(admitted, func() { c.withdraw(admitted) })

	if !expires.IsZero() {
		c.expiry = time.AfterFunc(time.Until(expires), func() { c.end(closeUnauthorized, "The token has expired") })
	}

	// With the state, so that no message of an operation comes before it.
	c.init = initAcknowledged
	c.mu.Unlock()

	c.text(`{"type":"connection_ack"}`)
}

// withdraw ends the connection whose admission has ended.
func (c *connection) withdraw(admitted context.Context) {
	defer c.survive()

	cause := context.Cause(admitted)

	switch {
	case c.ctx.Err() != nil:
	case errors.Is(cause, context.Canceled), errors.Is(cause, context.DeadlineExceeded):
		c.end(closeUnauthorized, reasonUnauthorized)
	default:
		c.end(c.closeOf(context.WithoutCancel(admitted), cause))
	}
}

// askInit calls Init within InitTimeout. A panic of it is an error.
func (c *connection) askInit(payload map[string]any) (admitted context.Context, expires time.Time, err error) {
	if c.handler.config.Init == nil {
		return c.ctx, time.Time{}, nil
	}

	defer func() {
		if value := recover(); value != nil {
			err = recovered(value)
		}
	}()

	late := time.AfterFunc(c.handler.config.InitTimeout, func() { c.end(closeInitTimeout, reasonInitTimeout) })
	defer late.Stop()

	return c.handler.config.Init(c.ctx, payload, c.request)
}

// survive keeps a panic in a hook from ending the process: it is reported and
// ends the connection. It is deferred by every goroutine that calls hooks.
func (c *connection) survive() {
	if value := recover(); value != nil {
		c.end(c.closeOf(c.ctx, recovered(value)))
	}
}
