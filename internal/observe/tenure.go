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
	"github.com/shiplog/shiplog/internal/spec"
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
	// rosterAt is when the roster was read, made older by a unit that is not
	// on it; lookedAt when that was last tried.
	rosterAt, lookedAt time.Time
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

	// due rings when a roster is to be read that was read a moment ago.
	due := time.NewTimer(rosterGap)
	defer due.Stop()

	for {
		if time.Since(t.rosterAt) > rosterEvery {
			if wait := rosterGap - time.Since(t.lookedAt); wait > 0 {
				due.Reset(wait)
			} else {
				t.reread(ctx)
			}
		}

		select {
		case <-ctx.Done():
			return
		case <-due.C:
			continue
		case name, ok := <-wakes:
			switch u := t.units[name]; {
			case !ok:
				wakes = nil
			case u != nil:
				u.poke(false)
			case !t.strange[name]:
				t.outdated()
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

// outdated makes the roster one that is to be read, soon: of many units that are
// new at once it is read for all of them.
func (t *tenure) outdated() { t.rosterAt = time.Time{} }

// reread reads the roster.
func (t *tenure) reread(ctx context.Context) {
	t.lookedAt = time.Now()

	if err := t.roster(ctx); err == nil {
		t.rosterAt = time.Now()
	} else if ctx.Err() == nil {
		t.lookedAt = t.lookedAt.Add(max(0, t.cfg.Poll-rosterGap)) // no sooner than all else is tried again
		t.log.WarnContext(ctx, "reading the roster fails; it is tried again", "error", err)
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
		WithTarget().Select(environment.FieldID, environment.FieldName, environment.FieldTargetID).All(ctx)
	if err != nil {
		return store.Classify(err)
	}

	names, targets := map[string]string{}, map[string]*db.Target{}
	for _, e := range environments {
		names[e.ID], targets[e.ID] = e.Name, e.Edges.Target
	}

	var rows []*db.Placement

	if len(names) > 0 {
		rows, err = t.store.Read.Placement.Query().
			Where(store.AnyOf(placement.FieldEnvironmentID, slices.Sorted(maps.Keys(names))), placement.HasServiceWith(service.ArchivedAtIsNil())).
			WithService(func(q *db.ServiceQuery) { q.Select(service.FieldID, service.FieldName) }).
			WithApplied(func(q *db.DeploymentQuery) { q.WithTarget().Select(deployment.FieldID, deployment.FieldTargetID) }).
			Select(placement.FieldID, placement.FieldServiceID, placement.FieldEnvironmentID, placement.FieldAppliedID).All(ctx)
		if err != nil {
			return store.Classify(err)
		}
	}

	t.places(rows, names, targets)

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

// places says where the units are: where what was applied last went to, or is to
// go.
func (t *tenure) places(rows []*db.Placement, names map[string]string, targets map[string]*db.Target) {
	if t.cfg.Places == nil {
		return
	}

	all := map[deployer.Unit]deployer.Place{}

	for _, row := range rows {
		at := targets[row.EnvironmentID]
		if row.Edges.Applied != nil {
			at = row.Edges.Applied.Edges.Target
		}

		if at == nil || at.Kind != t.cfg.Kind || at.Connection == nil || at.Namespace == nil {
			continue
		}

		u := deployer.Unit{Service: row.Edges.Service.Name, Environment: names[row.EnvironmentID]}
		all[u] = deployer.Place{Connection: *at.Connection, Namespace: spec.Namespace(*at.Namespace, u.Service, u.Environment)}
	}

	t.cfg.Places(all)
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

		t.outdated()

		return nil
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
		t.outdated()
	}

	return nil
}
