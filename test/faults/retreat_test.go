package faults

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/shiplog/shiplog/deployer"
	entdeployment "github.com/shiplog/shiplog/ent/db/deployment"
	engine "github.com/shiplog/shiplog/internal/deployment"
)

// Whoever goes on with a deployment whose rollout has failed goes on with
// taking it back: what was seen to fail is not started again.

func TestOwnerGoneWhileAFailedRolloutIsTakenBack(t *testing.T) {
	t.Parallel()

	for _, c := range []struct {
		name      string
		done      bool
		cancelled bool
	}{
		{"before it was taken back", false, false},
		{"after it was taken back", true, false},
		{"after it was taken back, and somebody cancels it", true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			each(t, func(t *testing.T, dialect string) {
				t.Helper()

				s := newStand(t, dialect)
				ctx := admin(t)

				if err := s.register(ctx, "shop", "3.0.0", s.world.score("shop", "shop/3.0.0", crashes)); err != nil {
					t.Fatal(err)
				}

				// The owner ends there: its lease is given up, and another owner
				// has the unit at once.
				gone := spoil{done: c.done, err: errors.New("the owner is gone"), gate: make(chan struct{}), reached: make(chan struct{})}
				s.next("Abandon", gone)

				d, err := s.deploy(ctx, "shop", "3.0.0")
				if err != nil {
					t.Fatal(err)
				}

				<-gone.reached

				if c.cancelled {
					if _, err := s.engine.Cancel(ctx, engine.Cancel{Deployment: d.ID}); err != nil {
						t.Fatal(err)
					}
				}

				applied := s.calls("Apply")
				close(gone.gate)

				after := s.await(t, d.ID, entdeployment.StatusFAILED, entdeployment.StatusSUCCEEDED, entdeployment.StatusERRORED, entdeployment.StatusCANCELLED)
				if after.Status != entdeployment.StatusFAILED || len(after.Diagnosis) == 0 || after.steps[2].Status != "FAILED" {
					t.Errorf("the deployment is %s (%s) with %s and %s", after.Status, text(after.StatusReason), after.Diagnosis, after.steps[2])
				}

				if n := s.calls("Apply") - applied; n > 0 {
					t.Errorf("it was applied %d times more after it had failed", n)
				}

				if n, err := s.instances(t.Context(), d.ID); err != nil || n != 1 {
					t.Errorf("%d instances were started (%v), want one", n, err)
				}

				s.runs(t, "1.0.0")
				verify(t, s.store)
			})
		})
	}
}

// instances counts what was ever started for the deployment.
func (s *stand) instances(ctx context.Context, deployment string) (int, error) {
	lines, err := s.Read(ctx, deployer.Unit{Service: "shop", Environment: place}, map[string]int64{}, 10_000)
	found := map[string]bool{}

	for _, line := range lines {
		if line.Source.Deployment == deployment {
			found[line.Source.Instance] = true
		}
	}

	return len(found), err
}

// The same with a replica that is killed: the target has taken it back, and
// Postgres has stored the end or not, of which the replica never hears.
func TestKilledWhenAFailedRolloutHadJustBeenTakenBack(t *testing.T) {
	t.Parallel()

	for _, stored := range []bool{false, true} {
		t.Run(fmt.Sprintf("the end is stored %t", stored), func(t *testing.T) {
			t.Parallel()

			w, p, _ := behind(t)
			r := w.replicas[0]

			if err := w.register(t.Context(), "shop", "2.0.0", crashes); err != nil {
				t.Fatal(err)
			}

			// The statement that ends the deployment, or the COMMIT after it.
			v := &victim{key: []byte(`"finished_at" = $3, "holds_slot" = $4`), lose: 1, last: stored, mute: true, muted: make(chan struct{})}
			if stored {
				v.lose = 0
			}

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
			case <-time.After(30 * time.Second):
				t.Fatal("nothing is about to end")
			}

			if err := r.kill(); err != nil {
				t.Fatal(err)
			}

			p.aim(nil)
			p.forget()

			if err := r.start(t.Context()); err != nil {
				t.Fatal(err)
			}

			if err := asked.Wait(); err != nil {
				t.Fatal(err)
			}

			after, err := w.await(t.Context(), d.ID, 20*time.Second, deployment.final)
			if err != nil {
				t.Fatal(err)
			}

			w.checkEnd(t, told{deployment: d}, after)
			w.checkLog(t, false, after)
			w.checkRunning(t, "shop")
			w.checkRecord(t)
		})
	}
}
