package server

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/shiplog/shiplog/internal/access"
	"github.com/shiplog/shiplog/internal/fault"
)

// permissions is the executor's extension that asks the permission table
// before an operation runs: whoever may not use one of its root fields gets
// none of it.
type permissions struct {
	refusals *access.Refusals
}

// ExtensionName names the extension.
func (permissions) ExtensionName() string { return "Permissions" }

// Validate makes sure that the table has a row for every root field of the
// schema, and none too much.
func (permissions) Validate(schema graphql.ExecutableSchema) error {
	return CheckPermissions(schema.Schema())
}

// CheckPermissions compares the permission table with the schema.
func CheckPermissions(schema *ast.Schema) error {
	var want []string

	for _, root := range []*ast.Definition{schema.Query, schema.Mutation, schema.Subscription} {
		for _, field := range root.Fields {
			if !strings.HasPrefix(field.Name, "__") {
				want = append(want, root.Name+"."+field.Name)
			}
		}
	}

	slices.Sort(want)

	have := access.Operations()
	for _, row := range want {
		if !slices.Contains(have, row) {
			return fmt.Errorf("the permission table has no row for %s", row)
		}
	}

	for _, row := range have {
		if !slices.Contains(want, row) {
			return fmt.Errorf("the permission table has a row for %s, which the schema has not", row)
		}
	}

	return nil
}

// InterceptOperation refuses what the caller may not.
func (p permissions) InterceptOperation(ctx context.Context, next graphql.OperationHandler) graphql.ResponseHandler {
	if refusal := p.authorize(ctx, graphql.GetOperationContext(ctx)); refusal != nil {
		return graphql.OneShot(&graphql.Response{Errors: gqlerror.List{refusal}})
	}

	return next(ctx)
}

func (p permissions) authorize(ctx context.Context, oc *graphql.OperationContext) *gqlerror.Error {
	root := map[ast.Operation]string{ast.Query: "Query", ast.Mutation: "Mutation", ast.Subscription: "Subscription"}[oc.Operation.Operation]

	for _, field := range graphql.CollectFields(oc, oc.Operation.SelectionSet, []string{root}) {
		if strings.HasPrefix(field.Name, "__") {
			continue
		}

		operation := root + "." + field.Name
		if err := access.Authorize(ctx, operation); err != nil {
			p.refusals.Note(ctx, operation, fault.CodeOf(err))

			return &gqlerror.Error{
				Err: err, Message: err.Error(), Path: ast.Path{ast.PathName(field.Alias)},
				Extensions: map[string]any{"code": fault.CodeOf(err)},
			}
		}
	}

	return nil
}
