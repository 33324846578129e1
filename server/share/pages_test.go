package share_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/shiplog/shiplog/internal/logs"
	"github.com/shiplog/shiplog/server/share"
	"github.com/shiplog/shiplog/server/transport"
)

// page answers a query with the executor.
func (b *bench) page(executor *transport.Executor, document string) []byte {
	b.t.Helper()

	ctx, oc, errs := operation(b.ctx(), executor, document, map[string]any{"yes": true})
	if errs != nil {
		b.t.Fatalf("%s: %v", document, errs)
	}

	handler, ctx := executor.DispatchOperation(ctx, oc)

	response := handler(ctx)
	if len(response.Errors) > 0 {
		b.t.Fatalf("%s: %v", document, response.Errors)
	}

	return response.Data
}

func TestPagesAreWrittenAlikeBothWays(t *testing.T) {
	t.Parallel()

	b := newBench(t, share.DefaultCacheBytes)
	n := 0

	rapid.Check(t, func(t *rapid.T) {
		n++
		id := b.deployment(fmt.Sprintf("page-%d", n))

		if lines := rapid.SliceOfN(rapid.Custom(drawLine), 0, 12).Draw(t, "lines"); len(lines) > 0 {
			b.append(id, lines...)
		}

		document := fmt.Sprintf("query ($yes: Boolean! = true) { deployment(id: %q) { id @skip(if: $yes) logs(%s) %s } }", id,
			rapid.SampledFrom([]string{"first: 5", "last: 5", "first: 100", `first: 9, filter: {contains: "a"}`}).Draw(t, "arguments"),
			selection(t, "LogLineConnection", 0))

		if got, want := b.page(b.pages, document), b.page(b.executor, document); !bytes.Equal(got, want) {
			t.Fatalf("%s\n got %s\nwant %s", document, got, want)
		}
	})

	if b.written.Load() == 0 {
		t.Error("no page was written the short way")
	}
}

// BenchmarkPage reads a page of 1,000 lines both ways.
func BenchmarkPage(b *testing.B) {
	k := newBench(b, share.DefaultCacheBytes)
	id := k.deployment("page")

	lines := make([]logs.Line, 1000)
	for i := range lines {
		lines[i] = logs.Line{Stream: logs.Container, Phase: logs.Rollout, Container: "main", Text: strings.Repeat("x", 200)}
	}

	k.append(id, lines...)

	document := fmt.Sprintf(`query { deployment(id: %q) { logs(last: 1000) { nodes { cursor time stream source { container } text } } } }`, id)

	for name, executor := range map[string]*transport.Executor{"ordinary": k.executor, "pages": k.pages} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				k.page(executor, document)
			}
		})
	}
}
