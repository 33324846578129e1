package faults

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/shiplog/shiplog/deployer"
	entdeployment "github.com/shiplog/shiplog/ent/db/deployment"
	entstep "github.com/shiplog/shiplog/ent/db/step"
	engine "github.com/shiplog/shiplog/internal/deployment"
	"github.com/shiplog/shiplog/internal/fault"
	"github.com/shiplog/shiplog/internal/journal"
	"github.com/shiplog/shiplog/internal/store"
	"github.com/shiplog/shiplog/internal/store/storetest"
)

// stand is a stage on the real process target, whose answers can be spoilt,
// with version 1.0.0 in place and version 2.0.0 registered.
type stand struct {
	*stage
	*faulty

	world *world
	base  string
}

func newStand(t *testing.T, dialect string) *stand {
	t.Helper()

	w := emptyWorld(t, dialect)
	f := newFaulty(w.targets)

	s, err := newStage(storetest.OpenURL(t, w.database, nil), f)
	if err != nil {
		t.Fatal(err)
	}

	s.run(t)

	ctx := admin(t)
	if err := s.furnish(ctx, "shop"); err != nil {
		t.Fatal(err)
	}

	for _, version := range []string{"1.0.0", "2.0.0"} {
		if err := s.register(ctx, "shop", version, w.score("shop", "shop/"+version, works)); err != nil {
			t.Fatal(err)
		}
	}

	d, err := s.deploy(ctx, "shop", "1.0.0")
	if err != nil {
		t.Fatal(err)
	}

	s.await(t, d.ID, entdeployment.StatusSUCCEEDED)

	return &stand{stage: s, faulty: f, world: w, base: d.ID}
}

// runs waits until exactly one process of the version runs, and nothing else.
func (s *stand) runs(t *testing.T, version string) {
	t.Helper()

	until := time.Now().Add(20 * time.Second)

	for {
		wrong := s.world.wrongProcesses(t, "shop", "shop/"+version)
		if wrong == "" {
			return
		}

		if time.Now().After(until) {
			t.Fatal(wrong)
		}

		select {
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func each(t *testing.T, test func(t *testing.T, dialect string)) {
	t.Helper()

	for _, dialect := range []string{"sqlite", "postgres"} {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()
			test(t, dialect)
		})
	}
}

func TestOutcomesThatAreNotKnown(t *testing.T) {
	t.Parallel()

	unknown := fmt.Errorf("the connection was cut: %w", deployer.ErrUnknown)

	for _, c := range []struct {
		method  string
		done    bool
		outcome engine.Outcome
		end     entdeployment.Status
		runs    string
		reason  string
	}{
		{"Apply", true, engine.OutcomeSucceeded, entdeployment.StatusSUCCEEDED, "2.0.0", "somebody saw it there, so only its rollout is left"},
		{"Apply", true, engine.OutcomeRetry, entdeployment.StatusSUCCEEDED, "2.0.0", "what is there already arrives once"},
		{"Apply", false, engine.OutcomeRetry, entdeployment.StatusSUCCEEDED, "2.0.0", "it was lost on its way and is made again"},
		{"Apply", true, engine.OutcomeFailed, entdeployment.StatusFAILED, "1.0.0", "what did arrive is taken back"},
		{"Apply", false, engine.OutcomeFailed, entdeployment.StatusFAILED, "1.0.0", "nothing arrived, nothing changes"},
		{"Rollout", false, engine.OutcomeRetry, entdeployment.StatusSUCCEEDED, "2.0.0", "it is watched again"},
		{"Rollout", false, engine.OutcomeFailed, entdeployment.StatusFAILED, "1.0.0", "what was started is taken back"},
	} {
		t.Run(fmt.Sprintf("%s done=%t %s", c.method, c.done, c.outcome), func(t *testing.T) {
			t.Parallel()
			each(t, func(t *testing.T, dialect string) {
				t.Helper()

				s := newStand(t, dialect)
				s.next(c.method, spoil{done: c.done, err: unknown})

				d, err := s.deploy(admin(t), "shop", "2.0.0")
				if err != nil {
					t.Fatal(err)
				}

				stuck := unknownStep(t, s.await(t, d.ID, entdeployment.StatusWAITING))
				asked := s.calls(c.method)

				// Whoever looks again asks nothing of the target.
				if err := s.engine.Advance(t.Context(), d.ServiceID, d.EnvironmentID); err != nil {
					t.Fatal(err)
				}

				if now := s.calls(c.method); now != asked {
					t.Errorf("%s was called %d times more while its outcome was not known", c.method, now-asked)
				}

				if _, err := s.engine.ResolveStep(admin(t), engine.ResolveStep{Step: stuck, Outcome: c.outcome, Reason: c.reason}); err != nil {
					t.Fatal(err)
				}

				after := s.await(t, d.ID, c.end)
				for _, step := range after.steps {
					if step.Status == entstep.StatusUNKNOWN || c.end == entdeployment.StatusSUCCEEDED && step.Status != entstep.StatusSUCCEEDED {
						t.Errorf("the deployment is %s, its step %s is %s", after.Status, step.Name, step.Status)
					}
				}

				s.runs(t, c.runs)

				_, err = s.engine.ResolveStep(admin(t), engine.ResolveStep{Step: stuck, Outcome: c.outcome, Reason: "again"})
				if fault.CodeOf(err) != fault.Conflict {
					t.Errorf("resolving again is answered with %v, want CONFLICT", err)
				}

				verify(t, s.store)
			})
		})
	}
}

func TestUnknownRolloutThatSomebodySawWorking(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, dialect string) {
		t.Helper()

		s := newStand(t, dialect)
		s.next("Rollout", spoil{err: deployer.ErrUnknown})

		d, err := s.deploy(admin(t), "shop", "2.0.0")
		if err != nil {
			t.Fatal(err)
		}

		stuck := unknownStep(t, s.await(t, d.ID, entdeployment.StatusWAITING))

		if _, err := s.engine.ResolveStep(admin(t), engine.ResolveStep{Step: stuck, Outcome: engine.OutcomeSucceeded, Reason: "seen"}); err != nil {
			t.Fatal(err)
		}

		s.await(t, d.ID, entdeployment.StatusSUCCEEDED)
		s.runs(t, "2.0.0")
	})
}

