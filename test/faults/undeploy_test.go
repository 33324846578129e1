package faults

import (
	"testing"
	"time"
)

// TestKilledDuringAnUndeploy kills the program when it has stored that it is
// about to tell the target to remove everything, and had not yet told it.
func TestKilledDuringAnUndeploy(t *testing.T) {
	t.Parallel()

	for _, dialect := range []string{"sqlite", "postgres"} {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()

			w := replacing(t, newWorld(t, dialect, 1))
			free := w.seize(t, "shop")

			d, err := w.undeploy(t.Context(), "shop", nil)
			if err != nil {
				t.Fatal(err)
			}

			if _, err := w.await(t.Context(), d.ID, 20*time.Second, applying); err != nil {
				t.Fatal(err)
			}

			r := w.replicas[0]
			if err := r.kill(); err != nil {
				t.Fatal(err)
			}

			free()
			w.nothingYet(t)

			if err := r.start(t.Context()); err != nil {
				t.Fatal(err)
			}

			if d, err = w.await(t.Context(), d.ID, 15*time.Second, is("SUCCEEDED")); err != nil {
				t.Fatal(err)
			}

			// All is gone when it has succeeded, and not only going.
			if pids := w.pids(t); len(pids) > 0 {
				t.Errorf("%v still run", pids)
			}

			if s := d.step("APPLY"); s.Status != "SUCCEEDED" || s.Attempt != 2 {
				t.Errorf("the step is %+v, want it taken up once and done", s)
			}

			w.checkRunning(t, "shop")

			if err := r.kill(); err != nil { // it lets go of an embedded database
				t.Fatal(err)
			}

			w.checkRecord(t)
		})
	}
}
