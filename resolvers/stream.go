package resolvers

import (
	"context"
	"sync"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// resume gives the cursor to go on from: where the client of an event stream
// says that it was, else the argument. A browser's EventSource that connects
// again repeats its address, and so the argument that it began with.
func (r *Resolver) resume(ctx context.Context, after *string) *string {
	if r.LastEventID == nil {
		return after
	}

	if id := r.LastEventID(ctx); id != "" {
		return &id
	}

	return after
}

// ending is why a stream ended before its time. The executor has no way to
// tell that of a subscription that has begun.
type ending struct {
	mu   sync.Mutex
	errs gqlerror.List
}

type endingKey struct{}

func (e *ending) set(errs gqlerror.List) {
	e.mu.Lock()
	defer e.mu.Unlock()

	e.errs = errs
}

func (e *ending) take() gqlerror.List {
	e.mu.Lock()
	defer e.mu.Unlock()

	errs := e.errs
	e.errs = nil

	return errs
}

// Endings is the executor's extension that tells the error with which a stream
// ends, as the stream's last answer.
type Endings struct{}

var _ interface {
	graphql.HandlerExtension
	graphql.OperationInterceptor
	graphql.ResponseInterceptor
} = Endings{}

// ExtensionName names the extension.
func (Endings) ExtensionName() string { return "Endings" }

// Validate has nothing to check.
func (Endings) Validate(graphql.ExecutableSchema) error { return nil }

// InterceptOperation gives the operation a place for its ending.
func (Endings) InterceptOperation(ctx context.Context, next graphql.OperationHandler) graphql.ResponseHandler {
	return next(context.WithValue(ctx, endingKey{}, &ending{}))
}

// InterceptResponse answers with the ending when there is nothing else.
func (Endings) InterceptResponse(ctx context.Context, next graphql.ResponseHandler) *graphql.Response {
	response := next(ctx)
	if response != nil {
		return response
	}

	if e, ok := ctx.Value(endingKey{}).(*ending); ok {
		if errs := e.take(); errs != nil {
			return &graphql.Response{Errors: errs}
		}
	}

	return nil
}

// stream runs produce in a goroutine that ends with ctx; the channel closes
// behind it. An error that is not the client's leaving is the stream's last
// word.
func stream[T any](ctx context.Context, produce func(send func(T) bool) error) <-chan T {
	out := make(chan T)

	go func() {
		defer close(out)

		err := guarded(ctx, func() error {
			return produce(func(v T) bool {
				select {
				case out <- v:
					return true
				case <-ctx.Done():
					return false
				}
			})
		})
		if err == nil || ctx.Err() != nil {
			return
		}

		// Presented where it happened, with its path.
		graphql.AddError(ctx, err)

		if e, ok := ctx.Value(endingKey{}).(*ending); ok {
			e.set(graphql.GetErrors(ctx))
		}
	}()

	return out
}

// guarded makes an error of a panic, with its stack. It is for goroutines that
// are not the executor's, where a panic would end the process.
func guarded(ctx context.Context, do func() error) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = graphql.GetOperationContext(ctx).RecoverFunc(ctx, value)
		}
	}()

	return do()
}
