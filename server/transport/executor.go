package transport

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/executor"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/validator"

	"github.com/shiplog/shiplog/internal/fault"
	"github.com/shiplog/shiplog/server/limit"
)

// costKey names the cost in an answer's extensions, and in those of a refusal
// for it: a WebSocket's error message has no others.
const costKey = "cost"

// ExecutorConfig says how operations are checked and executed.
type ExecutorConfig struct {
	// Limits of one operation.
	Limits limit.Config
	// CacheBytes bounds the parsed documents that are kept, by estimate.
	CacheBytes int
	// NoIntrospection refuses __schema and __type with FORBIDDEN.
	NoIntrospection bool
	// Extensions are gqlgen's. One that rewrites the parameters of an
	// operation is refused, since the limits were checked on the original.
	Extensions []graphql.HandlerExtension
	// Timeout is how long a query or mutation may take; then its context ends,
	// and with it the answer UNAVAILABLE comes within some seconds.
	Timeout time.Duration
	// MaxOperations is the most queries and mutations at a time, over all
	// transports; one more is refused with UNAVAILABLE.
	MaxOperations int
	// RequestID gives the id that a caller is told with an error that is
	// reported, and that Report logs; without it, or when it gives "", a random
	// one is made.
	RequestID func(ctx context.Context) string
	// Report is told once of every error that the caller sees as INTERNAL, and
	// of the cause of every UNAVAILABLE that has one. A recovered panic is a
	// *PanicError in its chain. Required.
	Report func(ctx context.Context, requestID string, err error)
}

// DefaultExecutorConfig gives the defaults; Report is left to the caller.
func DefaultExecutorConfig() ExecutorConfig {
	return ExecutorConfig{
		Limits: limit.Default(),
		// Some 500 documents of the size that portals send.
		CacheBytes: 32 << 20,
		// Answers take milliseconds; a caller that was not answered by now
		// has a database that does not answer, and load balancers give up
		// after 30 to 60 s.
		Timeout: 15 * time.Second,
		// While nothing is answered they wait, with some 50 kB of memory each.
		MaxOperations: 1000,
	}
}

// Validate reports the first setting that cannot work.
func (c ExecutorConfig) Validate() error {
	if err := c.Limits.Validate(); err != nil {
		return err
	}

	if c.CacheBytes < 0 {
		return fmt.Errorf("value of CacheBytes must not be negative, not %d", c.CacheBytes)
	}

	if c.Timeout <= 0 || c.MaxOperations <= 0 {
		return fmt.Errorf("values of Timeout and MaxOperations must be positive, not %s and %d", c.Timeout, c.MaxOperations)
	}

	if c.Report == nil {
		return errors.New("the executor needs a Report")
	}

	for _, extension := range c.Extensions {
		if _, rewrites := extension.(graphql.OperationParameterMutator); rewrites {
			return fmt.Errorf("extension %s rewrites operations after their limits were checked", extension.ExtensionName())
		}
	}

	return nil
}

// Executor is gqlgen's executor behind the limits: it parses, limits,
// validates and keeps documents itself, and hands gqlgen finished ones. It is
// a [graphql.GraphExecutor], safe for concurrent use.
type Executor struct {
	config ExecutorConfig
	schema *ast.Schema
	inner  *executor.Executor
	kept   *documents
	errors presenter
	// running has a place for each query and mutation under way.
	running chan struct{}
}

var _ graphql.GraphExecutor = (*Executor)(nil)

// NewExecutor makes an executor of the schema.
func NewExecutor(schema graphql.ExecutableSchema, config ExecutorConfig) (*Executor, error) {
	if err := config.Validate(); err != nil {
		return nil, fmt.Errorf("configure the executor: %w", err)
	}

	e := &Executor{
		config: config,
		schema: schema.Schema(),
		inner:  executor.New(schema),
		kept:   newDocuments(config.CacheBytes),
		errors: presenter{requestID: config.RequestID, report: config.Report},

		running: make(chan struct{}, config.MaxOperations),
	}
	e.inner.SetQueryCache(handedOver{})
	e.inner.SetErrorPresenter(e.errors.present)
	e.inner.SetRecoverFunc(func(_ context.Context, value any) error { return recovered(value) })

	for _, extension := range config.Extensions {
		if err := extension.Validate(schema); err != nil {
			return nil, fmt.Errorf("use extension %s: %w", extension.ExtensionName(), err)
		}

		e.inner.Use(extension)
	}

	// Last, so that extensions see the answer with its cost.
	e.inner.AroundResponses(tellCost)

	return e, nil
}

