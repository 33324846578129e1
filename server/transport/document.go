package transport

import (
	"context"
	"crypto/sha256"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/parser"
	"github.com/vektah/gqlparser/v2/validator"
	"github.com/vektah/gqlparser/v2/validator/rules"

	"github.com/shiplog/shiplog/internal/fault"
)

// maxValidationErrors bounds the errors told about one document.
const maxValidationErrors = 20

// document gives the parsed and validated document of the text.
func (e *Executor) document(query string) (*ast.QueryDocument, gqlerror.List) {
	key := sha256.Sum256([]byte(query))
	if doc, ok := e.kept.get(key); ok {
		return doc, nil
	}

	tokens, err := e.config.Limits.CheckTokens(query)
	if err != nil {
		return nil, refuse(err)
	}

	doc, err := parser.ParseQuery(&ast.Source{Input: query})
	if err != nil {
		return nil, gqlerror.List{invalid(err)}
	}

	if len(doc.Operations) == 0 {
		return nil, refuse(fault.Invalid("query", "the document holds no operation"))
	}

	if err := e.config.Limits.CheckShape(doc); err != nil {
		return nil, refuse(err)
	}

	if errs := validator.ValidateWithRules(e.schema, doc, rules.NewDefaultRules()); len(errs) > 0 {
		if len(errs) > maxValidationErrors {
			errs = errs[:maxValidationErrors]
		}

		for i := range errs {
			errs[i] = invalid(errs[i])
		}

		return nil, errs
	}

	if e.config.NoIntrospection && introspects(doc) {
		return nil, refuse(fault.New(fault.Forbidden, "introspection is turned off"))
	}

	e.kept.put(key, doc, len(query), tokens)

	return doc, nil
}

// introspects reports whether the document asks for the schema anywhere.
func introspects(doc *ast.QueryDocument) bool {
	var in func(set ast.SelectionSet) bool

	in = func(set ast.SelectionSet) bool {
		for _, selection := range set {
			switch s := selection.(type) {
			case *ast.Field:
				if s.Name == "__schema" || s.Name == "__type" || in(s.SelectionSet) {
					return true
				}
			case *ast.InlineFragment:
				if in(s.SelectionSet) {
					return true
				}
			}
		}

		return false
	}

	for _, operation := range doc.Operations {
		if in(operation.SelectionSet) {
			return true
		}
	}

	for _, fragment := range doc.Fragments {
		if in(fragment.SelectionSet) {
			return true
		}
	}

	return false
}

type documentKey struct{}

// handedOver is the cache that gqlgen's executor asks for a parsed document:
// it gives the one that was checked for this very request.
type handedOver struct{}

func (handedOver) Get(ctx context.Context, _ string) (*ast.QueryDocument, bool) {
	doc, ok := ctx.Value(documentKey{}).(*ast.QueryDocument)

	return doc, ok
}

func (handedOver) Add(context.Context, string, *ast.QueryDocument) {}
