package faults

import (
	"context"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/shiplog/shiplog/internal/store/storetest"
)

// A replica that is cut off from the database in the middle of a transaction,
// with the locks that every write needs, holds the others up for a while only.
func TestReplicaThatIsCutOffInATransaction(t *testing.T) {
	t.Parallel()

	w := emptyWorld(t, "postgres")
	p := newProxy(t, w.database)
	w.add(newReplica(t, w.data, p.database))

	source := w.furnish(t)
	c := creations(t, w, source.ID)[0] // createService
	s := storetest.OpenURL(t, w.database, nil)
	whole := &victim{}
	w.lose(t, p, s, c, 1, whole)

	w.add(newReplica(t, w.data, w.database))

	first, other := w.replicas[0], w.replicas[1]
	input := c.input(2)
	input["idempotencyKey"] = "cut off"

	// The last answer before COMMIT: the transaction has all its locks.
	v := &victim{key: []byte("cut off"), lose: whole.answers.Load() - 1, mute: true, muted: make(chan struct{})}
	p.aim(v)

	var asked errgroup.Group

	asked.Go(func() error {
		err := patient(first).ask(t.Context(), first.url(), mutationText(c.mutation, c.selection), map[string]any{"input": input}, nil)
		if !untold(err) {
			t.Errorf("the replica that was cut off answers with %v", err)
		}

		return nil
	})

	select {
	case <-v.muted:
	case <-time.After(20 * time.Second):
		t.Fatal("it was not cut off")
	}

	took, err := writes(t.Context(), patient(other), "new")
	if err != nil {
		t.Fatal(err)
	}

	t.Logf("the other replica writes again after %s", took.Round(time.Millisecond))

	if took > backWithin {
		t.Errorf("the other replica waited %s", took)
	}

	if err := asked.Wait(); err != nil {
		t.Fatal(err)
	}

	p.aim(nil)
	p.forget()

	if took, err := (&outage{world: w}).back(t.Context()); err != nil {
		t.Fatal(err)
	} else {
		t.Logf("the one that was cut off works again after %s", took.Round(time.Millisecond))
	}

	// Asked again, it is made once.
	if err := w.mutate(t.Context(), c.mutation, c.selection, input, nil); err != nil {
		t.Fatal(err)
	}

	w.checkRecord(t)
}

// writes asks for a service until it is made, and says how long it took.
func writes(ctx context.Context, c *client, name string) (time.Duration, error) {
	began := time.Now()
	err := c.mutate(ctx, "createService", "service { id }", map[string]any{"name": name}, nil)

	return time.Since(began), err
}
