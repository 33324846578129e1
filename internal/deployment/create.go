package deployment

import (
	"context"
	"fmt"

	"github.com/shiplog/shiplog/ent/db"
	"github.com/shiplog/shiplog/ent/db/deployment"
	"github.com/shiplog/shiplog/ent/db/step"
	"github.com/shiplog/shiplog/ent/db/target"
	"github.com/shiplog/shiplog/internal/fault"
	"github.com/shiplog/shiplog/internal/id"
	"github.com/shiplog/shiplog/internal/journal"
	"github.com/shiplog/shiplog/internal/store"
)

// request is what a new deployment is to be.
type request struct {
	service     *db.Service
	environment *db.Environment // with its target
	version     *db.Version     // nil for UNDEPLOY
	kind        deployment.Kind
	cause       deployment.Cause
	actor       journal.Actor
	source      string // how it came: graphql, rule
	reason      *string
	repeats     *db.Deployment
	snapshotID  *string // fixed beforehand: the snapshot of repeats
	layers      map[string]string
	preempt     bool
	override    *string
	expected    *string
	hold        bool // it makes a hold, unless one stands already
}

// created is the payload of deployment.created.
type created struct {
	Deployment *db.Deployment `json:"deployment"`
	Service    string         `json:"service"`
	Version    string         `json:"version,omitempty"`
	To         string         `json:"environment"`
}

// create makes a deployment: checked under the placement's lock, with its
// steps, event and job, and with the hold that it is to make. It supersedes the
// candidates that have not acted. The hold is the one that stands then.
// Errors: CONFLICT, INVALID_INPUT, LOCKED, HELD, BLOCKED, STALE.
func (e *Engine) create(ctx context.Context, tx *store.Tx, r request) (*db.Deployment, *db.Hold, error) {
	p, err := lockPlacement(ctx, tx, r.service.ID, r.environment.ID)
	if err != nil {
		return nil, nil, err
	}

	stands, err := standing(ctx, tx.Client, p.ID)
	if err != nil {
		return nil, nil, err
	}

	if err := r.steady(ctx, tx); err != nil {
		return nil, nil, err
	}

	if err := r.admit(p, stands); err != nil {
		return nil, nil, err
	}

	d, err := e.put(ctx, tx, r, p)
	if err != nil {
		return nil, nil, err
	}

	stands, err = r.holdBack(ctx, tx, p, stands, d)

	return d, stands, err
}

// put stores what was admitted. The placement is locked.
func (e *Engine) put(ctx context.Context, tx *store.Tx, r request, p *db.Placement) (*db.Deployment, error) {
	if r.kind == deployment.KindUNDEPLOY {
		if err := r.isThere(ctx, tx.Client, p); err != nil {
			return nil, err
		}
	}

	deploymentID, err := id.New(id.Deployment)
	if err != nil {
		return nil, err
	}

	now := store.Now()
	create := tx.Deployment.Create().SetID(deploymentID).SetServiceID(r.service.ID).SetEnvironmentID(r.environment.ID).
		SetTargetID(r.environment.TargetID).SetKind(r.kind).SetCause(r.cause).SetStatus(deployment.StatusQUEUED).
		SetNillableReason(text(r.reason)).SetOccurredAt(now).SetCreatedAt(now).SetNillableBaseID(p.RecordedID).
		SetNillableOverrideReason(text(r.override)).SetNillableSnapshotID(r.snapshotID).SetLayers(r.layers).
		SetActorKind(deployment.ActorKind(r.actor.Kind)).SetActorIssuer(r.actor.Issuer).SetActorSubject(r.actor.Subject).SetActorDisplay(r.actor.Display)

	if r.version != nil {
		create.SetVersionID(r.version.ID)
	}

	if r.repeats != nil {
		create.SetSourceID(r.repeats.ID)
	}

	d, err := create.Save(ctx)
	if err != nil {
		return nil, err
	}

	if err := createSteps(ctx, tx, d.ID); err != nil {
		return nil, err
	}

	what := created{Deployment: d, Service: r.service.Name, To: r.environment.Name}
	if r.version != nil {
		what.Version = r.version.Name
	}

	_, err = journal.Record(tx, journal.Entry{
		Type: "deployment.created", Actor: r.actor, Source: r.source, Subject: d.ID, Service: r.service.ID,
		Message: fmt.Sprintf("%s of %s asked for", r.kind, name(r.service, r.version, r.environment)), Payload: what,
	})
	if err != nil {
		return nil, err
	}

	if err := e.makeRoom(ctx, tx, r, p, d); err != nil {
		return nil, err
	}

	tx.Wake(Topic(d.ServiceID, d.EnvironmentID))

	return d, e.jobs.advance(ctx, tx, d.ServiceID, d.EnvironmentID)
}

// inUse says whether service or environment is archived.
func (r request) inUse() error {
	switch {
	case r.service.ArchivedAt != nil:
		return fault.New(fault.Conflict, "service %s is archived", r.service.Name).At("service")
	case r.environment.ArchivedAt != nil:
		return fault.New(fault.Conflict, "environment %s is archived", r.environment.Name).At("environment")
	}

	return nil
}

