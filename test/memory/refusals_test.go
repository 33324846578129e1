//go:build unix

package memory

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestRefusals gives every field of every mutation's input something bad of
// each kind. No answer may be a fault of the program; each has a code of the
// contract and names the field. Then come inputs that are good in themselves,
// with the state of things against them. All answers are in one golden file, the
// same for both databases; every mutation has one for each class of what may be
// bad about its input.
func TestRefusals(t *testing.T) {
	schema := readSchema(t)
	golden := filepath.Join("testdata", "refusals.golden")

	var (
		lock    sync.Mutex
		answers = map[string]string{}
	)

	t.Run("each", func(t *testing.T) {
		for _, dialect := range []string{"sqlite", "postgres"} {
			t.Run(dialect, func(t *testing.T) {
				t.Parallel()

				text := refusals(t, serve(t, dialect, nil), schema)

				lock.Lock()
				defer lock.Unlock()

				answers[dialect] = text
			})
		}
	})

	if *update {
		if err := os.WriteFile(golden, []byte(answers["sqlite"]), 0o600); err != nil {
			t.Fatal(err)
		}
	}

	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}

	for dialect, got := range answers {
		if line := firstDifference(got, string(want)); line != "" {
			t.Errorf("%s answers otherwise than %s says (-update writes it anew):\n%s", dialect, golden, line)
		}
	}
}

func readSchema(t *testing.T) *ast.Schema {
	t.Helper()

	text, err := os.ReadFile(filepath.Join("..", "..", "schema.graphql"))
	if err != nil {
		t.Fatal(err)
	}

	schema, err := gqlparser.LoadSchema(&ast.Source{Name: "schema.graphql", Input: string(text)})
	if err != nil {
		t.Fatal(err)
	}

	return schema
}

// refusals sends everything that is bad and gives the answers, a line each.
func refusals(t *testing.T, a *api, schema *ast.Schema) string {
	t.Helper()

	var (
		text     bytes.Buffer
		fixtures = newFixtures(t, a)
		codes    = schema.Types["ErrorCode"].EnumValues
		counted  = map[string]int{}
		refused  = map[string]map[string]int{}
		n        = 0
	)

	for _, mutation := range schema.Mutation.Fields {
		document := documentFor(schema, mutation)
		fmt.Fprintf(&text, "# %s\n", mutation.Name)

		refused[mutation.Name] = map[string]int{}

		good := fixtures.input(mutation.Name, "", n)
		fmt.Fprintf(&text, "(good): %s\n", fixtures.tell(send(t, a, document, good)))

		usually := map[string]string{}
		usual := func(path string) string {
			if _, known := usually[path]; !known {
				n++
				usually[path] = fixtures.tell(send(t, a, document, fixtures.input(mutation.Name, path, n)))
			}

			return usually[path]
		}

		for _, c := range badInputs(schema, mutation.Arguments.ForName("input").Type) {
			n++

			got := send(t, a, document, c.in(fixtures.input(mutation.Name, c.path, n)))
			line := fmt.Sprintf("%s %s: %s", c.path, c.kind, fixtures.tell(got))
			text.WriteString(line + "\n")

			counted[got.code()]++

			if got.code() != "" {
				refused[mutation.Name][classOf(c)]++
			}

			switch code := got.code(); {
			case got.Status >= 500, code == "INTERNAL", code == "UNAVAILABLE":
				t.Errorf("%s, %s: status %d", mutation.Name, line, got.Status)
			case code == "":
			case codes.ForName(code) == nil:
				t.Errorf("%s, %s: this code is not one of ErrorCode", mutation.Name, line)
			case code == "INVALID_INPUT" || code == "NOT_FOUND" || code == "CONFLICT":
				// What is refused for the state of things is refused with a
				// good value too.
				if !names(got.field(), c.path) && fixtures.tell(got) != usual(c.path) {
					t.Errorf("%s, %s: the field is not named", mutation.Name, line)
				}
			}
		}
	}

	text.WriteString(refusedFor(t, a, fixtures, schema, refused))
	complete(t, schema, refused)

	t.Logf("%d bad inputs: %v", n, counted)

	return text.String()
}

// names reports whether the field of a refusal is that of the input, or of
// what is in it or around it, or of what means nothing without it or instead
// of it.
func names(field, path string) bool {
	return field != "" && (within(field, path) || within(path, field) || path == "image" && field == "digest" || path == "catalogRef" && field == "name")
}

