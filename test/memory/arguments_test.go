//go:build unix

package memory

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2/ast"
)

// TestArguments gives every argument of every field that can be asked or
// watched something bad of each kind, and so every field of every input type
// that they take. None may be answered with a fault of the program; what is
// refused has a code of the contract and names the argument.
func TestArguments(t *testing.T) {
	schema := readSchema(t)

	each(t, func(t *testing.T, a *api) {
		f := newFixtures(t, a)
		ask[object](a, `mutation { putRule(input: {name: "rule", trigger: VERSION_REGISTERED, targetEnvironment: "elsewhere", enabled: false}) { changed } }`, nil)

		counted, asked := map[string]int{}, 0

		for _, definition := range slices.Sorted(maps.Keys(schema.Types)) {
			d := schema.Types[definition]
			if d.Kind != ast.Object || d.Name == "Mutation" || strings.HasPrefix(d.Name, "__") {
				continue
			}

			for _, field := range d.Fields {
				if len(field.Arguments) == 0 || strings.HasPrefix(field.Name, "__") {
					continue
				}

				for _, c := range badArguments(schema, field) {
					asked++
					counted[badArgument(t, a, f, schema, d, field, c)]++
				}
			}
		}

		t.Logf("%d bad arguments: %v", asked, counted)
	})
}

// badArguments gives all that is bad for the arguments of a field: they are
// like the fields of an input.
func badArguments(schema *ast.Schema, field *ast.FieldDefinition) []badInput {
	input := &ast.Definition{}
	for _, a := range field.Arguments {
		input.Fields = append(input.Fields, &ast.FieldDefinition{Name: a.Name, Type: a.Type})
	}

	all := badFields(schema, input, "")

	return all[:len(all)-1] // an unknown variable is none
}

// badArgument asks the field with it and gives the code of the answer.
func badArgument(t *testing.T, a *api, f *fixtures, schema *ast.Schema, on *ast.Definition, field *ast.FieldDefinition, c badInput) string {
	t.Helper()

	what := fmt.Sprintf("%s.%s, %s %s", on.Name, field.Name, c.path, c.kind)
	variables := c.in(f.arguments(schema, on, field, c.path))

	var got answer

	if on.Name == "Subscription" {
		got = watch(t, a, documentAsking(schema, "", field), variables)
	} else {
		var err error
		if got, err = a.post(documentAsking(schema, f.way(on), field), variables); err != nil {
			t.Fatal(err)
		}
	}

	switch code := got.code(); {
	case got.Status >= 500, code == "INTERNAL", code == "UNAVAILABLE":
		t.Errorf("%s: %s", what, f.tell(got))
	case code == "" && (got.Status != http.StatusOK || len(got.Errors) > 0):
		t.Errorf("%s: status %d and no code", what, got.Status)
	case code == "":
	case schema.Types["ErrorCode"].EnumValues.ForName(code) == nil:
		t.Errorf("%s: %s: this code is not one of ErrorCode", what, f.tell(got))
	case code != "TOO_COMPLEX" && !names(got.field(), c.path):
		t.Errorf("%s: %s: the argument is not named", what, f.tell(got))
	}

	return got.code()
}

// way is how to get at an object of the type, "" for what is at the root.
func (f *fixtures) way(on *ast.Definition) string {
	const delivery = `deliveryMetrics(between: {from: "2024-01-01T00:00:00Z", to: "2025-01-01T00:00:00Z"}) { `

	way, ok := map[string]string{
		"Query":       "",
		"Service":     `service(name: "subject")`,
		"Version":     `version(service: "subject", name: "1.0.0")`,
		"Environment": `environment(name: "here")`,
		"Deployment":  fmt.Sprintf("deployment(id: %q)", f.failed),
		"Rule":        `rule(name: "rule")`,

		"DeploymentFrequency": delivery + "deploymentFrequency",
		"LeadTime":            delivery + "leadTime",
		"ChangeFailureRate":   delivery + "changeFailureRate",
		"TimeToRestore":       delivery + "timeToRestore",
	}[on.Name]
	if !ok {
		f.t.Fatalf("there is no way to %s, whose fields have arguments: write one", on.Name)
	}

	return way
}

