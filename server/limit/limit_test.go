package limit_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"
	"github.com/vektah/gqlparser/v2/validator/rules"

	"github.com/shiplog/shiplog/internal/fault"
	"github.com/shiplog/shiplog/server/limit"
)

const schema = `
type Query { items(first: Int, last: Int): Connection! list: [Item!]! limited(limit: Int = 7): [Item!] nodes(ids: [ID!]!): [Item]! one: Item name: String }
type Connection { edges: [Edge!]! nodes: [Item!]! other: [Item!]! totalCount: Int! }
type Edge { node: Item! }
type Item { id: ID! one: Item items(first: Int): Connection! }
`

func TestShape(t *testing.T) {
	t.Parallel()

	config := limit.Default()

	for name, c := range map[string]struct {
		query   string
		refused bool
	}{
		"plain":               {"{ a b c }", false},
		"deepest allowed":     {nest(config.Depth), false},
		"too deep":            {nest(config.Depth + 1), true},
		"too deep by spreads": {chain(config.Depth + 1), true},
		"circular":            {"{ ...a } fragment a on Q { ...b } fragment b on Q { x ...a }", true},
		"circular, unused":    {"{ x } fragment a on Q { ...a }", true},
		"aliases":             {"{" + many("a%d: x ", config.Aliases+1) + "}", true},
		"aliases in fragments": {
			"{ " + many("b%d { ...a } ", 11) + "} fragment a on Q {" + many("a%d: x ", 20) + "}", true,
		},
		"aliases doubled by spreads": {doubling(30), true},
		"directives":                 {"{ x" + many(" @a%d", config.Directives+1) + "}", true},
		"directives on variables":    {"query(" + many("$v%d: Int @d ", config.Directives+1) + ") { x }", true},
		"spreads":                    {"{" + many("...{ x } ", config.Spreads+1) + "}", true},
		"fields":                     {"{ a {" + strings.Repeat("x ", config.Fields) + "} }", true},
		"root fields":                {"{" + strings.Repeat("x ", config.RootFields+1) + "}", true},
		"root fields in a fragment":  {"{ ...a } fragment a on Q {" + strings.Repeat("x ", config.RootFields+1) + "}", true},
		"fields of another operation": {
			"query a { x } query b { y {" + strings.Repeat("x ", config.Fields) + "} }", true,
		},
		"unused fragments together": {
			"{ x } " + many("fragment f%d on Q { "+strings.Repeat("x ", 100)+"} ", 16), true,
		},
		"introspection":        {"{ __schema { types { fields { args { type { name } } } } } }", false},
		"nested introspection": {"{ __schema { types { fields { type { fields { type { fields { name } } } } } } } }", true},
		"nested introspection in fragments": {
			"{ __type(name: \"a\") { ...a } } fragment a on T { fields { type { ...b } } } " +
				"fragment b on T { fields { type { ...c } } } fragment c on T { possibleTypes { name } }", true,
		},
		"own fields of those names": {"{ fields { fields { fields { fields } } } }", false},
		"undefined fragment":        {"{ ...nothing }", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			doc, err := parser.ParseQuery(&ast.Source{Input: c.query})
			if err != nil {
				t.Fatal(err)
			}

			err = config.CheckShape(doc)
			if c.refused != (err != nil) || err != nil && !fault.Is(err, fault.TooComplex) {
				t.Errorf("refused: %v, not %v", err, c.refused)
			}
		})
	}
}

func nest(depth int) string {
	return strings.Repeat("{ x ", depth) + strings.Repeat("}", depth)
}

// chain is as deep, one level a fragment.
func chain(depth int) string {
	return "{ x { ...f1 } }" + many("fragment f%[1]d on Q { x { ...f%[2]d } } ", depth-2) + fmt.Sprintf("fragment f%d on Q { x }", depth-1)
}

// doubling has 2^n aliases.
func doubling(n int) string {
	return "{ ...f1 }" + many("fragment f%[1]d on Q { p { ...f%[2]d } q { ...f%[2]d } } ", n) + fmt.Sprintf("fragment f%d on Q { a: x }", n+1)
}

// many repeats the format for 1 to n, with n and n+1.
func many(format string, n int) string {
	var s strings.Builder

	for i := range n {
		switch {
		case strings.Contains(format, "%["):
			fmt.Fprintf(&s, format, i+1, i+2)
		case strings.Contains(format, "%"):
			fmt.Fprintf(&s, format, i+1)
		default:
			s.WriteString(format)
		}
	}

	return s.String()
}

