package repository

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
)

// TestEveryElementOfTheContractIsDescribed reads schema.graphql as clients do.
func TestEveryElementOfTheContractIsDescribed(t *testing.T) {
	t.Parallel()

	text, err := os.ReadFile(filepath.Join(root, "schema.graphql"))
	if err != nil {
		t.Fatal(err)
	}

	schema, err := gqlparser.LoadSchema(&ast.Source{Name: "schema.graphql", Input: string(text)})
	if err != nil {
		t.Fatal(err)
	}

	elements := 0
	described := func(description, what string) {
		elements++

		if description == "" {
			t.Errorf("%s is not described", what)
		}
	}

	for name, definition := range schema.Types {
		if definition.BuiltIn || schema.Query.Name == name || schema.Mutation.Name == name || schema.Subscription.Name == name {
			continue
		}

		described(definition.Description, name)
	}

	for name, definition := range schema.Types {
		if definition.BuiltIn {
			continue
		}

		for _, field := range definition.Fields {
			if field.Position == nil { // __schema and __type
				continue
			}

			described(field.Description, name+"."+field.Name)

			for _, argument := range field.Arguments {
				described(argument.Description, name+"."+field.Name+"("+argument.Name+":)")
			}
		}

		for _, value := range definition.EnumValues {
			described(value.Description, name+"."+value.Name)
		}
	}

	if elements < 500 {
		t.Errorf("%d elements were found", elements)
	}
}
