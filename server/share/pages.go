package share

import (
	"context"
	"io"

	"github.com/99designs/gqlgen/graphql"

	"github.com/shiplog/shiplog/internal/contract"
)

// Pages is the executor's extension that writes the lines of a page of a log
// itself, as the shared subscriptions' are written. The executor would make a
// context and a map for each line, which takes many times longer. What the
// encoder does not cover goes the ordinary way; both yield the same bytes.
type Pages struct{}

var _ interface {
	graphql.HandlerExtension
	graphql.FieldInterceptor
} = Pages{}

// ExtensionName names the extension.
func (Pages) ExtensionName() string { return "LogPages" }

// Validate has nothing to check.
func (Pages) Validate(graphql.ExecutableSchema) error { return nil }

// InterceptField answers the lists of a LogLineConnection.
func (Pages) InterceptField(ctx context.Context, next graphql.Resolver) (any, error) {
	fc := graphql.GetFieldContext(ctx)
	if fc.Object != "LogLineConnection" || fc.Parent == nil {
		return next(ctx)
	}

	page, ok := fc.Parent.Result.(*contract.LogLineConnection)
	if !ok {
		return next(ctx)
	}

	var of object

	switch fc.Field.Name {
	case "nodes":
		of = lineObject()
	case "edges":
		of = edgeObject()
	default:
		return next(ctx)
	}

	inner, ok := compileSet(graphql.GetOperationContext(ctx), fc.Field.Selections, of)
	if !ok {
		return next(ctx)
	}

	f := field{inner: inner}

	return graphql.WriterFunc(func(w io.Writer) {
		// It goes to the memory of the answer.
		_, _ = w.Write(f.lines(make([]byte, 0, len(page.Lines)*lineBytes), page.Cursors, page.Lines))
	}), nil
}
