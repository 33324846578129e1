package faults

import (
	"context"
	"database/sql"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/shiplog/shiplog/test/postgres"
)

// backWithin is how soon everything works again after the database came back.
const backWithin = 15 * time.Second

// outage is a world on a database server of its own, with clients that deploy
// for as long as somebody disturbs the database.
type outage struct {
	*world
	notebook

	server *postgres.Server
	// admin asks the database itself; it belongs to nobody that is disturbed.
	admin *sql.DB
}

func newOutage(t *testing.T) *outage {
	t.Helper()

	server, err := postgres.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() {
		if err := server.Remove(); err != nil {
			t.Error(err)
		}
	})

	admin, err := sql.Open("postgres", server.URL+"&application_name=admin")
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() {
		if err := admin.Close(); err != nil {
			t.Error(err)
		}
	})

	o := &outage{world: worldOn(t, server.URL), server: server, admin: admin}
	for range 2 {
		o.add(newReplica(t, o.data, o.database))
	}

	if err := o.mutate(t.Context(), "createEnvironment", "environment { id }", map[string]any{
		"name": place, "tier": "PRODUCTION", "rank": 10, "target": map[string]any{"kind": "PROCESS"},
	}, nil); err != nil {
		t.Fatal(err)
	}

	return o
}

// during lets clients deploy while the disturbance lasts, and then compares
// what they were told with what there is.
func (o *outage) during(t *testing.T, disturb func(ctx context.Context) error) {
	t.Helper()

	const clients = 4

	work, ctx := errgroup.WithContext(t.Context())
	over := make(chan struct{})
	registered := make([]int, clients)

	for i := range clients {
		service := fmt.Sprintf("s%d", i)
		if err := o.service(ctx, service); err != nil {
			t.Fatal(err)
		}

		work.Go(func() (err error) {
			registered[i], err = o.deployUntil(ctx, service, over)

			return err
		})
	}

	work.Go(func() error {
		defer close(over)

		return disturb(ctx)
	})

	if err := work.Wait(); err != nil {
		t.Fatal(err)
	}

	o.check(t, &o.notebook)

	for i, n := range registered {
		o.checkVersions(t, fmt.Sprintf("s%d", i), n)
	}

	o.checkRecord(t)
}

// deployUntil registers and deploys one version after the other, and says how
// many were acknowledged.
func (o *outage) deployUntil(ctx context.Context, service string, over <-chan struct{}) (n int, err error) {
	for {
		select {
		case <-over:
			return n, nil
		default:
		}

		version := fmt.Sprintf("1.0.%d", n)
		if err := o.register(ctx, service, version, works); err != nil {
			return n, err
		}

		n++

		d, err := o.deploy(ctx, service, version, nil)
		if err != nil {
			return n, err
		}

		o.write(d, true)

		if n%2 == 0 {
			if _, err := o.await(ctx, d.ID, time.Minute, deployment.final); err != nil {
				return n, err
			}
		}
	}
}

// checkVersions: every version that was acknowledged is there, once.
func (w *world) checkVersions(t *testing.T, service string, n int) {
	t.Helper()

	var answer struct {
		Service struct{ Versions struct{ TotalCount int } }
	}
	if err := w.read(t.Context(), "query($name: ID!) { service(name: $name) { versions { totalCount } } }", map[string]any{"name": service}, &answer); err != nil {
		t.Fatal(err)
	}

	if got := answer.Service.Versions.TotalCount; got != n {
		t.Errorf("%s has %d versions, %d were acknowledged", service, got, n)
	}
}

// back waits until every replica writes and acts again.
func (o *outage) back(ctx context.Context) (time.Duration, error) {
	began := time.Now()

	ctx, cancel := context.WithTimeout(ctx, backWithin)
	defer cancel()

	for _, r := range o.replicas {
		c := newClient(r.url())
		one := &world{client: c, mark: o.mark}
		service := "probe-" + uuid.NewString()[:8]

		if err := one.service(ctx, service); err != nil {
			return 0, fmt.Errorf("%s does not work again: %w", r.url(), err)
		}

		if err := one.register(ctx, service, "1.0.0", works); err != nil {
			return 0, fmt.Errorf("%s does not work again: %w", r.url(), err)
		}

		d, err := one.deploy(ctx, service, "1.0.0", nil)
		if err != nil {
			return 0, fmt.Errorf("%s does not work again: %w", r.url(), err)
		}

		o.write(d, true)

		if _, err := one.await(ctx, d.ID, backWithin, is("SUCCEEDED")); err != nil {
			return 0, fmt.Errorf("what was told to %s is not carried on: %w", r.url(), err)
		}
	}

	return time.Since(began), nil
}

// killSessions ends all sessions but those of the one who asks.
func (o *outage) killSessions(ctx context.Context) (n int, err error) {
	err = o.admin.QueryRowContext(ctx, `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
		WHERE backend_type = 'client backend' AND application_name <> 'admin'`).Scan(&n)

	return n, err
}

func TestSessionsOfTheDatabaseThatAreKilled(t *testing.T) {
	t.Parallel()

	o := newOutage(t)
	lasts := shared(t).last(10*time.Second, time.Minute)

	o.during(t, func(ctx context.Context) error {
		tick := time.NewTicker(2 * time.Second)
		defer tick.Stop()

		killed := 0

		for until := time.Now().Add(lasts); time.Now().Before(until); {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-tick.C:
			}

			n, err := o.killSessions(ctx)
			if err != nil {
				return err
			}

			killed += n
		}

		took, err := o.back(ctx)
		t.Logf("%d sessions were killed; all works again after %s", killed, took.Round(time.Millisecond))

		return err
	})
}

func TestDatabaseThatIsStoppedAndStarted(t *testing.T) {
	t.Parallel()

	o := newOutage(t)
	times := shared(t).size(1, 5)
	dice := shared(t).random(t, 2)

	o.during(t, func(ctx context.Context) error {
		for range times {
			for how, end := range map[string]func() error{"stopped": o.server.Stop, "crashed": o.server.Crash} {
				if err := pause(ctx, time.Second+upTo(dice, time.Second)); err != nil {
					return err
				}

				if err := end(); err != nil {
					return err
				}

				away := time.Second + upTo(dice, 4*time.Second)
				if err := pause(ctx, away); err != nil {
					return err
				}

				if err := o.server.Start(ctx); err != nil {
					return err
				}

				took, err := o.back(ctx)
				if err != nil {
					return fmt.Errorf("%s for %s: %w", how, away, err)
				}

				t.Logf("%s for %s; all works again after %s", how, away.Round(time.Millisecond), took.Round(time.Millisecond))
			}
		}

		return nil
	})
}

// pause lets time pass in which something is to be wrong.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
