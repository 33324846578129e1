package faults

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	entdeployment "github.com/shiplog/shiplog/ent/db/deployment"
	"github.com/shiplog/shiplog/ent/db/event"
	"github.com/shiplog/shiplog/ent/db/lease"
	"github.com/shiplog/shiplog/internal/store"
)

// takenOver is how soon a replica that lives goes on with what a dead owner
// had.
const takenOver = 10 * time.Second

// loss is a unit that lost its owner in the middle of something.
type loss struct {
	service, environment string
	at                   time.Time
}

// life is how long a process of a replica was there: from when it was ready.
type life struct {
	replica  *replica
	from, to time.Time
}

func (k *killing) born(r *replica) { k.lives = append(k.lives, life{replica: r, from: time.Now()}) }

func (k *killing) died(r *replica) {
	for i := range k.lives {
		if l := &k.lives[i]; l.replica == r && l.to.IsZero() {
			l.to = time.Now()
		}
	}
}

// end kills the replica. Where others live, it writes down first what the
// replica owned: it is stopped while the leases are read, so that they are the
// ones that it dies with.
func (k *killing) end(ctx context.Context, r *replica) error {
	defer k.died(r)

	if k.watch == nil {
		return r.kill()
	}

	if err := r.signal(syscall.SIGSTOP); err != nil {
		return err
	}

	rows, err := k.watch.Read.Lease.Query().Where(lease.OwnerContains(fmt.Sprintf("/%d/", r.pid()))).All(ctx)
	if err != nil {
		return err
	}

	at := time.Now()

	for _, row := range rows {
		unit := strings.Split(row.ID, "/")
		if unit[0] != "unit" {
			continue
		}

		under, err := k.watch.Read.Deployment.Query().
			Where(entdeployment.ServiceID(unit[1]), entdeployment.EnvironmentID(unit[2]), entdeployment.FinishedAtIsNil()).Exist(ctx)
		if err != nil {
			return err
		}

		if under {
			k.lost = append(k.lost, loss{service: unit[1], environment: unit[2], at: at})
		}
	}

	return r.kill()
}

// takeovers prints how long it took from the death of an owner to the next
// thing that the engine recorded for the unit; and how long the oldest of those
// that lived then had had for it, which may have been born in between.
func (k *killing) takeovers(t *testing.T, s *store.Store) {
	t.Helper()

	var waited, took []time.Duration

	for _, l := range k.lost {
		ids, err := s.Read.Deployment.Query().Where(entdeployment.ServiceID(l.service), entdeployment.EnvironmentID(l.environment)).IDs(t.Context())
		if err != nil {
			t.Fatal(err)
		}

		rows, err := s.Read.Event.Query().Where(event.SubjectIn(ids...), event.TimeGT(l.at), event.TypeIn("deployment.step", "deployment.status"), event.ActorKindEQ(event.ActorKindSYSTEM)).
			Order(event.BySeq()).Limit(1).All(t.Context())
		if err != nil {
			t.Fatal(err)
		}

		if len(rows) != 1 {
			t.Errorf("nobody went on with %s in %s", l.service, l.environment)

			continue
		}

		waited = append(waited, rows[0].Time.Sub(l.at))
		took = append(took, rows[0].Time.Sub(k.seenSince(l.at, rows[0].Time)))
	}

	if len(took) == 0 {
		t.Error("no owner was killed in the middle of something")

		return
	}

	t.Logf("owners killed: %d; until the next record: %s; of that seen by who went on: %s", len(took), spread(waited), spread(took))

	if longest := slices.Max(took); longest > takenOver {
		t.Errorf("a replica that lived let a unit wait for %s", longest)
	}
}

// seenSince is when the oldest of those that live at the time could first see
// what had happened before it.
func (k *killing) seenSince(happened, at time.Time) time.Time {
	oldest := at

	for _, l := range k.lives {
		if l.from.Before(oldest) && (l.to.IsZero() || l.to.After(at)) {
			oldest = l.from
		}
	}

	if oldest.Before(happened) {
		return happened
	}

	return oldest
}

// spread gives the percentiles of durations, in words.
func spread(all []time.Duration) string {
	slices.Sort(all)

	at := func(p int) time.Duration { return all[min(len(all)-1, len(all)*p/100)].Round(time.Millisecond) }

	return fmt.Sprintf("p50 %s, p99 %s, longest %s", at(50), at(99), at(100))
}
