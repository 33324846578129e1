package faults

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

// shop makes a world with two replicas and a service with so many versions.
func shop(t *testing.T, versions int, end string) *world {
	t.Helper()

	w := newWorld(t, "postgres", 2)
	if err := w.service(t.Context(), "shop"); err != nil {
		t.Fatal(err)
	}

	for i := range versions {
		if err := w.register(t.Context(), "shop", fmt.Sprintf("1.0.%d", i), end); err != nil {
			t.Fatal(err)
		}
	}

	return w
}

func TestManyDeploymentsOfOneServiceAtOnce(t *testing.T) {
	t.Parallel()

	const many = 50

	var (
		w    = shop(t, many, works)
		book notebook
		all  errgroup.Group
	)

	for i := range many {
		all.Go(func() error {
			d, err := w.deploy(t.Context(), "shop", fmt.Sprintf("1.0.%d", i), nil)
			if err == nil {
				book.write(d, true)
			}

			return err
		})
	}

	if err := all.Wait(); err != nil {
		t.Fatal(err)
	}

	if len(book.told) != many {
		t.Fatalf("%d were acknowledged, want %d", len(book.told), many)
	}

	// Everyone that lost names its winner, and the newest of all is in place.
	w.check(t, &book)

	newest := slices.MaxFunc(book.told, func(a, b told) int { return compare(a.ID, b.ID) })

	if d, err := w.find(t.Context(), newest.ID); err != nil || d.Status != "SUCCEEDED" {
		t.Errorf("the newest, %s, is %s (%v)", newest.ID, d.Status, err)
	}

	w.checkRecord(t)
}

func compare(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}

	return 0
}

func TestManyVersionsWithARule(t *testing.T) {
	t.Parallel()

	const many = 20

	w := shop(t, 0, works)

	if err := w.mutate(t.Context(), "putRule", "rule { id }", map[string]any{
		"name": "everything", "trigger": "VERSION_REGISTERED", "targetEnvironment": place,
	}, nil); err != nil {
		t.Fatal(err)
	}

	var (
		book notebook
		tick = time.NewTicker(2 * time.Second / many)
	)
	defer tick.Stop()

	for i := range many {
		var payload struct {
			Decisions []struct {
				Effect     string
				Deployment *deployment
			}
		}

		version := fmt.Sprintf("1.0.%d", i)
		document := w.score("shop", "shop/"+version, works)

		if i == 0 { // it takes longer than all the others to come
			var err error
			if document, err = w.late("shop", "shop/"+version, 4*time.Second); err != nil {
				t.Fatal(err)
			}
		}

		if err := w.mutate(t.Context(), "registerVersion", "decisions { effect deployment { "+deploymentFields+" } }", map[string]any{
			"service": "shop", "version": version, "workload": map[string]any{"score": document},
			"builtAt": time.Now().UTC().Format(time.RFC3339Nano),
		}, &payload); err != nil {
			t.Fatal(err)
		}

		if len(payload.Decisions) != 1 || payload.Decisions[0].Deployment == nil {
			t.Fatalf("version %s: the rule decided %+v", version, payload.Decisions)
		}

		book.write(*payload.Decisions[0].Deployment, true)

		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		}
	}

	w.check(t, &book)

	for i, one := range book.told {
		d, err := w.find(t.Context(), one.ID)
		if err != nil {
			t.Fatal(err)
		}

		want := "SUPERSEDED"
		if i == 0 || i == many-1 {
			want = "SUCCEEDED"
		}

		if d.Status != want {
			t.Errorf("number %d is %s, want %s", i, d.Status, want)
		}
	}

	w.checkRecord(t)
}

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

func TestTheSameVersionAgain(t *testing.T) {
	t.Parallel()

	w := shop(t, 1, works)
	ctx := t.Context()

	var before map[string][]string

	for i := range 3 {
		d, err := w.deploy(ctx, "shop", "1.0.0", nil)
		if err != nil {
			t.Fatal(err)
		}

		d, err = w.await(ctx, d.ID, 20*time.Second, is("SUCCEEDED"))
		if err != nil {
			t.Fatal(err)
		}

		now := w.pids(t)

		if i == 0 {
			before = now

			continue
		}

		if fmt.Sprint(now) != fmt.Sprint(before) || len(now) != 1 {
			t.Errorf("processes %v run, before it was %v", now, before)
		}

		said := ""
		var saidSb297 strings.Builder
		for _, s := range d.Steps {
			saidSb297.WriteString(s.Message + "\n")
		}
		said += saidSb297.String()

		if !slices.ContainsFunc(d.Steps, func(s step) bool {
			return s.Kind == "APPLY" && s.Message == "no change: the target has exactly this already"
		}) {
			t.Errorf("no step says that nothing changed:\n%s", said)
		}
	}

	w.checkRecord(t)
}