func within(inner, outer string) bool {
	rest, ok := strings.CutPrefix(inner, outer)

	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

func send(t *testing.T, a *api, document string, input object) answer {
	t.Helper()

	got, err := a.post(document, object{"input": input})
	if err != nil {
		t.Fatal(err)
	}

	return got
}

// documentFor calls a mutation and selects an id of its payload.
func documentFor(schema *ast.Schema, mutation *ast.FieldDefinition) string {
	var selection []string

	for _, f := range schema.Types[mutation.Type.Name()].Fields {
		if t := schema.Types[f.Type.Name()]; t.Kind == ast.Object {
			selection = append(selection, f.Name+" { __typename }")
		} else {
			selection = append(selection, f.Name)
		}
	}

	return fmt.Sprintf("mutation($input: %s) { %s(input: $input) { %s } }",
		mutation.Arguments.ForName("input").Type, mutation.Name, strings.Join(selection, " "))
}

// varying are the parts of an answer that differ from run to run.
var varying = regexp.MustCompile(`\b(service|version|environment|target|configuration|snapshot|deployment|step|check|rule|decision|hold|event)_[0-9a-hjkmnp-tv-z]{26}`)

// tell gives an answer as a line of the golden file.
func (f *fixtures) tell(got answer) string {
	if len(got.Errors) == 0 {
		return "ok"
	}

	e := got.Errors[0]
	message := varying.ReplaceAllStringFunc(e.Message, func(id string) string {
		if name, ok := f.names[id]; ok {
			return name
		}

		kind, _, _ := strings.Cut(id, "_")

		return kind + "_…"
	})

	text, err := json.Marshal(message)
	if err != nil {
		f.t.Fatal(err)
	}

	return fmt.Sprintf("%d %s %s %s", got.Status, e.Extensions.Code, e.Extensions.Field, text)
}

func firstDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")

	for i := range max(len(g), len(w)) {
		switch {
		case i >= len(g):
			return "- " + w[i]
		case i >= len(w):
			return "+ " + g[i]
		case g[i] != w[i]:
			return fmt.Sprintf("line %d\n- %s\n+ %s", i+1, w[i], g[i])
		}
	}

	return ""
}

// badInput is one bad thing at one place of an input.
type badInput struct {
	path, kind string
	value      any
	drop       bool
}

// in puts it into a good input.
func (c badInput) in(good object) object {
	var at any = good

	parts := strings.Split(c.path, ".")
	for _, part := range parts[:len(parts)-1] {
		name, element := strings.CutSuffix(part, "[0]")
		at = at.(object)[name]

		if element {
			at = at.([]any)[0]
		}
	}

	last := parts[len(parts)-1]
	parent := at.(object)

	name, element := strings.CutSuffix(last, "[0]")

	switch {
	case c.drop:
		delete(parent, name)
	case element:
		parent[name] = []any{c.value}
	default:
		parent[name] = c.value
	}

	return good
}

// badInputs gives all that is bad for an input type, recursively.
func badInputs(schema *ast.Schema, of *ast.Type) []badInput {
	return badFields(schema, schema.Types[of.Name()], "")
}

func badFields(schema *ast.Schema, input *ast.Definition, prefix string) (all []badInput) {
	for _, f := range input.Fields {
		path := prefix + f.Name
		all = append(all, badInput{path: path, kind: "missing", drop: true}, badInput{path: path, kind: "null"})

		element := f.Type
		if f.Type.Elem != nil {
			all = append(all, badInput{path: path, kind: "empty list", value: []any{}}, badInput{path: path, kind: "wrong type", value: object{"a": 1}},
				badInput{path: path, kind: "2,000 of them", value: slices.Repeat([]any{someOf(schema, f.Type.Elem)}, 2000)})
			path += "[0]"
			element = f.Type.Elem
		}

		all = append(all, badValues(schema, element, path)...)

		if t := schema.Types[element.Name()]; t.Kind == ast.InputObject {
			all = append(all, badFields(schema, t, path+".")...)
		}
	}

	return append(all, badInput{path: prefix + "nonsense", kind: "unknown field", value: 1})
}

// someOf gives something acceptable to a list.
func someOf(schema *ast.Schema, of *ast.Type) any {
	switch t := schema.Types[of.Name()]; t.Kind {
	case ast.Enum:
		return t.EnumValues[0].Name
	case ast.InputObject:
		return object{"reference": "registry.example/a:1"}
	default:
		return "one"
	}
}

