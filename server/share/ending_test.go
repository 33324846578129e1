package share_test

import (
	"fmt"
	"testing"

	"github.com/shiplog/shiplog/internal/logs"
	"github.com/shiplog/shiplog/server/share"
)

// A stream that breaks must not look like one that is complete.
func TestABrokenStoreEndsStreamsWithAnError(t *testing.T) {
	t.Parallel()

	b := newBench(t, share.DefaultCacheBytes)
	id := b.deployment("broken")
	b.append(id, logs.Line{Stream: logs.Step, Phase: logs.Rollout, Text: "one"})

	document := fmt.Sprintf(`subscription { log: deploymentLogs(deployment: %q) { cursor } }`, id)

	ctx, oc, errs := b.operation(b.ctx(), document, nil)
	if errs != nil {
		t.Fatal(errs)
	}

	handler, ctx := b.executor.DispatchOperation(ctx, oc)
	if first := handler(ctx); first.Errors != nil {
		t.Fatal(first.Errors)
	}

	viewer, covered := b.sharer.Share(ctx, oc)
	if !covered {
		t.Fatal("not covered")
	}
	defer viewer.Close()

	if _, err := viewer.NextBatch(ctx, make([][]byte, 0, 4)); err != nil {
		t.Fatal(err)
	}

	if err := b.store.Close(); err != nil {
		t.Fatal(err)
	}

	last := handler(ctx)
	if last == nil || last.Data != nil || len(last.Errors) != 1 {
		t.Fatalf("the executed stream ended with %v", last)
	}

	if after := handler(ctx); after != nil {
		t.Errorf("%v after the last answer", after)
	}

	_, err := viewer.NextBatch(ctx, make([][]byte, 0, 4))
	if err == nil {
		t.Fatal("the shared stream went on")
	}

	shared := b.executor.DispatchError(ctx, asList(err))
	if got, want := shared.Errors[0], last.Errors[0]; got.Extensions["code"] != want.Extensions["code"] || got.Path.String() != want.Path.String() {
		t.Errorf("the shared stream ended with %v at %q, not %v at %q", got.Extensions, got.Path, want.Extensions, want.Path)
	}
}
