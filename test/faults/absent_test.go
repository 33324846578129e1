package faults

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/shiplog/shiplog/deployer"
	entdeployment "github.com/shiplog/shiplog/ent/db/deployment"
	entstep "github.com/shiplog/shiplog/ent/db/step"
	engine "github.com/shiplog/shiplog/internal/deployment"
	"github.com/shiplog/shiplog/internal/journal"
)

// answers lets the target answer again.
func (f *faulty) answers(method string) {
	f.mu.Lock()
	defer f.mu.Unlock()

	delete(f.spoilt, method)
}

// says waits until a step under way says something.
func (s *stand) says(t *testing.T, id string, kind entstep.Kind, want string) (attempt int) {
	t.Helper()

	for until := time.Now().Add(20 * time.Second); ; {
		row, err := s.store.Read.Step.Query().Where(entstep.DeploymentID(id), entstep.KindEQ(kind)).Only(t.Context())
		if err != nil {
			t.Fatal(err)
		}

		if row.Status == entstep.StatusRUNNING && row.Message != nil && strings.Contains(*row.Message, want) {
			return row.Attempt
		}

		if time.Now().After(until) {
			t.Fatalf("the step is %s and says %q, want %q", row.Status, text(row.Message), want)
		}

		select {
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// TestTargetThatDoesNotAnswer: a deployment waits for it, says so once, and goes
// on when it answers; one that is to stop waits for it, too.
func TestTargetThatDoesNotAnswer(t *testing.T) {
	t.Parallel()

	away := fmt.Errorf("the cluster: %w", deployer.ErrUnreachable)

	for method, kind := range map[string]entstep.Kind{"Apply": entstep.KindAPPLY, "Rollout": entstep.KindROLLOUT} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			each(t, func(t *testing.T, dialect string) {
				s := newStand(t, dialect)
				s.next(method, spoil{err: away, always: true})

				before := s.calls(method)

				d, err := s.deploy(admin(t), "shop", "2.0.0")
				if err != nil {
					t.Fatal(err)
				}

				if attempt := s.says(t, d.ID, kind, "waiting: the target does not answer"); attempt != 1 {
					t.Errorf("the step was begun %d times", attempt)
				}

				for s.calls(method) < before+3 { // it is asked again
					<-time.After(10 * time.Millisecond)
				}

				s.answers(method)
				s.await(t, d.ID, entdeployment.StatusSUCCEEDED)
				s.runs(t, "2.0.0")

				said := 0

				for _, e := range events(t, s.store) {
					if e.Subject == d.ID && strings.Contains(e.content, "waiting: the target does not answer") {
						said++
					}
				}

				if said != 1 {
					t.Errorf("it was said %d times", said)
				}

				if _, err := journal.Verify(t.Context(), s.store); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestStopWhileTheTargetDoesNotAnswer: nothing is taken back until it does.
func TestStopWhileTheTargetDoesNotAnswer(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, dialect string) {
		s := newStand(t, dialect)
		away := fmt.Errorf("the cluster: %w", deployer.ErrUnreachable)

		for _, method := range []string{"Apply", "Abandon"} {
			s.next(method, spoil{err: away, always: true})
		}

		d, err := s.deploy(admin(t), "shop", "2.0.0")
		if err != nil {
			t.Fatal(err)
		}

		s.says(t, d.ID, entstep.KindAPPLY, "waiting")

		reason := "it takes too long"
		if _, err := s.engine.Cancel(admin(t), engine.Cancel{Deployment: d.ID, Reason: &reason}); err != nil {
			t.Fatal(err)
		}

		for s.calls("Abandon") == 0 {
			<-time.After(10 * time.Millisecond)
		}

		s.answers("Abandon")
		s.await(t, d.ID, entdeployment.StatusCANCELLED)
		s.runs(t, "1.0.0")
	})
}