// badValues gives all that is bad for one value.
func badValues(schema *ast.Schema, of *ast.Type, path string) (all []badInput) {
	add := func(kind string, value any) { all = append(all, badInput{path: path, kind: kind, value: value}) }

	definition := schema.Types[of.Name()]
	if definition.Kind == ast.Enum {
		add("unknown enum", "NOPE")
		add("empty", "")
		add("wrong type", 5)

		return all
	}

	if definition.Kind == ast.InputObject {
		add("wrong type", "text")
		add("list", []any{[]any{}})

		if definition.Directives.ForName("oneOf") != nil {
			add("none of them", object{})
			add("all of them", object{definition.Fields[0].Name: object{}, definition.Fields[1].Name: "text"})
		}

		return all
	}

	switch definition.Name {
	case "Boolean":
		add("wrong type", "yes")
		add("number", 1)
	case "Int":
		add("wrong type", "seven")
		add("negative", -1)
		add("fraction", 1.5)
		add("over 32 bits", int64(1)<<31)
		add("over 64 bits", json.RawMessage("99999999999999999999999"))
		add("huge", json.RawMessage("1e400"))
	case "Time":
		add("wrong type", 12)
		add("empty", "")

		for _, moment := range []string{
			"yesterday", "2026-02-30T00:00:00Z", "2026-03-01T12:00:00", "2026-03-01", "0000-01-01T00:00:00Z", "1969-12-31T23:59:59Z",
			"9999-12-31T23:59:59Z", "9999-12-31T23:59:59-14:00", "+10000-01-01T00:00:00Z", "2026-03-01T12:00:00.123456789+14:00",
		} {
			add(moment, moment)
		}
	case "Labels":
		add("wrong type", "text")
		add("a number in it", object{"a": 1})
		add("an empty key", object{"": "a"})
		add("a bad key", object{"../": "a"})
		add("control", object{"a": "a\u0000b"})
		add("bidi", object{"a": "a\u202eb"})
		add("a long value", object{"a": long()})
		add("a long key", object{long(): "a"})
		add("too many", tooMany())
	case "JSON":
		add("wrong type", 12)
		add("text", "text")
		add("list", []any{1})
		add("control", object{"a": "\u0000"})
		add("deep", json.RawMessage(strings.Repeat(`{"a":`, 500)+"1"+strings.Repeat("}", 500)))
		add("huge number", json.RawMessage(`{"a": 1e400}`))
		add("1 MB", object{"a": long()})
		add("unknown key", object{"nonsense": 1})
	default:
		add("wrong type", object{"a": 1})
		add("number", 7)
		add("empty", "")
		add("1 MB", long())
		add("bidi", "a\u202eb")
		add("NUL", "a\u0000b")
		add("control", "a\u0007b\u007f")
		add("half a character", json.RawMessage(`"a\ud800b"`))
		add("line break", "a\nb")
		add("../", "../../etc/passwd")
		add("%00", "a%00b")
		add("markup", "<script>alert(1)</script>' OR 1=1 --")
	}

	if definition.Name == "ID" {
		add("unknown name", "nowhere")
		add("unknown id", idKind(path)+"_01k00000000000000000000000")
		add("id of another kind", "event_01k00000000000000000000000")
		add("odd id", "deployment_ZZZ")
	}

	return all
}

// idKind is the kind of id that a field takes.
func idKind(path string) string {
	switch path {
	case "sourceEnvironment", "targetEnvironment", "from":
		return "environment"
	case "to", "expectedCurrent":
		return "deployment"
	}

	return path
}

// long is text of nearly 1 MB: the largest that a request may bring.
func long() string { return strings.Repeat("x", 1_000_000) }

func tooMany() object {
	labels := object{}
	for i := range 65 {
		labels[fmt.Sprintf("label-%d", i)] = "a"
	}

	return labels
}

// clone copies an input so that a bad thing can be put into it.
func clone(in object) object {
	out := maps.Clone(in)

	for key, v := range out {
		switch v := v.(type) {
		case object:
			out[key] = clone(v)
		case []any:
			list := slices.Clone(v)
			for i := range list {
				if o, ok := list[i].(object); ok {
					list[i] = clone(o)
				}
			}

			out[key] = list
		}
	}

	return out
}
