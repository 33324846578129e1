package faults

import (
	"context"
	"errors"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

// cancel asks once to cancel, at the replica.
func (w *world) cancel(ctx context.Context, replica int, id string) error {
	return w.ask(ctx, w.replicas[replica].url(), mutationText("cancelDeployment", "deployment { id status }"),
		map[string]any{"input": map[string]any{"deployment": id}}, nil)
}

func TestCancelAtEveryMoment(t *testing.T) {
	t.Parallel()

	w := shop(t, 3, works)
	ctx := t.Context()

	first, err := w.deploy(ctx, "shop", "1.0.0", nil)
	if err != nil {
		t.Fatal(err)
	}

	if _, err := w.await(ctx, first.ID, 20*time.Second, is("SUCCEEDED")); err != nil {
		t.Fatal(err)
	}

	// After the end: refused, on both replicas.
	for i := range w.replicas {
		var refused *refusal
		if err := w.cancel(ctx, i, first.ID); !errors.As(err, &refused) || refused.Code != "CONFLICT" {
			t.Errorf("cancelling what is over is answered with %v, want CONFLICT", err)
		}
	}

	// At once after it was asked for, and then while it is verified: within
	// two seconds, said twice and on both replicas, and the old one goes on.
	for _, moment := range [][]string{{"QUEUED", "RUNNING", "VERIFYING"}, {"RUNNING", "VERIFYING"}, {"VERIFYING"}} {
		d, err := w.deploy(ctx, "shop", "1.0.1", nil)
		if err != nil {
			t.Fatal(err)
		}

		if _, err := w.await(ctx, d.ID, 20*time.Second, is(moment...)); err != nil {
			t.Fatal(err)
		}

		w.cancelled(t, d.ID)
		w.checkRunning(t, "shop")
	}

	w.cancelledWhileApplying(t)

	// While another one is under way: it never runs.
	holder, err := w.deploy(ctx, "shop", "1.0.1", nil)
	if err != nil {
		t.Fatal(err)
	}

	if _, err := w.await(ctx, holder.ID, 20*time.Second, is("VERIFYING")); err != nil {
		t.Fatal(err)
	}

	queued, err := w.deploy(ctx, "shop", "1.0.2", nil)
	if err != nil {
		t.Fatal(err)
	}

	if d := w.cancelled(t, queued.ID); d.ActedAt != nil {
		t.Errorf("deployment %s was cancelled while it was queued, and has acted", d.ID)
	}

	if _, err := w.await(ctx, holder.ID, 20*time.Second, is("SUCCEEDED")); err != nil {
		t.Error(err)
	}

	w.checkRunning(t, "shop")
	w.checkRecord(t)
}

// cancelledWhileApplying cancels while the target is being told, which is no
// safe point: it stops as soon as the target was told, and does not run.
func (w *world) cancelledWhileApplying(t *testing.T) {
	t.Helper()

	ctx := t.Context()
	free := w.seize(t, "shop")

	d, err := w.deploy(ctx, "shop", "1.0.2", nil)
	if err != nil {
		t.Fatal(err)
	}

	if _, err := w.await(ctx, d.ID, 20*time.Second, applying); err != nil {
		t.Fatal(err)
	}

	for i := range 2 * len(w.replicas) {
		if err := w.cancel(ctx, i%len(w.replicas), d.ID); err != nil {
			t.Error(err)
		}
	}

	free()
	w.cancelled(t, d.ID)
	w.checkRunning(t, "shop")
}

// cancelled cancels, twice on each replica at once, and waits for the end.
func (w *world) cancelled(t *testing.T, id string) deployment {
	t.Helper()

	var all errgroup.Group

	began := time.Now()

	for i := range 4 {
		all.Go(func() error { return w.cancel(t.Context(), i%len(w.replicas), id) })
	}

	if err := all.Wait(); err != nil {
		t.Errorf("cancel %s: %v", id, err)
	}

	d, err := w.await(t.Context(), id, 2*time.Second-time.Since(began), deployment.final)
	if err != nil {
		t.Fatal(err)
	}

	if d.Status != "CANCELLED" || d.StatusReason == "" {
		t.Errorf("deployment %s is %s (%s), want CANCELLED with what was applied", id, d.Status, d.StatusReason)
	}

	// It stays so when somebody says it again.
	if err := w.cancel(t.Context(), 0, id); err != nil {
		t.Errorf("cancel %s again: %v", id, err)
	}

	t.Logf("cancelled after %s: %s", time.Since(began).Round(time.Millisecond), d.StatusReason)

	return d
}
