package transport_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"github.com/shiplog/shiplog/internal/fault"
	"github.com/shiplog/shiplog/server/transport"
	"github.com/shiplog/shiplog/server/transport/testschema"
)

// The most that refusing a request may take. The time is the shortest of
// several runs: the machine that tests may be busy with other things.
const (
	refusalTime   = slowdown * 50 * time.Millisecond
	refusalMemory = 8 << 20
	allowedTime   = slowdown * 500 * time.Millisecond // 50 ms on an idle machine
)

// attacks are documents that cost much to validate or execute.
func attacks() map[string]string {
	fields := func(format string, n int) string {
		var s strings.Builder
		for i := range n {
			fmt.Fprintf(&s, format, i)
		}

		return s.String()
	}

	return map[string]string{
		"100k directives":         "{ hello" + strings.Repeat(" @a", 100_000) + " }",
		"7k directives":           "{ hello" + strings.Repeat("@a", 3_500) + " }",
		"10k aliases":             "{" + fields("a%d: hello ", 10_000) + "}",
		"2k aliases":              "{" + fields("a%d: hello ", 2_000) + "}",
		"depth 1,000":             strings.Repeat("{ list ", 1_000) + strings.Repeat("}", 1_000),
		"depth 400":               strings.Repeat("{ list ", 400) + strings.Repeat("}", 400),
		"circular fragments":      "{ ...a } fragment a on Query { ...b } fragment b on Query { hello ...a }",
		"limits in fragments":     "{ ...a } fragment a on Query { list { ...b } } fragment b on Item {" + fields("a%d: name ", 250) + "}",
		"doubling fragments":      "{ list { ...f0 } }" + fields("fragment f%d on Item { a: parent { ...f0 } b: parent { ...f0 } } ", 1_000),
		"nested introspection":    "{ __schema { types { fields { type { fields { type { fields { type { fields { name } } } } } } } } } }",
		"nested lists":            "{ list(limit: 100) { children(first: 100) { nodes { children(first: 100) { nodes { id } } } } } }",
		"1 MB of white space":     "{ hello" + strings.Repeat(" ", 1_000_000) + strings.Repeat("@a ", 10_000) + "}",
		"many fields of one name": "{ list {" + strings.Repeat("name ", 7_000) + "} }",
	}
}

func TestAttacksAreRefusedCheaply(t *testing.T) { //nolint:paralleltest // it measures
	config := transport.DefaultExecutorConfig()
	config.Report = func(_ context.Context, _ string, err error) { t.Error(err) }

	executor, err := transport.NewExecutor(testschema.New(&testschema.Resolvers{}), config)
	if err != nil {
		t.Fatal(err)
	}

	for name, query := range attacks() {
		t.Run(name, func(t *testing.T) {
			shortest, least := time.Hour, uint64(1<<62)

			for run := 0; run < 10 && (run < 3 || shortest > refusalTime); run++ {
				var before, after runtime.MemStats

				runtime.GC()
				runtime.ReadMemStats(&before)

				start := time.Now()
				oc, errs := executor.CreateOperationContext(t.Context(), &graphql.RawParams{Query: query})
				took := time.Since(start)

				runtime.ReadMemStats(&after)

				if errs == nil {
					t.Fatal("the request is taken")
				}

				ctx := graphql.WithOperationContext(t.Context(), oc)
				if code := executor.DispatchError(ctx, errs).Errors[0].Extensions["code"]; code != string(fault.TooComplex) {
					t.Fatalf("refused as %s: %v", code, errs)
				}

				shortest, least = min(shortest, took), min(least, after.TotalAlloc-before.TotalAlloc)
			}

			t.Logf("%v, %d kB", shortest, least>>10)

			if shortest > refusalTime || least > refusalMemory {
				t.Errorf("refusing took %v and %d bytes", shortest, least)
			}
		})
	}
}

// What passes the limits must not cost much to validate either.
func TestTheWorstAllowedIsCheap(t *testing.T) { //nolint:paralleltest // it measures
	config := transport.DefaultExecutorConfig()
	config.CacheBytes = 0
	config.Report = func(_ context.Context, _ string, err error) { t.Error(err) }

	executor, err := transport.NewExecutor(testschema.New(&testschema.Resolvers{}), config)
	if err != nil {
		t.Fatal(err)
	}

	var unknown strings.Builder
	for i := range 990 {
		fmt.Fprintf(&unknown, "nam%d ", i)
	}

	for name, query := range map[string]string{
		"fields of one name":       "{ list {" + strings.Repeat("name ", 990) + "} }",
		"objects of one name":      "{ list {" + strings.Repeat("parent { name } ", 490) + "} }",
		"nested of one name":       "{ list {" + strings.Repeat("parent { parent { parent { name } } } ", 240) + "} }",
		"arguments of one name":    "{ list {" + strings.Repeat("children(first: 1) { totalCount } ", 490) + "} }",
		"unknown fields":           "{ list {" + unknown.String() + "} }",
		"spreads of one fragment":  "{ list {" + strings.Repeat("...f ", 390) + "} } fragment f on Item { name id parent { id } }",
		"inline fragments of one":  "{ list {" + strings.Repeat("... on Item { name } ", 390) + "} }",
		"arguments nobody defined": "{ hello(" + strings.Repeat("a: 1 ", 2_600) + ") }",
		"variables":                "query(" + strings.Repeat("$a: Int ", 1_900) + ") { hello }",
	} {
		t.Run(name, func(t *testing.T) {
			shortest := time.Hour

			for range 3 {
				start := time.Now()
				_, _ = executor.CreateOperationContext(t.Context(), &graphql.RawParams{Query: query})
				shortest = min(shortest, time.Since(start))
			}

			t.Logf("%v", shortest)

			if shortest > allowedTime {
				t.Errorf("checking took %v", shortest)
			}
		})
	}
}