func TestCancelWhileTheOutcomeIsNotKnown(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, dialect string) {
		t.Helper()

		s := newStand(t, dialect)
		s.next("Apply", spoil{done: true, err: deployer.ErrUnknown})

		d, err := s.deploy(admin(t), "shop", "2.0.0")
		if err != nil {
			t.Fatal(err)
		}

		s.await(t, d.ID, entdeployment.StatusWAITING)

		began := time.Now()

		if _, err := s.engine.Cancel(admin(t), engine.Cancel{Deployment: d.ID}); err != nil {
			t.Fatal(err)
		}

		s.await(t, d.ID, entdeployment.StatusCANCELLED)

		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("it was cancelled after %s", took)
		}

		s.runs(t, "1.0.0")
	})
}

// Asked to stop while the target is told, it stops before it goes on, also
// where nothing is left to do but to say so.
func TestCancelWhileTheTargetIsTold(t *testing.T) {
	t.Parallel()

	for _, version := range []string{"1.0.0", "2.0.0"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			each(t, func(t *testing.T, dialect string) {
				t.Helper()

				s := newStand(t, dialect)
				gate, reached := make(chan struct{}), make(chan struct{})
				s.next("Apply", spoil{gate: gate, reached: reached})

				d, err := s.deploy(admin(t), "shop", version)
				if err != nil {
					t.Fatal(err)
				}

				<-reached

				if _, err := s.engine.Cancel(admin(t), engine.Cancel{Deployment: d.ID}); err != nil {
					t.Fatal(err)
				}

				watched := s.calls("Rollout")
				close(gate)

				after := s.await(t, d.ID, entdeployment.StatusCANCELLED, entdeployment.StatusSUCCEEDED, entdeployment.StatusFAILED, entdeployment.StatusERRORED)
				if after.Status != entdeployment.StatusCANCELLED || text(after.StatusReason) == "" {
					t.Errorf("the deployment is %s (%s), want CANCELLED", after.Status, text(after.StatusReason))
				}

				if n := s.calls("Rollout") - watched; n > 0 {
					t.Errorf("it was rolled out %d times after it was to stop", n)
				}

				s.runs(t, "1.0.0")
				verify(t, s.store)
			})
		})
	}
}

