package deployment

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/shiplog/shiplog/ent/db"
	"github.com/shiplog/shiplog/ent/db/decision"
	"github.com/shiplog/shiplog/ent/db/deployment"
	"github.com/shiplog/shiplog/ent/db/environment"
	"github.com/shiplog/shiplog/ent/db/rule"
	"github.com/shiplog/shiplog/ent/db/version"
	"github.com/shiplog/shiplog/internal/access"
	"github.com/shiplog/shiplog/internal/automation"
	"github.com/shiplog/shiplog/internal/journal"
	"github.com/shiplog/shiplog/internal/store"
)

// A decision that holds stays open until what held it is gone: a hold, whose
// release decides again in its own transaction, or the lock of an environment,
// which holds many services and is followed by a job. The ticker finds what no
// job came to: one that was lost, or a decision that was taken at the moment of
// the unlocking.

// resume lets the rules decide again what is open for a service in an
// environment: each rule, as it is now, the newest version that it held. The
// placement is locked.
func (e *Engine) resume(ctx context.Context, tx *store.Tx, actor journal.Actor, serviceID, environmentID string) ([]*db.Decision, error) {
	rows, err := tx.Decision.Query().
		Where(decision.Open(true), decision.EnvironmentID(environmentID), decision.HasVersionWith(version.ServiceID(serviceID))).
		WithVersion(func(q *db.VersionQuery) { q.WithImages().WithService() }).
		WithSource(func(q *db.DeploymentQuery) {
			q.WithEnvironment(func(q *db.EnvironmentQuery) { q.WithTarget() })
		}).
		Order(decision.ByID()).All(ctx)
	if err != nil || len(rows) == 0 {
		return nil, err
	}

	ids := make([]string, len(rows))
	for i, row := range rows {
		ids[i] = row.ID
	}

	if err := tx.Decision.Update().Where(decision.IDIn(ids...)).SetOpen(false).Exec(ctx); err != nil {
		return nil, err
	}

	var again []*db.Decision

	for _, row := range newestHeld(rows) {
		some, err := e.decideAgain(ctx, tx, actor, row)
		if err != nil {
			return nil, err
		}

		again = append(again, some...)
	}

	return again, nil
}

// newestHeld gives of each rule the decision about its newest version, newest
// versions first: so an older one finds the newer on its way.
func newestHeld(rows []*db.Decision) []*db.Decision {
	newest := map[string]*db.Decision{}

	for _, row := range rows {
		known, ok := newest[row.RuleID]
		if !ok || !versionRef(known.Edges.Version).Newer(versionRef(row.Edges.Version)) {
			newest[row.RuleID] = row
		}
	}

	return slices.SortedFunc(maps.Values(newest), func(a, b *db.Decision) int {
		switch one, other := versionRef(a.Edges.Version), versionRef(b.Edges.Version); {
		case one.Newer(other):
			return -1
		case other.Newer(one):
			return 1
		}

		return cmp.Compare(a.RuleID, b.RuleID)
	})
}

// decideAgain asks the rule of a decision again, which may have changed since,
// or be gone.
func (e *Engine) decideAgain(ctx context.Context, tx *store.Tx, actor journal.Actor, row *db.Decision) ([]*db.Decision, error) {
	o := occasion{
		cause: deployment.CauseRULE, trigger: rule.TriggerVERSION_REGISTERED, service: row.Edges.Version.Edges.Service,
		version: row.Edges.Version, source: row.Edges.Source,
	}
	if o.source != nil {
		o.trigger = rule.TriggerDEPLOYMENT_SUCCEEDED
	}

	rules, err := e.rules(ctx, tx.Client, o.trigger)
	if err != nil {
		return nil, err
	}

	rules = slices.DeleteFunc(rules, func(r *automation.Compiled) bool {
		return r.Rule().ID != row.RuleID || r.Rule().Target.ID != row.EnvironmentID
	})
	if len(rules) == 0 {
		return nil, nil
	}

	if err := o.steady(ctx, tx, []string{row.EnvironmentID}); err != nil {
		return nil, err
	}

	facts, environments, err := e.facts(ctx, tx.Client, o, []string{row.EnvironmentID})
	if err != nil {
		return nil, err
	}

	verdicts := automation.Decide(rules, facts)
	if len(verdicts) == 0 {
		return nil, nil
	}

	o.eventID, err = journal.Record(tx, journal.Entry{
		Type: "decision.resumed", Actor: actor, Source: "rule", Subject: row.ID, Service: o.service.ID,
		Message: fmt.Sprintf("rule %s is asked again about %s of %s", verdicts[0].RuleName, o.version.Name, o.service.Name),
		Payload: map[string]string{"decision": row.ID},
	})
	if err != nil {
		return nil, err
	}

	kept, err := e.keepDecision(ctx, tx, o, environments, verdicts[0])

	return []*db.Decision{kept}, err
}

// Unlocked lets the rules go on in an environment that is unlocked in this
// transaction.
func (e *Engine) Unlocked(ctx context.Context, tx *store.Tx, environmentID string) error {
	return e.jobs.resume(ctx, tx, environmentID)
}

// resumeIn decides again what is open in an environment and held by nothing
// any more, each service in a transaction of its own.
func (e *Engine) resumeIn(ctx context.Context, environmentID string) error {
	var services []string

	query := e.store.NewQuery("SELECT DISTINCT v.service_id FROM decisions d JOIN versions v ON v.id = d.version_id WHERE d.open AND d.environment_id = ?", environmentID)

	err := query.Rows(ctx, e.store.Read, func(rows *sql.Rows) error {
		var serviceID string
		if err := rows.Scan(&serviceID); err != nil {
			return err
		}

		services = append(services, serviceID)

		return nil
	})
	if err != nil {
		return err
	}

	var errs error

	for _, serviceID := range services {
		errs = errors.Join(errs, e.store.WithTx(ctx, func(ctx context.Context, tx *store.Tx) error {
			return e.resumeUnit(ctx, tx, serviceID, environmentID)
		}))
	}

	return errs
}

func (e *Engine) resumeUnit(ctx context.Context, tx *store.Tx, serviceID, environmentID string) error {
	p, err := lockPlacement(ctx, tx, serviceID, environmentID)
	if err != nil {
		return err
	}

	locked, err := tx.Environment.Query().Where(environment.ID(environmentID), environment.LockedReasonNotNil()).Exist(ctx)
	if err != nil || locked {
		return err
	}

	stands, err := standing(ctx, tx.Client, p.ID)
	if err != nil || stands != nil {
		return err
	}

	_, err = e.resume(ctx, tx, access.Engine().Actor, serviceID, environmentID)

	return err
}

// resumable gives the environments in which something is open that nothing
// holds any more, and no job has come.
func (e *Engine) resumable(ctx context.Context) (environments []string, err error) {
	query := e.store.NewQuery(`SELECT DISTINCT d.environment_id FROM decisions d JOIN environments e ON e.id = d.environment_id
		WHERE d.open AND d.created_at < ? AND e.locked_reason IS NULL AND NOT EXISTS (
			SELECT 1 FROM holds h JOIN versions v ON v.service_id = h.service_id
			WHERE v.id = d.version_id AND h.environment_id = d.environment_id AND h.released_at IS NULL)`, store.Now().Add(-late))

	err = query.Rows(ctx, e.store.Read, func(rows *sql.Rows) error {
		var environmentID string
		if err := rows.Scan(&environmentID); err != nil {
			return err
		}

		environments = append(environments, environmentID)

		return nil
	})

	return environments, err
}
