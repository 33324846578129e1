package observe

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/shiplog/shiplog/deployer"
	"github.com/shiplog/shiplog/ent/db"
	"github.com/shiplog/shiplog/ent/db/deployment"
	"github.com/shiplog/shiplog/ent/db/environment"
	"github.com/shiplog/shiplog/ent/db/event"
	"github.com/shiplog/shiplog/ent/db/placement"
	"github.com/shiplog/shiplog/ent/db/service"
	"github.com/shiplog/shiplog/ent/db/target"
	"github.com/shiplog/shiplog/internal/id"
	"github.com/shiplog/shiplog/internal/journal"
	"github.com/shiplog/shiplog/internal/live"
	"github.com/shiplog/shiplog/internal/logs"
	"github.com/shiplog/shiplog/internal/store"
)

// rosterEvery is how often the whole roster is read: the journal tells of
// everything but what was archived.
const rosterEvery = 10 * time.Second

// rosterGap is the least time between two readings, however often a unit that
// is not on it wakes us.
const rosterGap = 200 * time.Millisecond

// eventsLimit is how many entries of the journal are read at once; further
// behind, every unit is looked at instead.
const eventsLimit = 500

// tenure is the work under one lease.
type tenure struct {
	store  *store.Store
	hub    *live.Hub
	logs   *logs.Logs
	cfg    Config
	log    *slog.Logger
	held   *store.Held
	lost   func() // ends the tenure
	writer *logs.Writer

	// What follows belongs to run's goroutine.
	units map[deployer.Unit]*running
	// strange are units that no environment knows; each was logged once.
	strange  map[deployer.Unit]bool
	position int64 // of the journal
	wg       sync.WaitGroup
}

// running is a unit with its goroutine.
type running struct {
	*unit

	stop context.CancelFunc
}

// run keeps the units and wakes them, until ctx ends and all have ended.
func (t *tenure) run(ctx context.Context) {
	defer t.wg.Wait()

	wakes := t.cfg.Target.Wake(ctx)
	// It is closed once whoever sends there has ended.
	defer func(all <-chan deployer.Unit) {
		for range all {
			continue
		}
	}(wakes)

	sub := t.hub.Subscribe(journal.Topic)
	defer sub.Close()

	ticker := time.NewTicker(t.cfg.Poll)
	defer ticker.Stop()

	// rosterAt is when the roster was read, made older by a unit that is not
	// on it; lookedAt when that was last tried.
	var rosterAt, lookedAt time.Time

	for {
		if time.Since(rosterAt) > rosterEvery && time.Since(lookedAt) > rosterGap {
			lookedAt = time.Now()

			if err := t.roster(ctx); err == nil {
				rosterAt = time.Now()
			} else if ctx.Err() == nil {
				t.log.WarnContext(ctx, "reading the roster fails; it is tried again", "error", err)
			}
		}

		select {
		case <-ctx.Done():
			return
		case name, ok := <-wakes:
			switch u := t.units[name]; {
			case !ok:
				wakes = nil
			case u != nil:
				u.poke(false)
			case !t.strange[name]:
				rosterAt = rosterAt.Add(-rosterEvery)
			}

			continue
		case <-sub.C:
		case <-ticker.C:
		}

		if err := t.events(ctx); err != nil && ctx.Err() == nil {
			t.log.WarnContext(ctx, "reading the journal fails; it is tried again", "error", err)
		}
	}
}