func TestNewerOneWaitsForAnOutcomeThatIsNotKnown(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, dialect string) {
		t.Helper()

		s := newStand(t, dialect)
		s.next("Apply", spoil{done: true, err: deployer.ErrUnknown})

		d, err := s.deploy(admin(t), "shop", "2.0.0")
		if err != nil {
			t.Fatal(err)
		}

		stuck := unknownStep(t, s.await(t, d.ID, entdeployment.StatusWAITING))

		newer, err := s.deploy(admin(t), "shop", "1.0.0")
		if err != nil {
			t.Fatal(err)
		}

		if err := s.engine.Advance(t.Context(), d.ServiceID, d.EnvironmentID); err != nil {
			t.Fatal(err)
		}

		s.await(t, newer.ID, entdeployment.StatusQUEUED)

		if _, err := s.engine.ResolveStep(admin(t), engine.ResolveStep{Step: stuck, Outcome: engine.OutcomeFailed, Reason: "gone"}); err != nil {
			t.Fatal(err)
		}

		s.await(t, d.ID, entdeployment.StatusFAILED)
		s.await(t, newer.ID, entdeployment.StatusSUCCEEDED)
		s.runs(t, "1.0.0")
	})
}

func TestPanicOfAStepEndsTheDeploymentOnly(t *testing.T) {
	t.Parallel()

	for _, method := range []string{"Apply", "Rollout"} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			each(t, func(t *testing.T, dialect string) {
				t.Helper()

				s := newStand(t, dialect)
				s.next(method, spoil{})

				d, err := s.deploy(admin(t), "shop", "2.0.0")
				if err != nil {
					t.Fatal(err)
				}

				if after := s.await(t, d.ID, entdeployment.StatusERRORED); text(after.StatusReason) == "" {
					t.Error("nothing says why it ended")
				}

				again, err := s.deploy(admin(t), "shop", "2.0.0")
				if err != nil {
					t.Fatal(err)
				}

				s.await(t, again.ID, entdeployment.StatusSUCCEEDED)
				s.runs(t, "2.0.0")
				verify(t, s.store)
			})
		})
	}
}

func TestTargetThatRefusesForAWhile(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, dialect string) {
		t.Helper()

		s := newStand(t, dialect)
		s.next("Apply", spoil{err: errors.New("busy")})

		d, err := s.deploy(admin(t), "shop", "2.0.0")
		if err != nil {
			t.Fatal(err)
		}

		s.await(t, d.ID, entdeployment.StatusSUCCEEDED)

		if n := s.calls("Apply"); n != 3 {
			t.Errorf("Apply was called %d times, want once for the first version and twice for the second", n)
		}
	})
}

// unknownStep gives the id of the one step whose outcome is not known.
func unknownStep(t *testing.T, d seen) string {
	t.Helper()

	found := ""

	for _, s := range d.steps {
		if s.Status == entstep.StatusUNKNOWN {
			found = s.ID
		}
	}

	if found == "" || text(d.StatusReason) == "" {
		t.Fatalf("deployment %s is %s (%s) and no step is UNKNOWN", d.ID, d.Status, text(d.StatusReason))
	}

	return found
}

func verify(t *testing.T, s *store.Store) {
	t.Helper()

	if _, err := journal.Verify(t.Context(), s); err != nil {
		t.Error(err)
	}

	replay(t, s)
}

func TestCancelWhileTheTargetRefuses(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, dialect string) {
		t.Helper()

		s := newStand(t, dialect)
		s.next("Apply", spoil{err: errors.New("busy"), always: true})
		before := s.calls("Apply")

		d, err := s.deploy(admin(t), "shop", "2.0.0")
		if err != nil {
			t.Fatal(err)
		}

		s.asked(t, "Apply", before+2)

		began := time.Now()

		if _, err := s.engine.Cancel(admin(t), engine.Cancel{Deployment: d.ID}); err != nil {
			t.Fatal(err)
		}

		s.await(t, d.ID, entdeployment.StatusCANCELLED)

		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("it was cancelled after %s", took)
		}

		s.runs(t, "1.0.0")
	})
}

// asked waits until the method was called so often.
func (s *stand) asked(t *testing.T, method string, n int) {
	t.Helper()

	for until := time.Now().Add(20 * time.Second); s.calls(method) < n; {
		if time.Now().After(until) {
			t.Fatalf("%s was called %d times, want %d", method, s.calls(method), n)
		}

		if err := pause(t.Context(), 10*time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
}
