package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/validator/rules"
)

func loadSchema(t *testing.T) *ast.Schema {
	t.Helper()

	text, err := os.ReadFile("../../schema.graphql")
	if err != nil {
		t.Fatal(err)
	}

	schema, err := gqlparser.LoadSchema(&ast.Source{Name: "schema.graphql", Input: string(text)})
	if err != nil {
		t.Fatal(err)
	}

	return schema
}

func TestDocumentsAreValid(t *testing.T) {
	t.Parallel()

	schema := loadSchema(t)

	files, err := documents.ReadDir("documents")
	if err != nil {
		t.Fatal(err)
	}

	for _, file := range files {
		name := strings.TrimSuffix(file.Name(), filepath.Ext(file.Name()))
		if strings.HasPrefix(name, "fragment") {
			continue
		}

		t.Run(name, func(t *testing.T) {
			t.Parallel()

			text, err := document(name)
			if err != nil {
				t.Fatal(err)
			}

			parsed, problems := gqlparser.LoadQueryWithRules(schema, text, rules.NewDefaultRules())
			if len(problems) > 0 {
				t.Fatal(problems)
			}

			if len(parsed.Operations) != 1 {
				t.Fatalf("%d operations, want one", len(parsed.Operations))
			}

			operation := parsed.Operations[0]
			if want := strings.ToUpper(name[:1]) + name[1:]; operation.Name != want {
				t.Errorf("the operation is called %s, want %s", operation.Name, want)
			}

			if operation.Operation == ast.Subscription {
				resumable(t, operation)
			}
		})
	}
}

// resumable checks what the client needs to resume a subscription.
func resumable(t *testing.T, operation *ast.OperationDefinition) {
	t.Helper()

	if operation.VariableDefinitions.ForName("after") == nil {
		t.Error("a subscription must take $after")
	}

	root, ok := operation.SelectionSet[0].(*ast.Field)
	if !ok || len(operation.SelectionSet) != 1 {
		t.Fatal("a subscription must have one root field")
	}

	for _, selection := range root.SelectionSet {
		if field, ok := selection.(*ast.Field); ok && field.Alias == "cursor" {
			return
		}
	}

	t.Error("a subscription must select cursor")
}
