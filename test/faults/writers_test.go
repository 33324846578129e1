package faults

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/shiplog/shiplog/internal/store"
)

// written is what a kind of write was acknowledged, and how many there were
// before.
type written struct {
	creation

	asked  string
	before int
	told   atomic.Int64
}

// On an embedded database there is one writer: many callers at once wait for
// their turn, and none is told that the database is busy.
func TestManyWritersOnTheEmbeddedDatabase(t *testing.T) {
	t.Parallel()

	const writers = 50

	w := newWorld(t, "sqlite", 1)
	ctx := t.Context()

	if err := w.mutate(ctx, "createEnvironment", "environment { id }", map[string]any{
		"name": "elsewhere", "tier": "OTHER", "rank": 1, "target": map[string]any{"kind": "EXTERNAL"},
	}, nil); err != nil {
		t.Fatal(err)
	}

	for _, service := range []string{"shop", "other"} {
		if err := w.service(ctx, service); err != nil {
			t.Fatal(err)
		}
	}

	if err := w.register(ctx, "shop", "1.0.0", works); err != nil {
		t.Fatal(err)
	}

	source, err := w.deploy(ctx, "shop", "1.0.0", nil)
	if err != nil {
		t.Fatal(err)
	}

	if _, err := w.await(ctx, source.ID, 20*time.Second, is("SUCCEEDED")); err != nil {
		t.Fatal(err)
	}

	if err := w.replicas[0].kill(); err != nil {
		t.Fatal(err)
	}

	all := w.count(t, source.ID)

	if err := w.replicas[0].start(ctx); err != nil {
		t.Fatal(err)
	}

	before, err := w.replicas[0].load(ctx)
	if err != nil {
		t.Fatal(err)
	}

	var (
		work   errgroup.Group
		number atomic.Int64
		asked  longest
		until  = time.Now().Add(shared(t).last(6*time.Second, time.Minute))
		c      = patient(w.replicas[0])
	)

	for range writers {
		work.Go(func() error {
			for time.Now().Before(until) {
				n := number.Add(1)
				one := all[int(n)%len(all)]
				input := one.input(int(n) + 1000)
				input["idempotencyKey"] = uuid.NewString()

				began := time.Now()

				// Once: whatever is refused here was seen by a client.
				if err := c.ask(ctx, c.urls[0], mutationText(one.mutation, one.selection), map[string]any{"input": input}, nil); err != nil {
					return fmt.Errorf("%s: %w", one.mutation, err)
				}

				asked.note(time.Since(began))
				one.told.Add(1)
			}

			return nil
		})
	}

	// Readers do not wait for writers.
	work.Go(func() error { return reading(ctx, c, until) })

	if err := work.Wait(); err != nil {
		t.Error(err)
	}

	t.Logf("%d writes by %d writers, the longest took %s", asked.n, writers, asked.took.Round(time.Millisecond))

	if asked.took > 10*time.Second {
		t.Errorf("a writer waited %s", asked.took)
	}

	w.settled(t)
	c.http.CloseIdleConnections()
	w.http.CloseIdleConnections()
	settles(t, w.replicas[0], before)

	if err := w.replicas[0].kill(); err != nil {
		t.Fatal(err)
	}

	s := w.checkRecord(t)

	told := map[string]int{}
	for _, one := range all {
		told[one.asked] += int(one.told.Load())
	}

	for _, one := range all {
		after, err := one.count(ctx, s)
		if err != nil {
			t.Fatal(err)
		}

		if after-one.before != told[one.asked] {
			t.Errorf("%s: %d were acknowledged, %d are there", one.asked, told[one.asked], after-one.before)
		}
	}
}

// count opens the database, which nobody has open, and counts what there is of
// everything that can be written.
func (w *world) count(t *testing.T, source string) []*written {
	t.Helper()

	s, err := store.Open(t.Context(), store.Config{URL: w.database})
	if err != nil {
		t.Fatal(err)
	}

	var all []*written

	for _, c := range creations(t, w, source) {
		switch c.mutation { // among many, refused whenever another one has just done it
		case "undeploy", "createHold":
			continue
		case "promote", "promoteEnvironment": // until something was recorded, there is nothing to promote
			continue
		case "rollback": // its hold would stand against the others
			input := c.input
			c.input = func(n int) map[string]any {
				in := input(n)
				in["hold"] = false

				return in
			}
		}

		n, err := c.count(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}

		asked := c.mutation

		switch asked { // all of them make deployments
		case "recordDeployment", "redeploy", "rollback":
			asked = "deploy"
		}

		all = append(all, &written{creation: c, asked: asked, before: n})
	}

	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	return all
}

// reading reads until the end.
func reading(ctx context.Context, c *client, until time.Time) error {
	for time.Now().Before(until) {
		if err := c.ask(ctx, c.urls[0], "{ deployments(first: 20) { nodes { id status service { name } } } services(first: 20) { nodes { name } } }", nil, nil); err != nil {
			return fmt.Errorf("a reader: %w", err)
		}
	}

	return nil
}

// settled waits until nothing is unfinished.
func (w *world) settled(t *testing.T) {
	t.Helper()

	until := time.Now().Add(60 * time.Second)

	for {
		var answer struct{ Deployments struct{ TotalCount int } }
		if err := w.read(t.Context(), "{ deployments(filter: {status: [QUEUED, WAITING, RUNNING, VERIFYING]}) { totalCount } }", nil, &answer); err != nil {
			t.Fatal(err)
		}

		if answer.Deployments.TotalCount == 0 {
			return
		}

		if time.Now().After(until) {
			t.Fatalf("%d deployments do not end", answer.Deployments.TotalCount)
		}

		if err := pause(t.Context(), 50*time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
}
