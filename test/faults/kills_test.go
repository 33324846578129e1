package faults

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/shiplog/shiplog/internal/store"
	"github.com/shiplog/shiplog/internal/store/storetest"
)

// killing kills a replica of the world again and again while clients deploy.
type killing struct {
	*world
	notebook

	deployments, kills int
	pace               *pace
	// work is what the clients do, for a service each; nil for client.
	work func(ctx context.Context, service string, dice *rand.Rand) error
	// watch reads the database of a server that several use.
	watch *store.Store
	lost  []loss
	lives []life
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

	if k.work == nil {
		k.work = k.client
	}

	for i := range services {
		if err := k.service(t.Context(), fmt.Sprintf("s%d", i)); err != nil {
			t.Fatal(err)
		}
	}

	k.pace = newPace(k.deployments, k.kills)

	for _, r := range k.replicas {
		k.born(r)
	}

	work, ctx := errgroup.WithContext(t.Context())

	for i := range services {
		dice := rand.New(rand.NewPCG(shared(t).seed, uint64(100+i)))

		work.Go(func() error { return k.work(ctx, fmt.Sprintf("s%d", i), dice) })
	}

	work.Go(func() error { return k.killer(ctx, random) })

	if err := work.Wait(); err != nil {
		t.Fatal(err)
	}
}

// client registers and deploys one version after the other. Some do not work,
// and some of those that follow do not wait.
func (k *killing) client(ctx context.Context, service string, dice *rand.Rand) error {
	for i := 0; k.pace.begin(ctx); i++ {
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

	return ctx.Err()
}

// killer kills one replica at a random moment, and starts it again.
func (k *killing) killer(ctx context.Context, dice *rand.Rand) error {
	for n := range k.kills {
		r := k.replicas[dice.IntN(len(k.replicas))]

		if err := pause(ctx, upTo(dice, 900*time.Millisecond)); err != nil {
			return err
		}

		if err := k.end(ctx, r); err != nil {
			return err
		}

		k.pace.step()

		// Sometimes the other one has to do it alone, for longer than a term.
		if len(k.replicas) > 1 && dice.IntN(4) == 0 {
			if err := pause(ctx, store.Term+upTo(dice, 3*time.Second)); err != nil {
				return err
			}
		}

		if err := r.start(ctx); err != nil {
			return fmt.Errorf("after kill %d: %w", n+1, err)
		}

		k.born(r)

		before := k.acknowledged()
		k.pace.step()

		if err := k.news(ctx, before); err != nil {
			return err
		}
	}

	return nil
}

// news waits until something was acknowledged after what was before, or all is.
func (k *killing) news(ctx context.Context, before int) error {
	for n := before; n == before && n < k.deployments; n = k.acknowledged() {
		if err := pause(ctx, 5*time.Millisecond); err != nil {
			return err
		}
	}

	return nil
}

func upTo(dice *rand.Rand, limit time.Duration) time.Duration {
	return time.Duration(dice.Int64N(int64(limit)))
}