// CreateOperationContext parses, limits and validates the operation and
// coerces its variables. The errors are not yet presented: hand them to
// DispatchError with the context that has the operation context.
func (e *Executor) CreateOperationContext(
	ctx context.Context, params *graphql.RawParams,
) (oc *graphql.OperationContext, errs gqlerror.List) {
	// Until gqlgen has made its own, so that a refusal has a place for its cost.
	oc = &graphql.OperationContext{RawQuery: params.Query, OperationName: params.OperationName, Headers: params.Headers}

	defer func() {
		if value := recover(); value != nil {
			errs = gqlerror.List{gqlerror.Wrap(recovered(value))}
		}
	}()

	doc, errs := e.document(params.Query)
	if errs != nil {
		return oc, errs
	}

	operation := doc.Operations.ForName(params.OperationName)
	if operation == nil {
		return oc, refuse(fault.Invalid("operationName", "name one of the operations of the document"))
	}

	params.Variables = plainNumbers(params.Variables)

	variables, err := e.coerce(operation, params.Variables)
	if err != nil {
		return oc, gqlerror.List{err}
	}

	cost, tooMuch := e.config.Limits.CheckCost(operation, variables)
	oc.Stats.SetExtension(costKey, cost)

	if tooMuch != nil {
		errs := refuse(tooMuch)
		errs[0].Extensions = map[string]any{costKey: cost}

		return oc, errs
	}

	made, errs := e.inner.CreateOperationContext(context.WithValue(ctx, documentKey{}, doc), params)
	made.DisableIntrospection = e.config.NoIntrospection
	made.Stats.SetExtension(costKey, cost)

	return made, errs
}

// DispatchOperation starts the operation and gives its answers: one for a
// query or mutation, one per event for a subscription, then nil. A panic
// anywhere in it is an INTERNAL error.
func (e *Executor) DispatchOperation(
	ctx context.Context, oc *graphql.OperationContext,
) (handler graphql.ResponseHandler, inner context.Context) {
	inner = graphql.WithOperationContext(ctx, oc)

	defer func() {
		if value := recover(); value != nil {
			handler = graphql.OneShot(e.DispatchError(inner, gqlerror.List{gqlerror.Wrap(recovered(value))}))
		}
	}()

	handler, inner = e.inner.DispatchOperation(ctx, oc)
	handler = e.guarded(handler)

	if oc.Operation.Operation != ast.Subscription {
		handler = e.bounded(handler)
	}

	return handler, inner
}

// bounded gives an operation of one answer its place among those that run, and
// its time.
func (e *Executor) bounded(handler graphql.ResponseHandler) graphql.ResponseHandler {
	return func(ctx context.Context) *graphql.Response {
		select {
		case e.running <- struct{}{}:
			defer func() { <-e.running }()
		default:
			return e.refusal(ctx, fault.New(fault.Unavailable,
				"the server has %d operations under way, its most: try again", cap(e.running)))
		}

		ctx, cancel := context.WithTimeout(ctx, e.config.Timeout)
		defer cancel()

		return handler(ctx)
	}
}

func (e *Executor) guarded(handler graphql.ResponseHandler) graphql.ResponseHandler {
	over := false

	return func(ctx context.Context) (resp *graphql.Response) {
		if over {
			return nil
		}

		defer func() {
			if value := recover(); value != nil {
				over = true
				resp = e.DispatchError(ctx, gqlerror.List{gqlerror.Wrap(recovered(value))})
			}
		}()

		return handler(ctx)
	}
}

// DispatchError makes the answer of a request that was not executed. The
// extensions see it like all others, with an operation context: an empty one
// when it never came to an operation.
func (e *Executor) DispatchError(ctx context.Context, list gqlerror.List) *graphql.Response {
	if !graphql.HasOperationContext(ctx) {
		ctx = graphql.WithOperationContext(ctx, &graphql.OperationContext{})
	}

	return e.inner.DispatchError(ctx, list)
}

// refusal makes that answer out of any error; one of GraphQL keeps its path.
func (e *Executor) refusal(ctx context.Context, err error) *graphql.Response {
	shown, ok := errors.AsType[*gqlerror.Error](err)
	if !ok {
		shown = gqlerror.Wrap(err)
	}

	return e.DispatchError(ctx, gqlerror.List{shown})
}

// coerce reads the variables. gqlparser panics on some values that no schema
// type takes; that is the caller's mistake.
func (e *Executor) coerce(
	operation *ast.OperationDefinition, given map[string]any,
) (variables map[string]any, refused *gqlerror.Error) {
	defer func() {
		if recover() != nil {
			refused = gqlerror.Wrap(fault.Invalid("variables", "the variables do not fit their types"))
		}
	}()

	variables, err := validator.VariableValues(e.schema, operation, given)
	if err != nil {
		return nil, invalid(err)
	}

	return variables, nil
}

// invalid marks an error of gqlparser as the caller's mistake. The error may
// be shared, so a copy is marked.
func invalid(err error) *gqlerror.Error {
	shown, ok := errors.AsType[*gqlerror.Error](err)
	if !ok {
		return gqlerror.Wrap(fault.Wrap(err, fault.InvalidInput, "the request cannot be read"))
	}

	marked := *shown
	marked.Extensions = map[string]any{codeKey: "GRAPHQL_INVALID"}

	return &marked
}

func refuse(err error) gqlerror.List { return gqlerror.List{gqlerror.Wrap(err)} }

// tellCost puts the cost into the extensions of an answer. Events of a
// subscription do not repeat it: they are encoded once for many viewers.
func tellCost(ctx context.Context, next graphql.ResponseHandler) *graphql.Response {
	resp := next(ctx)
	if resp == nil {
		return resp
	}

	oc := graphql.GetOperationContext(ctx)
	if oc.Operation != nil && oc.Operation.Operation == ast.Subscription && resp.Data != nil {
		return resp
	}

	cost, ok := oc.Stats.GetExtension(costKey).(limit.Cost)
	if !ok {
		return resp
	}

	if resp.Extensions == nil {
		resp.Extensions = map[string]any{}
	}

	resp.Extensions[costKey] = cost

	return resp
}