func TestTokens(t *testing.T) {
	t.Parallel()

	config := limit.Default()

	for name, c := range map[string]struct {
		query   string
		refused bool
	}{
		"most":              {"{" + strings.Repeat("x ", config.Tokens-2) + "}", false},
		"one more":          {"{" + strings.Repeat("x ", config.Tokens-1) + "}", true},
		"100k directives":   {"{ x" + strings.Repeat(" @a", 100_000) + "}", true},
		"depth 1,000":       {nest(1_000), true},
		"nested lists":      {"{ x(a: " + strings.Repeat("[", 1_000) + strings.Repeat("]", 1_000) + ") }", true},
		"a broken document": {"{ \x00", false},
	} {
		if _, err := config.CheckTokens(c.query); c.refused != (err != nil) || err != nil && !fault.Is(err, fault.TooComplex) {
			t.Errorf("%s: refused: %v, not %v", name, err, c.refused)
		}
	}
}

func TestCost(t *testing.T) {
	t.Parallel()

	parsed, err := gqlparser.LoadSchema(&ast.Source{Input: schema})
	if err != nil {
		t.Fatal(err)
	}

	config := limit.Default()

	for _, c := range []struct {
		query     string
		variables map[string]any
		cost      int
	}{
		{query: "{ name }", cost: 0},
		{query: "{ one { id one { id } } }", cost: 2},
		{query: "{ list { id } }", cost: config.ListSize},
		{query: "{ limited { id } }", cost: 7},
		{query: "{ limited(limit: 3) { one { id } } }", cost: 6},
		{query: `{ nodes(ids: ["a", "b"]) { id } }`, cost: 2},
		{query: "query($ids: [ID!]!) { nodes(ids: $ids) { id } }", variables: map[string]any{"ids": []any{"a", "b", "c"}}, cost: 3},
		{query: "{ items { nodes { id } } }", cost: 1 + config.PageSize},
		{query: "{ items(first: 10) { totalCount } }", cost: 1},
		{query: "{ items(first: 10) { edges { node { id } } } }", cost: 1 + 10*2},
		{query: "{ items(first: 10) { other { id } } }", cost: 1 + config.ListSize},
		{query: "{ items(last: 4) { nodes { items(first: 5) { nodes { id } } } } }", cost: 1 + 4*(1+1+5)},
		{query: "query($n: Int = 6) { items(first: $n) { ...c } } fragment c on Connection { nodes { id } }", variables: map[string]any{"n": int64(6)}, cost: 7},
		{query: "query($n: Int = 6) { items(first: $n) { nodes { id } } }", variables: map[string]any{"n": int64(2)}, cost: 3},
		{query: "query($n: Int) { items(first: $n) { nodes { id } } }", variables: map[string]any{"n": nil}, cost: 1 + config.PageSize},
		{query: "{ items(first: -5) { nodes { id } } }", cost: 1},
		{query: "{ __schema { types { name } } a: __type(name: \"Query\") { name } }", cost: 2 * config.IntrospectionCost},
	} {
		doc, errs := gqlparser.LoadQueryWithRules(parsed, c.query, rules.NewDefaultRules())
		if errs != nil {
			t.Fatalf("%s: %v", c.query, errs)
		}

		got, err := config.CheckCost(doc.Operations[0], c.variables)
		if err != nil || got.Requested != c.cost || got.Maximum != config.Cost {
			t.Errorf("%s: %+v (%v), not %d", c.query, got, err, c.cost)
		}
	}

	doc, errs := gqlparser.LoadQueryWithRules(parsed,
		"{ items(first: 2000000000) { nodes { items(first: 2000000000) { nodes { items(first: 2000000000) { nodes { id } } } } } } }",
		rules.NewDefaultRules())
	if errs != nil {
		t.Fatal(errs)
	}

	if got, err := config.CheckCost(doc.Operations[0], nil); !fault.Is(err, fault.TooComplex) || got.Requested <= config.Cost {
		t.Errorf("%+v %v", got, err)
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()

	if err := limit.Default().Validate(); err != nil {
		t.Error(err)
	}

	for _, broken := range []limit.Config{{}, func() limit.Config { c := limit.Default(); c.PageSize = -1; return c }()} {
		if broken.Validate() == nil {
			t.Errorf("%+v is taken", broken)
		}
	}
}