// admit says what stands against the request.
func (r request) admit(p *db.Placement, stands *db.Hold) error {
	if err := r.possible(p); err != nil || r.override != nil {
		return err
	}

	if gates := r.gates(stands); len(gates) > 0 {
		return gates[0]
	}

	return nil
}

// possible says what stands against the request and cannot be passed.
func (r request) possible(p *db.Placement) error {
	if err := r.inUse(); err != nil {
		return err
	}

	switch {
	case r.environment.Edges.Target.Kind == target.KindEXTERNAL:
		return fault.Invalid("environment", "somebody else deploys to %s: tell Shiplog with recordDeployment", r.environment.Name)
	case r.version != nil && r.version.WorkloadDigest == nil && r.snapshotID == nil:
		return fault.Invalid("version", "version %s has no workload, so it can only be recorded: register one with a Score document or manifests", r.version.Name)
	case r.expected != nil && *r.expected != value(p.RecordedID):
		return fault.New(fault.Stale, "current is %s, not %s", orNothing(p.RecordedID), orNothing(r.expected)).At("expectedCurrent").
			With("current", map[string]*string{"deployment": p.RecordedID, "version": p.RecordedVersionID})
	}

	return nil
}

// gates are what stands against the request unless it is passed. A rollback
// goes back further under its own hold.
func (r request) gates(stands *db.Hold) (unmet []*fault.Error) {
	if why := r.environment.LockedReason; why != nil {
		unmet = append(unmet, fault.New(fault.Locked, "environment %s is locked: %s", r.environment.Name, *why).At("environment"))
	}

	if stands != nil && r.kind != deployment.KindROLLBACK {
		unmet = append(unmet, fault.New(fault.Held, "%s is held in %s: %s (%s)", r.service.Name, r.environment.Name, stands.Reason, stands.ID).At("environment"))
	}

	if r.version != nil && r.version.BlockedReason != nil {
		unmet = append(unmet, fault.New(fault.Blocked, "version %s is blocked: %s", r.version.Name, *r.version.BlockedReason).At("version"))
	}

	return unmet
}

func orNothing(p *string) string {
	if p == nil || *p == "" {
		return "nothing"
	}

	return *p
}

func createSteps(ctx context.Context, tx *store.Tx, deploymentID string) error {
	kinds := []step.Kind{step.KindPLAN, step.KindAPPLY, step.KindROLLOUT}
	names := map[step.Kind]string{step.KindPLAN: "plan", step.KindAPPLY: "apply", step.KindROLLOUT: "rollout"}
	creates := make([]*db.StepCreate, len(kinds))

	for i, kind := range kinds {
		stepID, err := id.New(id.Step)
		if err != nil {
			return err
		}

		creates[i] = tx.Step.Create().SetID(stepID).SetDeploymentID(deploymentID).SetIndex(i).SetKind(kind).SetName(names[kind]).SetStatus(step.StatusPENDING)
	}

	return tx.Step.CreateBulk(creates...).Exec(ctx)
}

// makeRoom supersedes the candidates that have not acted and, with preempt,
// asks the holder of the slot to stop.
func (e *Engine) makeRoom(ctx context.Context, tx *store.Tx, r request, p *db.Placement, d *db.Deployment) error {
	others, err := tx.Deployment.Query().
		Where(deployment.ServiceID(d.ServiceID), deployment.EnvironmentID(d.EnvironmentID), deployment.FinishedAtIsNil(), deployment.IDNEQ(d.ID)).
		Order(deployment.ByID()).All(ctx)
	if err != nil {
		return err
	}

	for _, other := range others {
		switch {
		case other.ActedAt == nil && !other.HoldsSlot:
			err = e.finish(ctx, tx, r.actor, p, other, deployment.StatusSUPERSEDED, "superseded by "+d.ID, func(u *db.DeploymentUpdateOne) {
				u.SetSupersededByID(d.ID)
			})
		case r.preempt && other.StopRequestedAt == nil:
			err = requestStop(ctx, tx, r.actor, other, "preempted by "+d.ID, func(u *db.DeploymentUpdateOne) { u.SetPreemptedByID(d.ID) })
		}

		if err != nil {
			return err
		}
	}

	return nil
}

// requestStop asks a deployment that has acted to stop at its next safe point.
func requestStop(ctx context.Context, tx *store.Tx, actor journal.Actor, d *db.Deployment, reason string, change func(*db.DeploymentUpdateOne)) error {
	update := tx.Deployment.UpdateOneID(d.ID).SetStopRequestedAt(store.Now()).SetStopReason(reason)
	if change != nil {
		change(update)
	}

	after, err := update.Save(ctx)
	if err != nil {
		return err
	}

	after.Edges = d.Edges // what was loaded stays loaded
	*d = *after

	tx.Wake(Topic(d.ServiceID, d.EnvironmentID))

	_, err = journal.Record(tx, journal.Entry{
		Type: "deployment.stop_requested", Actor: actor, Source: "graphql", Subject: d.ID, Service: d.ServiceID,
		Message: d.ID + ": asked to stop: " + reason, Payload: map[string]string{"reason": reason},
	})

	return err
}
