package faults

import (
	"testing"
	"time"

	entsql "entgo.io/ent/dialect/sql"
	"golang.org/x/sync/errgroup"

	entdeployment "github.com/shiplog/shiplog/ent/db/deployment"
	"github.com/shiplog/shiplog/internal/store/storetest"
)

// Killed between the intent, which is stored, and the request that was to
// follow it: the step is neither skipped nor done twice.

func TestKilledWhileTheTargetDoesNotTakeIt(t *testing.T) {
	t.Parallel()

	for _, c := range []struct {
		name, dialect string
		replicas      int
	}{
		{"and started again on SQLite", "sqlite", 1},
		{"and started again on Postgres", "postgres", 1},
		{"with another replica there", "postgres", 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()

			w := replacing(t, newWorld(t, c.dialect, c.replicas))
			free := w.seize(t, "shop")

			d, err := w.deploy(t.Context(), "shop", "2.0.0", nil)
			if err != nil {
				t.Fatal(err)
			}

			if _, err := w.await(t.Context(), d.ID, 20*time.Second, applying); err != nil {
				t.Fatal(err)
			}

			owner := 0

			if c.replicas > 1 {
				if owner, err = w.owner(t.Context(), storetest.OpenURL(t, w.database, nil), d.ID); err != nil {
					t.Fatal(err)
				}
			}

			r := w.replicas[owner]
			if err := r.kill(); err != nil {
				t.Fatal(err)
			}

			free()

			if c.replicas == 1 {
				w.nothingYet(t)

				if err := r.start(t.Context()); err != nil {
					t.Fatal(err)
				}
			}

			w.orphan(t, d)

			if err := r.kill(); err != nil { // it lets go of an embedded database
				t.Fatal(err)
			}

			w.checkRecord(t)
		})
	}
}

func TestKilledWhenTheIntentHadJustBeenStored(t *testing.T) {
	t.Parallel()

	w, p, _ := behind(t)
	s := storetest.OpenURL(t, w.database, nil)
	r := w.replicas[0]

	if err := w.register(t.Context(), "shop", "2.0.0", works); err != nil {
		t.Fatal(err)
	}

	// Postgres has committed "about to apply", and the replica never hears of
	// it.
	v := &victim{key: []byte(`"acted_at" = $`), last: true, mute: true, muted: make(chan struct{})}
	p.aim(v)

	var (
		asked errgroup.Group
		d     deployment
	)

	// It may be told only after all is over.
	asked.Go(func() (err error) {
		d, err = w.deploy(t.Context(), "shop", "2.0.0", nil)

		return err
	})

	select {
	case <-v.muted:
	case <-time.After(20 * time.Second):
		t.Fatal("nothing is about to be applied")
	}

	if err := r.kill(); err != nil {
		t.Fatal(err)
	}

	p.aim(nil)
	p.speak()
	w.nothingYet(t)

	stored, err := s.Read.Deployment.Query().Order(entdeployment.ByID(entsql.OrderDesc())).First(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	if stored.ActedAt == nil || stored.Status != "RUNNING" {
		t.Fatalf("the intent is not stored: %+v", stored)
	}

	if err := r.start(t.Context()); err != nil {
		t.Fatal(err)
	}

	if err := asked.Wait(); err != nil {
		t.Fatal(err)
	}

	if d.ID != stored.ID {
		t.Errorf("the caller was told of %s, stored is %s", d.ID, stored.ID)
	}

	w.orphan(t, d)
	w.checkRecord(t)
}

// replacing has version 1.0.0 of the shop in place, and 2.0.0 to follow.
func replacing(t *testing.T, w *world) *world {
	t.Helper()

	if err := w.service(t.Context(), "shop"); err != nil {
		t.Fatal(err)
	}

	for _, version := range []string{"1.0.0", "2.0.0"} {
		if err := w.register(t.Context(), "shop", version, works); err != nil {
			t.Fatal(err)
		}
	}

	d, err := w.deploy(t.Context(), "shop", "1.0.0", nil)
	if err != nil {
		t.Fatal(err)
	}

	if _, err := w.await(t.Context(), d.ID, 20*time.Second, is("SUCCEEDED")); err != nil {
		t.Fatal(err)
	}

	return w
}

// nothingYet: no process of the new version was started.
func (w *world) nothingYet(t *testing.T) {
	t.Helper()

	if pids := w.pids(t); len(pids["shop/2.0.0"]) > 0 || len(pids["shop/1.0.0"]) != 1 {
		t.Errorf("nothing was asked for yet, and these run: %v", pids)
	}
}

// orphan: whoever comes next does the step, once.
func (w *world) orphan(t *testing.T, was deployment) {
	t.Helper()

	began := time.Now()

	d, err := w.await(t.Context(), was.ID, 15*time.Second, deployment.final)
	if err != nil {
		t.Fatal(err)
	}

	t.Logf("carried on to the end after %s", time.Since(began).Round(time.Millisecond))
	w.checkEnd(t, told{deployment: was, works: true}, d)

	if s := d.step("APPLY"); s.Status != "SUCCEEDED" || s.Attempt != 2 || s.Message != "taken by the target" {
		t.Errorf("the step is %+v, want it taken up once and done", s)
	}

	w.checkLog(t, true, d)
	w.checkRunning(t, "shop")
}
