package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/shiplog/shiplog/internal/fault"
)

// operation is one operation of a WebSocket connection.
type operation struct {
	id     string
	quoted []byte
	cancel context.CancelFunc
	// gone is set when the client completed the operation: nothing more is
	// sent for it.
	gone atomic.Bool
	// single says that the operation ends by itself: it is not, or not yet
	// known to be, a subscription.
	single atomic.Bool
}

// subscribe starts an operation.
func (c *connection) subscribe(m message) {
	c.mu.Lock()

	switch {
	case c.ending || c.restarting:
		c.mu.Unlock()

		return
	case c.init != initAcknowledged:
		c.endLocked(closeUnauthorized, reasonUnauthorized)
		c.mu.Unlock()

		return
	case c.operations[m.id] != nil:
		c.endLocked(closeDuplicate, fmt.Sprintf("Subscriber for %s already exists", cut(m.id)))
		c.mu.Unlock()

		return
	case c.running >= c.handler.config.MaxOperations:
		admitted := c.admitted
		c.mu.Unlock()
		c.refuseOperation(admitted, m.id)

		return
	}

	ctx, cancel := context.WithCancel(c.admitted)
	// The admission need not be derived from the connection's context.
	unlink := context.AfterFunc(c.ctx, cancel)

	op := &operation{id: m.id, quoted: quoted(m.id), cancel: cancel}
	op.single.Store(true)

	c.operations[m.id] = op
	c.running++
	c.singles++

	c.goroutines.Go(func() {
		defer c.ended(op)
		defer c.survive()
		defer cancel()
		defer unlink()

		c.operate(ctx, op, m.params)
	})
	c.mu.Unlock()
}

func (c *connection) refuseOperation(ctx context.Context, id string) {
	refusal := c.handler.refuse(ctx, fault.New(fault.RateLimited,
		"the connection has %d operations running, its most", c.handler.config.MaxOperations))

	if f, err := errorFrame(quoted(id), refusal.errs); err == nil {
		c.text(string(f.head) + string(f.body) + f.tail)
	}
}

// complete ends an operation for the client.
func (c *connection) complete(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()

	op := c.operations[id]
	if op == nil {
		return // It has ended by itself, and the messages crossed.
	}

	op.gone.Store(true)
	op.cancel()
	delete(c.operations, id)
}

// ended counts an operation's goroutine out.
func (c *connection) ended(op *operation) {
	c.mu.Lock()
	defer c.mu.Unlock()

	c.running--

	if c.operations[op.id] == op {
		delete(c.operations, op.id)
	}

	c.settleLocked(op)
}

// settleLocked counts an operation out of those that a restart waits for.
func (c *connection) settleLocked(op *operation) {
	if op.single.Swap(false) {
		c.singles--
	}

	if c.restarting && c.singles == 0 {
		c.endLocked(closeRestart, reasonRestart)
	}
}

// operate runs the operation and sends its results.
func (c *connection) operate(ctx context.Context, op *operation, params *graphql.RawParams) {
	ctx = graphql.StartOperationTrace(ctx)
	params.Headers = c.request.Header
	params.ReadTime = graphql.TraceTiming{Start: graphql.GetStartTime(ctx), End: graphql.GetStartTime(ctx)}

	oc, errs := c.handler.executor.CreateOperationContext(ctx, params)
	if errs != nil {
		c.finish(ctx, op, refusedBy(c.handler.executor.DispatchError(graphql.WithOperationContext(ctx, oc), errs)))

		return
	}

	if oc.Operation.Operation == ast.Subscription {
		c.mu.Lock()
		c.settleLocked(op)
		c.mu.Unlock()
	}

	ctx, results := c.handler.results(ctx, oc)
	defer results.close()

	head := append(append([]byte(`{"id":`), op.quoted...), `,"type":"next","payload":`...)
	buf := make([][]byte, 0, batch)

	var frames []frame // as long as need be: most viewers get one at a time

	for {
		if c.out.wait(ctx) != nil {
			return
		}

		payloads, err := results.next(ctx, buf)

		frames = frames[:0]
		for _, payload := range payloads {
			frames = append(frames, frame{opcode: frameText, head: head, body: payload, tail: closingBrace, gone: &op.gone})
		}

		if c.send(ctx, op, frames, false) != nil {
			return
		}

		clear(payloads)

		if err != nil {
			c.finish(ctx, op, err)

			return
		}
	}
}

// finish sends the operation's last message.
func (c *connection) finish(ctx context.Context, op *operation, err error) {
	refusal, isRefusal := errors.AsType[*refused](err)

	switch {
	case errors.Is(err, io.EOF):
		last := frame{opcode: frameText, head: []byte(`{"id":`), body: op.quoted, tail: `,"type":"complete"}`}
		// An error of it says that the connection ends.
		_ = c.send(ctx, op, []frame{last}, true)
	case isRefusal:
		if last, err := errorFrame(op.quoted, refusal.errs); err == nil {
			_ = c.send(ctx, op, []frame{last}, true)
		}
	}
}

// send puts frames of the operation into the outbox, unless the client has
// completed it. With the last ones its id is free again.
func (c *connection) send(ctx context.Context, op *operation, frames []frame, last bool) error {
	if len(frames) == 0 {
		return nil
	}

	return c.out.put(ctx, c.handler.config.Outbox, func() bool {
		if op.gone.Load() {
			return false
		}

		if last {
			c.mu.Lock()
			defer c.mu.Unlock()

			if c.operations[op.id] == op {
				delete(c.operations, op.id)
			}
		}

		return true
	}, frames...)
}

func errorFrame(id []byte, errs gqlerror.List) (frame, error) {
	payload, err := appendErrors(nil, errs)
	if err != nil {
		return frame{}, err
	}

	head := append(append([]byte(`{"id":`), id...), `,"type":"error","payload":`...)

	return frame{opcode: frameText, head: head, body: payload, tail: closingBrace}, nil
}

// closingBrace ends a message after its payload.
const closingBrace = "}"
