package transport

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// batch is the most results that an operation is asked for at a time.
const batch = 32

// Sharer may take over a subscription, so that what it yields is executed and
// encoded once for many viewers.
type Sharer interface {
	// Share gives the viewer's part, or false when the operation is to be
	// executed for it alone. It is called for every viewer and must check its
	// permission. ctx is the operation's, with its operation context. A
	// refusal is a Shared whose NextBatch gives the error.
	Share(ctx context.Context, oc *graphql.OperationContext) (Shared, bool)
}

// Shared is one viewer's part of a shared subscription. It is used by one
// goroutine.
type Shared interface {
	// NextBatch waits until there is something and appends it to buf, whole
	// GraphQL results as [AppendResponse] encodes them, no more than fit into
	// its capacity. The bytes are not changed by anyone afterwards. io.EOF
	// ends the subscription, after what was appended with it; any other error
	// does so too, and is told to the viewer unless ctx is done.
	NextBatch(ctx context.Context, buf [][]byte) ([][]byte, error)
	// Close ends the viewer's part. It is called once.
	Close()
}

// Identified is a Shared that knows the ids of its results, so that
// Config.EventID need not look for them in the payloads.
type Identified interface {
	Shared
	// AppendEventIDs appends the ids of what the last NextBatch appended, one
	// each.
	AppendEventIDs(ids []string) []string
}

// refused is the end of an operation with errors instead of a result, and
// what extensions had to say to it.
type refused struct {
	errs       gqlerror.List
	extensions map[string]any
}

func refusedBy(resp *graphql.Response) *refused { return &refused{resp.Errors, resp.Extensions} }

func (r *refused) Error() string { return r.errs.Error() }

// results are what an operation yields, however it is executed. next is that
// of [Shared], with a *refused for all errors but io.EOF and those of ctx.
type results interface {
	next(ctx context.Context, buf [][]byte) ([][]byte, error)
	// eventIDs appends the ids of what next gave, or nothing when they are
	// to be found in the payloads.
	eventIDs(ids []string) []string
	close()
}

// results starts the operation.
func (h *Handler) results(ctx context.Context, oc *graphql.OperationContext) (context.Context, results) {
	ctx = graphql.WithOperationContext(ctx, oc)

	if oc.Operation.Operation == ast.Subscription && h.config.Sharer != nil {
		if shared, ok := h.share(ctx, oc); ok {
			return ctx, shared
		}
	}

	handler, ctx := h.executor.DispatchOperation(ctx, oc)

	return ctx, &executed{handler: handler, single: oc.Operation.Operation != ast.Subscription}
}

// share asks the Sharer; a panic of it refuses the operation.
func (h *Handler) share(ctx context.Context, oc *graphql.OperationContext) (r results, ok bool) {
	defer func() {
		if value := recover(); value != nil {
			r, ok = failed{h.refuse(ctx, recovered(value))}, true
		}
	}()

	s, ok := h.config.Sharer.Share(ctx, oc)

	return &viewer{shared: s, handler: h}, ok
}

// refuse presents an error as the end of an operation.
func (h *Handler) refuse(ctx context.Context, err error) *refused {
	return refusedBy(h.executor.refusal(ctx, err))
}

// executed yields the results of gqlgen's executor.
type executed struct {
	handler graphql.ResponseHandler
	single  bool
	done    bool
}

func (e *executed) next(ctx context.Context, buf [][]byte) ([][]byte, error) {
	if e.done {
		return buf, io.EOF
	}

	resp := e.handler(ctx)

	switch {
	case resp == nil && ctx.Err() != nil:
		return buf, fmt.Errorf("wait for a result: %w", ctx.Err())
	case resp == nil:
		return buf, io.EOF
	case resp.Data == nil && len(resp.Errors) > 0:
		return buf, refusedBy(resp)
	}

	payload, err := AppendResponse(make([]byte, 0, len(resp.Data)+len(`{"data":}`)), resp)
	if err != nil {
		return buf, err
	}

	buf = append(buf, payload)

	if e.single {
		e.done = true

		return buf, io.EOF
	}

	return buf, nil
}

func (*executed) eventIDs(ids []string) []string { return ids }

// close has nothing to do: cancelling the operation's context ends it.
func (*executed) close() {}

// viewer yields a viewer's part of a shared subscription.
type viewer struct {
	shared  Shared
	handler *Handler
}

func (v *viewer) next(ctx context.Context, buf [][]byte) (filled [][]byte, err error) {
	defer func() {
		if value := recover(); value != nil {
			filled, err = buf, v.handler.refuse(ctx, recovered(value))
		}
	}()

	filled, err = v.shared.NextBatch(ctx, buf)

	switch {
	case err == nil, errors.Is(err, io.EOF):
		return filled, err
	case ctx.Err() != nil:
		return filled, fmt.Errorf("wait for a result: %w", ctx.Err())
	default:
		return filled, v.handler.refuse(ctx, err)
	}
}

func (v *viewer) eventIDs(ids []string) []string {
	if identified, ok := v.shared.(Identified); ok {
		return identified.AppendEventIDs(ids)
	}

	return ids
}

func (v *viewer) close() { v.shared.Close() }

// failed is an operation that could not be started.
type failed struct{ err *refused }

func (f failed) next(_ context.Context, buf [][]byte) ([][]byte, error) { return buf, f.err }

func (failed) eventIDs(ids []string) []string { return ids }

func (failed) close() {}
