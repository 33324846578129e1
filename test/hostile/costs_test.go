//go:build unix

package hostile

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// What refusing a document may take at most: of the processor's time, which a
// busy machine does not stretch as it does a clock's, and of memory, garbage
// included. Both are the least of some runs, because the server has other
// things to do, too.
const (
	refusalTime   = 50 * time.Millisecond
	refusalMemory = 8 << 20
	refusalRuns   = 8
)

// costly are documents that would cost much to validate or execute.
func costly() map[string]string {
	numbered := func(format string, n int) string {
		var s strings.Builder
		for i := range n {
			fmt.Fprintf(&s, format, i)
		}

		return s.String()
	}

	const (
		down = "services(first: 1) { nodes { versions(first: 1) { nodes { service { "
		up   = "} } } } }"
	)

	return map[string]string{
		"100k directives":              "{ viewer { __typename" + strings.Repeat(" @a", 100_000) + " } }",
		"250 directives":               "{ viewer { __typename" + strings.Repeat(" @include(if: true)", 250) + " } }",
		"10k aliases":                  "{" + numbered("a%d: viewer { __typename } ", 10_000) + "}",
		"250 aliases":                  "{ viewer {" + numbered("a%d: __typename ", 250) + "} }",
		"depth 1,000":                  strings.Repeat("{ service ", 1_000) + strings.Repeat("}", 1_000),
		"depth 30":                     "{ " + down + strings.Repeat("versions(first: 1) { nodes { service { ", 10) + "name" + strings.Repeat("} } }", 10) + up + "}",
		"circular fragments":           "{ ...a } fragment a on Query { ...b } fragment b on Query { viewer { __typename } ...a }",
		"a fragment in itself":         "{ ...a } fragment a on Query { ...a }",
		"aliases in fragments":         "{ ...a } fragment a on Query { viewer { ...b } } fragment b on Viewer {" + numbered("a%d: __typename ", 250) + "}",
		"directives in fragments":      "{ ...a } fragment a on Query { viewer { __typename" + strings.Repeat(" @include(if: true)", 250) + " } }",
		"doubling fragments":           `{ service(name: "a") { ...f1 } }` + doubling(30),
		"depth in fragments":           "{ " + down + "...s0 " + up + "}" + chained(8),
		"nested introspection":         "{ __schema { types { fields { type { fields { type { fields { type { fields { name } } } } } } } } } }",
		"introspection in fragments":   "{ __schema { types { ...t } } } fragment t on __Type { fields { type { ...u } } } fragment u on __Type { fields { type { ...v } } } fragment v on __Type { fields { name } }",
		"nested lists":                 "{ services(first: 100) { nodes { versions(first: 100) { nodes { deployments(first: 100) { nodes { id } } } } } } }",
		"nested lists in fragments":    "{ services(first: 100) { ...s } } fragment s on ServiceConnection { nodes { versions(first: 100) { ...v } } } fragment v on VersionConnection { nodes { deployments(first: 100) { nodes { id } } } }",
		"many fields of one name":      "{ viewer {" + strings.Repeat("__typename ", 3_900) + "} }",
		"1 MB of space":                "{ viewer { __typename" + strings.Repeat(" ", 900_000) + strings.Repeat("@a ", 10_000) + "} }",
		"deep values":                  `{ services(filter: {labels: ` + strings.Repeat(`{a: `, 1_000) + "1" + strings.Repeat("}", 1_000) + `}) { nodes { id } } }`,
		"many operations":              numbered("query q%d { viewer { __typename } } ", 5_000),
		"many fields at the root":      "{" + strings.Repeat("viewer { __typename } ", 60) + "}",
		"many fields in subscriptions": "subscription { events { cursor event {" + strings.Repeat("id ", 1_500) + "} } }",
	}
}

// chained are n fragments, each of which goes three levels down to the next.
func chained(n int) string {
	var s strings.Builder
	for i := range n {
		fmt.Fprintf(&s, "fragment s%d on Service { versions(first: 1) { nodes { service { ...s%d } } } } ", i, i+1)
	}

	return s.String() + fmt.Sprintf("fragment s%d on Service { name }", n)
}

// doubling are n fragments, each of which has the next one twice.
func doubling(n int) string {
	var s strings.Builder
	for i := range n {
		fmt.Fprintf(&s, "fragment f%d on Service { ...f%[2]d ...f%[2]d } ", i+1, i+2)
	}

	return s.String() + fmt.Sprintf("fragment f%d on Service { name }", n+1)
}

