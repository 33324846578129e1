package faults

import (
	"testing"
	"time"

	"github.com/shiplog/shiplog/internal/store/storetest"
)

const (
	// endsWithin is how soon a replica has ended that is asked to.
	endsWithin = 15 * time.Second
	// handedOver is how soon another one goes on with what it had.
	handedOver = 6 * time.Second
)

// A stop is no reason for a deployment to end: it is handed over.

func TestStopDuringALongRollout(t *testing.T) {
	t.Parallel()

	for dialect, replicas := range map[string]int{"sqlite": 1, "postgres": 2} {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()

			w := replacing(t, newWorld(t, dialect, replicas))
			takes := shared(t).last(12*time.Second, 30*time.Second)

			if err := w.registerLate(t.Context(), "shop", "3.0.0", takes); err != nil {
				t.Fatal(err)
			}

			d, err := w.deploy(t.Context(), "shop", "3.0.0", nil)
			if err != nil {
				t.Fatal(err)
			}

			if _, err := w.await(t.Context(), d.ID, 20*time.Second, is("VERIFYING")); err != nil {
				t.Fatal(err)
			}

			w.stopOwner(t, d, "ROLLOUT", takes, func() {})
		})
	}
}

func TestStopWhileTheTargetDoesNotTakeIt(t *testing.T) {
	t.Parallel()

	for dialect, replicas := range map[string]int{"sqlite": 1, "postgres": 2} {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()

			w := replacing(t, newWorld(t, dialect, replicas))
			free := w.seize(t, "shop")

			d, err := w.deploy(t.Context(), "shop", "2.0.0", nil)
			if err != nil {
				t.Fatal(err)
			}

			if _, err := w.await(t.Context(), d.ID, 20*time.Second, applying); err != nil {
				t.Fatal(err)
			}

			w.stopOwner(t, d, "APPLY", time.Second, free)
		})
	}
}

// stopOwner stops the replica that carries the deployment on, in the middle of
// the step of this kind, which takes so long. Then is called when it has ended.
func (w *world) stopOwner(t *testing.T, was deployment, kind string, takes time.Duration, then func()) {
	t.Helper()

	ctx := t.Context()
	owner := 0

	if len(w.replicas) > 1 {
		var err error
		if owner, err = w.owner(ctx, storetest.OpenURL(t, w.database, nil), was.ID); err != nil {
			t.Fatal(err)
		}
	}

	began := time.Now()

	took, err := w.replicas[owner].stop()
	if err != nil {
		t.Fatal(err)
	}

	if took > endsWithin {
		t.Errorf("the replica ended after %s, want at most %s", took, endsWithin)
	}

	then()

	if len(w.replicas) == 1 {
		if err := w.replicas[0].start(ctx); err != nil {
			t.Fatal(err)
		}
	}

	again := func(d deployment) bool { return d.step(kind).Attempt > 1 || d.final() }

	d, err := w.await(ctx, was.ID, handedOver, again)
	if err != nil {
		t.Fatalf("it is not taken up: %v", err)
	}

	t.Logf("the replica ended after %s; taken up %s after it was asked to, as %s", took.Round(time.Millisecond), time.Since(began).Round(time.Millisecond), d.Status)

	if d, err = w.await(ctx, was.ID, takes+20*time.Second, deployment.final); err != nil {
		t.Fatal(err)
	}

	if n := d.step(kind).Attempt; n != 2 {
		t.Errorf("the step was begun %d times, want by the one who stopped and by the one who took it up", n)
	}

	w.checkEnd(t, told{deployment: was, works: true}, d)
	w.checkLog(t, true, d)
	w.checkRunning(t, "shop")

	for _, r := range w.replicas {
		if err := r.kill(); err != nil {
			t.Fatal(err)
		}
	}

	w.checkRecord(t)
}