// roster reads which units there are: those that something was applied to, and
// those that the target has.
func (t *tenure) roster(ctx context.Context) error {
	if t.position == 0 {
		position, err := journal.Position(ctx, t.store.Read)
		if err != nil {
			return err
		}

		t.position = position
	}

	// First where: a memory of many placements has few on these targets.
	environments, err := t.store.Read.Environment.Query().
		Where(environment.ArchivedAtIsNil(), environment.HasTargetWith(target.KindEQ(t.cfg.Kind))).
		Select(environment.FieldID, environment.FieldName).All(ctx)
	if err != nil {
		return store.Classify(err)
	}

	names := map[string]string{}
	for _, e := range environments {
		names[e.ID] = e.Name
	}

	var rows []*db.Placement

	if len(names) > 0 {
		rows, err = t.store.Read.Placement.Query().
			Where(store.AnyOf(placement.FieldEnvironmentID, slices.Sorted(maps.Keys(names))), placement.HasServiceWith(service.ArchivedAtIsNil())).
			WithService(func(q *db.ServiceQuery) { q.Select(service.FieldID, service.FieldName) }).
			Select(placement.FieldID, placement.FieldServiceID, placement.FieldEnvironmentID, placement.FieldAppliedID).All(ctx)
		if err != nil {
			return store.Classify(err)
		}
	}

	anchored, err := t.cfg.Target.Units(ctx)
	if err != nil {
		return err
	}

	there := map[deployer.Unit]bool{}
	for _, name := range anchored {
		there[name] = true
	}

	wanted := map[deployer.Unit]bool{}

	for _, row := range rows {
		name := deployer.Unit{Service: row.Edges.Service.Name, Environment: names[row.EnvironmentID]}
		if row.AppliedID == nil && !there[name] {
			continue
		}

		wanted[name] = true
		t.start(ctx, name, row.ServiceID, row.EnvironmentID, row.ID)
	}

	for name, u := range t.units {
		if !wanted[name] {
			u.stop()
			delete(t.units, name)
		}
	}

	for name := range there {
		if !wanted[name] && !t.strange[name] {
			t.strange[name] = true
			t.log.WarnContext(ctx, "a unit that no environment knows is left alone", "unit", name)
		}
	}

	for name := range t.strange {
		if wanted[name] || !there[name] {
			delete(t.strange, name)
		}
	}

	return nil
}

// start starts a unit's goroutine, or leaves the one that is there.
func (t *tenure) start(ctx context.Context, name deployer.Unit, serviceID, environmentID, placementID string) {
	if u := t.units[name]; u != nil {
		if u.placement == placementID {
			return
		}

		u.stop() // archived, and made anew under the same name
	}

	inner, cancel := context.WithCancel(ctx)
	u := &unit{
		tenure: t, name: name, service: serviceID, environment: environmentID, placement: placementID,
		wake: make(chan struct{}, 1), versions: map[string]bool{},
	}
	t.units[name] = &running{unit: u, stop: cancel}

	t.wg.Go(func() {
		defer cancel()
		u.run(inner)
	})
}

// events wakes the units whose deployments have changed.
func (t *tenure) events(ctx context.Context) error {
	rows, err := t.store.Read.Event.Query().Where(event.SeqGT(t.position)).Order(event.BySeq()).Limit(eventsLimit).
		Select(event.FieldSeq, event.FieldSubject).All(ctx)
	if err != nil || len(rows) == 0 {
		return store.Classify(err)
	}

	if len(rows) == eventsLimit {
		position, err := journal.Position(ctx, t.store.Read)
		if err != nil {
			return err
		}

		t.position = position

		for _, u := range t.units {
			u.poke(true)
		}

		return t.roster(ctx)
	}

	var ids []string

	for _, row := range rows {
		if id.IsOf(row.Subject, id.Deployment) {
			ids = append(ids, row.Subject)
		}
	}

	if err := t.changed(ctx, ids); err != nil {
		return err
	}

	t.position = rows[len(rows)-1].Seq

	return nil
}

// changed wakes the units of the deployments; one that is new here changes the
// roster.
func (t *tenure) changed(ctx context.Context, ids []string) error {
	if len(ids) == 0 {
		return nil
	}

	rows, err := t.store.Read.Deployment.Query().
		Where(deployment.IDIn(ids...), deployment.ActedAtNotNil(), deployment.HasTargetWith(target.KindEQ(t.cfg.Kind))).
		WithService(func(q *db.ServiceQuery) { q.Select(service.FieldID, service.FieldName) }).
		WithEnvironment(func(q *db.EnvironmentQuery) { q.Select(environment.FieldID, environment.FieldName) }).
		Select(deployment.FieldID, deployment.FieldServiceID, deployment.FieldEnvironmentID).All(ctx)
	if err != nil {
		return store.Classify(err)
	}

	fresh := false

	for _, row := range rows {
		name := deployer.Unit{Service: row.Edges.Service.Name, Environment: row.Edges.Environment.Name}
		if u := t.units[name]; u != nil {
			u.poke(true)
		} else {
			fresh = true
		}
	}

	if fresh {
		return t.roster(ctx)
	}

	return nil
}
