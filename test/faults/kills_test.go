package faults

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/shiplog/shiplog/ent/db"
	"github.com/shiplog/shiplog/ent/db/event"
	"github.com/shiplog/shiplog/ent/db/lease"
	"github.com/shiplog/shiplog/internal/store"
	"github.com/shiplog/shiplog/internal/store/storetest"
)

// killing kills a replica of the world again and again while clients deploy.
type killing struct {
	*world
	notebook

	deployments, kills int
	// watch reads the database of a server that several use.
	watch *store.Store
	lost  []loss
}

// loss is a unit that lost its owner.
type loss struct {
	service, environment string
	at                   time.Time
}

const services = 6

func TestKillsOnTheEmbeddedDatabase(t *testing.T) {
	t.Parallel()

	s := shared(t)
	k := &killing{world: newWorld(t, "sqlite", 1), deployments: s.size(40, 500), kills: s.size(10, 200)}
	k.run(t)
	k.check(t, &k.notebook)

	if err := k.replicas[0].kill(); err != nil {
		t.Fatal(err)
	}

	k.checkRecord(t)
}

func TestKillsOfOneOfTwoReplicas(t *testing.T) {
	t.Parallel()

	s := shared(t)
	k := &killing{world: newWorld(t, "postgres", 2), deployments: s.size(40, 500), kills: s.size(10, 200)}
	k.watch = storetest.OpenURL(t, k.database, nil)
	k.run(t)
	k.check(t, &k.notebook)
	k.takeovers(t, k.checkRecord(t))
}

// run lets clients deploy, and kills, until both are done.
func (k *killing) run(t *testing.T) {
	t.Helper()

	random := shared(t).random(t, 1)

	for i := range services {
		if err := k.service(t.Context(), fmt.Sprintf("s%d", i)); err != nil {
			t.Fatal(err)
		}
	}

	work, ctx := errgroup.WithContext(t.Context())

	for i := range services {
		dice := rand.New(rand.NewPCG(shared(t).seed, uint64(100+i)))

		work.Go(func() error { return k.client(ctx, fmt.Sprintf("s%d", i), k.deployments/services+1, dice) })
	}

	work.Go(func() error { return k.killer(ctx, random) })

	if err := work.Wait(); err != nil {
		t.Fatal(err)
	}
}

// client registers and deploys one version after the other. Some do not work,
// and some of those that follow do not wait.
func (k *killing) client(ctx context.Context, service string, n int, dice *rand.Rand) error {
	for i := range n {
		version, end := fmt.Sprintf("1.0.%d", i), works
		if dice.IntN(8) == 0 {
			end = crashes
		}

		if err := k.register(ctx, service, version, end); err != nil {
			return err
		}

		d, err := k.deploy(ctx, service, version, nil)
		if err != nil {
			return err
		}

		k.write(d, end == works)

		if dice.IntN(3) == 0 {
			continue // the next one will find this one under way
		}

		if _, err := k.await(ctx, d.ID, 2*time.Minute, deployment.final); err != nil {
			return err
		}
	}

	return nil
}

// killer kills one replica at a random moment, and starts it again.
func (k *killing) killer(ctx context.Context, dice *rand.Rand) error {
	for range k.kills {
		r := k.replicas[dice.IntN(len(k.replicas))]

		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50*time.Millisecond + upTo(dice, 1450*time.Millisecond)):
		}

		if err := k.end(ctx, r); err != nil {
			return err
		}

		// Sometimes the other one has to do it alone, for longer than a term.
		if len(k.replicas) > 1 && dice.IntN(2) == 0 {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(store.Term + upTo(dice, 3*time.Second)):
			}
		}

		if err := r.start(ctx); err != nil {
			return err
		}
	}

	return nil
}

// end kills the replica. Where others live, it writes down first what the
// replica owned: it is stopped while the leases are read, so that they are the
// ones that it dies with.
func (k *killing) end(ctx context.Context, r *replica) error {
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
		if unit := strings.Split(row.ID, "/"); unit[0] == "unit" {
			k.lost = append(k.lost, loss{service: unit[1], environment: unit[2], at: at})
		}
	}

	return r.kill()
}

// takeovers prints how long it took from the death of an owner to the next
// thing that the engine recorded for the unit.
func (k *killing) takeovers(t *testing.T, s *store.Store) {
	t.Helper()

	var took []time.Duration

	for _, l := range k.lost {
		d, err := s.Read.Deployment.Query().All(t.Context())
		if err != nil {
			t.Fatal(err)
		}

		mine := slices.DeleteFunc(d, func(d *db.Deployment) bool { return d.ServiceID != l.service || d.EnvironmentID != l.environment })
		ids := make([]string, len(mine))

		for i := range mine {
			ids[i] = mine[i].ID
		}

		rows, err := s.Read.Event.Query().Where(event.SubjectIn(ids...), event.TimeGT(l.at), event.TypeIn("deployment.step", "deployment.status"), event.ActorKindEQ(event.ActorKindSYSTEM)).
			Order(event.BySeq()).Limit(1).All(t.Context())
		if err != nil {
			t.Fatal(err)
		}

		if len(rows) == 1 {
			took = append(took, rows[0].Time.Sub(l.at))
		}
	}

	slices.Sort(took)

	if len(took) == 0 {
		t.Logf("no owner was killed in the middle of something")

		return
	}

	at := func(p int) time.Duration {
		return took[min(len(took)-1, len(took)*p/100)].Round(time.Millisecond)
	}
	t.Logf("owners killed: %d; until the next record: p50 %s, p99 %s, longest %s", len(took), at(50), at(99), at(100))

	if longest := took[len(took)-1]; longest > 15*time.Second {
		t.Errorf("a unit waited %s for its next owner", longest)
	}
}

func upTo(dice *rand.Rand, limit time.Duration) time.Duration {
	return time.Duration(dice.Int64N(int64(limit)))
}