// arguments are good ones for the case at the path: those that must be, and
// what has to be around the path.
func (f *fixtures) arguments(schema *ast.Schema, on *ast.Definition, field *ast.FieldDefinition, path string) object {
	good := clone(map[string]object{
		"Query.node":                  {"id": f.failed},
		"Query.nodes":                 {"ids": []any{f.failed}},
		"Query.version":               {"service": "subject", "name": "1.0.0"},
		"Query.environment":           {"name": "here"},
		"Query.deployment":            {"id": f.failed},
		"Query.rule":                  {"name": "rule"},
		"Query.evaluateRules":         {"service": "subject", "version": "1.0.0"},
		"Query.changes":               {"between": object{}},
		"Query.deliveryMetrics":       {"between": object{"from": "2024-01-01T00:00:00Z", "to": "2025-01-01T00:00:00Z"}},
		"Query.diff":                  {"from": object{"deployment": f.failed}, "to": object{"deployment": f.failed}},
		"Subscription.deploymentLogs": {"deployment": f.failed, "follow": false},
	}[on.Name+"."+field.Name])

	if good == nil {
		good = object{}
	}

	for _, a := range field.Arguments {
		if _, given := good[a.Name]; a.Type.NonNull && !given {
			f.t.Fatalf("there is no good argument %s for %s.%s yet: write one", a.Name, on.Name, field.Name)
		}

		_, given := good[a.Name]

		switch d := schema.Types[a.Type.Name()]; {
		case !within(path, a.Name) || path == a.Name:
		case d.Directives.ForName("oneOf") != nil:
			good[a.Name] = only(strings.TrimPrefix(path, a.Name+"."))
		case !given:
			good[a.Name] = skeleton(schema, a.Type)
		}
	}

	return good
}

// only gives an input of which one member is allowed, with that of the path
// and what it needs.
func only(path string) object {
	member, _, inside := strings.Cut(path, ".")
	if !inside {
		return object{}
	}

	return object{member: map[string]object{
		"environment": {"service": "subject", "environment": "here"},
		"version":     {"service": "subject", "version": "1.0.0"},
	}[member]}
}

// skeleton is a value in which every input object is there.
func skeleton(schema *ast.Schema, of *ast.Type) any {
	if of.Elem != nil {
		return []any{skeleton(schema, of.Elem)}
	}

	d := schema.Types[of.Name()]
	if d.Kind != ast.InputObject {
		return nil
	}

	value := object{}

	for _, f := range d.Fields {
		if inner := skeleton(schema, &ast.Type{NamedType: f.Type.Name()}); inner != nil {
			if f.Type.Elem != nil {
				inner = []any{inner}
			}

			value[f.Name] = inner
		}
	}

	return value
}

// documentAsking asks the field, of what is at the end of the way, with all of
// its arguments as variables.
func documentAsking(schema *ast.Schema, way string, field *ast.FieldDefinition) string {
	var declared, given []string

	for _, a := range field.Arguments {
		declared = append(declared, fmt.Sprintf("$%s: %s", a.Name, a.Type))
		given = append(given, fmt.Sprintf("%s: $%s", a.Name, a.Name))
	}

	asked := fmt.Sprintf("%s(%s)", field.Name, strings.Join(given, ", "))
	if schema.Types[field.Type.Name()].IsCompositeType() {
		asked += " { __typename }"
	}

	if way != "" {
		// A way may go through an object.
		asked = way + " { " + asked + " }" + strings.Repeat(" }", strings.Count(way, "{")-strings.Count(way, "}"))
	}

	operation := "query"
	if schema.Subscription.Fields.ForName(field.Name) == field {
		operation = "subscription"
	}

	return fmt.Sprintf("%s(%s) { %s }", operation, strings.Join(declared, ", "), asked)
}

// watch begins a subscription as an event stream and gives its first result.
// One that has not said anything when some requests were answered that came
// after it was accepted.
func watch(t *testing.T, a *api, document string, variables object) answer {
	t.Helper()

	body, err := json.Marshal(object{"query": document, "variables": variables})
	if err != nil {
		t.Fatal(err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()

	request, err := http.NewRequestWithContext(ctx, http.MethodPost, a.url+"/graphql", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}

	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "text/event-stream")

	response, err := a.http.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()

	first := make(chan []byte, 1)

	go func() { first <- firstEvent(response.Body) }()

	const enough = 3

	for asked := 0; ; asked++ {
		select {
		case raw := <-first:
			got := answer{Status: response.StatusCode}
			if raw == nil {
				return got // it was complete
			}

			if err := json.Unmarshal(raw, &got); err != nil {
				t.Fatalf("%v: %.300q", err, raw)
			}

			return got
		default:
		}

		if asked == enough {
			cancel()
			<-first

			return answer{Status: response.StatusCode}
		}

		ask[object](a, `{ viewer { __typename } }`, nil)
	}
}

// firstEvent gives the data of the first event, nil without any.
func firstEvent(stream io.Reader) []byte {
	lines := bufio.NewReader(stream)

	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return nil
		}

		if data, ok := bytes.CutPrefix(line, []byte("data: {")); ok {
			return append([]byte("{"), data...)
		}
	}
}