// A document that would cost much is refused on every way in, before it does.
func TestCostlyDocuments(t *testing.T) { //nolint:paralleltest // it measures
	a := start(t, "sqlite")
	a.calm()

	for name, document := range costly() {
		for by, send := range ways() {
			if by == "GET" && len(document) > 100_000 {
				continue // net/http itself refuses a URL of that size
			}

			t.Run(name+"/"+by, func(t *testing.T) {
				a := a.of(t)
				took, least := time.Hour, uint64(1<<62)

				for run := 0; run < refusalRuns && (took > refusalTime || least > refusalMemory); run++ {
					before := a.measure()
					got := send(a, document, nil)
					after := a.measure()

					if got.code() != "TOO_COMPLEX" {
						t.Fatalf("%d %.500s", got.status, got.raw)
					}

					took, least = min(took, after.worked-before.worked), min(least, after.allocated-before.allocated)
				}

				t.Logf("%v of the processor, %d kB", took, least>>10)

				if took > refusalTime || least > refusalMemory {
					t.Errorf("refusing took %v of the processor and %d kB", took, least>>10)
				}
			})
		}
	}
}

// The cost is told on every way in, is the same however the document is
// written, and is told with its limit when it is the reason of a refusal.
func TestTheCostIsTold(t *testing.T) {
	t.Parallel()

	a := start(t, "sqlite")

	for name, c := range map[string]struct {
		documents []string
		variables any
		requested int
		refused   bool
	}{
		"nothing but names": {
			documents: []string{`{ __typename }`, `query Q { ...f } fragment f on Query { __typename }`},
		},
		"a page": {
			documents: []string{
				`query($n: Int) { services(first: $n) { nodes { id name } } }`,
				`query($n: Int) { ...q } fragment q on Query { services(first: $n) { ...c } } fragment c on ServiceConnection { nodes { ...s } } fragment s on Service { id name }`,
				`query($n: Int) { ... on Query { services(first: $n) { ... { nodes { ... on Node { id } ... on Service { name } } } } } }`,
				`query($n: Int = 7) { renamed: services(first: $n) { nodes { id, other: name @include(if: false) } } }`,
			},
			variables: object{"n": 7}, requested: 8,
		},
		"pages of pages": {
			documents: []string{
				`{ services(first: 10) { nodes { versions(first: 5) { edges { node { id } } } } } }`,
				`{ services(first: 10) { ...c } } fragment c on ServiceConnection { nodes { ...s } } fragment s on Service { versions(first: 5) { ...v } } fragment v on VersionConnection { edges { node { ...n } } } fragment n on Node { id }`,
			},
			requested: 1 + 10*(1+1+5*2),
		},
		"too much": {
			documents: []string{
				`{ services(first: 1000) { nodes { versions(first: 1000) { nodes { id } } } } }`,
				`{ ...q } fragment q on Query { services(first: 1000) { nodes { ...s } } } fragment s on Service { versions(first: 1000) { nodes { id } } }`,
			},
			requested: 1 + 1000*(1+1+1000), refused: true,
		},
	} {
		for by, send := range ways() {
			for i, document := range c.documents {
				t.Run(fmt.Sprintf("%s/%s/%d", name, by, i), func(t *testing.T) {
					got := send(a.of(t), document, c.variables)
					told := got.Extensions.Cost

					if c.refused {
						if got.code() != "TOO_COMPLEX" || got.Errors[0].Extensions.Cost == nil {
							t.Fatalf("%d %s", got.status, got.raw)
						}

						// A WebSocket's error message has nothing beside its errors.
						if by != "WebSocket" && (told == nil || *told != *got.Errors[0].Extensions.Cost) {
							t.Errorf("beside its error: %s", got.raw)
						}

						told = got.Errors[0].Extensions.Cost
					} else if got.code() != "" || told == nil {
						t.Fatalf("%d %s", got.status, got.raw)
					}

					if told.Requested != c.requested || told.Maximum != 50_000 {
						t.Errorf("%+v, not %d", *told, c.requested)
					}
				})
			}
		}
	}

	t.Run("a mutation", func(t *testing.T) {
		a := a.of(t)
		document := `mutation($n: String!) { createService(input: {name: $n}) { service { id versions(first: 3) { nodes { id } } } } }`

		for by, send := range ways() {
			if by == "GET" {
				continue // which takes no mutations
			}

			got := send(a, document, object{"n": "made-by-" + strings.ToLower(strings.ReplaceAll(by, " ", "-"))})
			if got.Extensions.Cost == nil || got.Extensions.Cost.Requested != 1+1+1+3 {
				t.Errorf("%s: %d %s", by, got.status, got.raw)
			}
		}
	})

	t.Run("a subscription that is too much", func(t *testing.T) {
		a := a.of(t)

		for by, send := range ways() {
			if by == "POST" || by == "GET" {
				continue // which take no subscriptions
			}

			got := send(a, `subscription { deploymentChanged { deployment { service { deployments(first: 1000) { nodes { service { versions(first: 1000) { nodes { id } } } } } } } } }`, nil)
			if got.code() != "TOO_COMPLEX" || got.Errors[0].Extensions.Cost == nil || got.Errors[0].Extensions.Cost.Requested <= 50_000 {
				t.Errorf("%s: %d %s", by, got.status, got.raw)
			}
		}
	})
}
