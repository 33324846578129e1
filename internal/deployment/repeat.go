package deployment

import (
	"context"

	"github.com/shiplog/shiplog/ent/db"
	"github.com/shiplog/shiplog/ent/db/deployment"
	"github.com/shiplog/shiplog/ent/db/placement"
	"github.com/shiplog/shiplog/ent/db/version"
	"github.com/shiplog/shiplog/internal/access"
	"github.com/shiplog/shiplog/internal/catalog"
	"github.com/shiplog/shiplog/internal/fault"
	"github.com/shiplog/shiplog/internal/id"
	"github.com/shiplog/shiplog/internal/store"
)

// RepeatConfiguration says which configuration a repetition takes.
type RepeatConfiguration string

// The configurations of a repetition.
const (
	Then   RepeatConfiguration = "THEN"
	Latest RepeatConfiguration = "LATEST"
)

// Redeploy is the input of redeploy.
type Redeploy struct {
	Deployment      string
	Configuration   *RepeatConfiguration
	DryRun          *bool `json:",omitempty"` // left out it is the input that it was before
	Reason          *string
	Preempt         *bool
	Override        *Override
	ExpectedCurrent *string
	IdempotencyKey  *string `json:"-"`
}

// Rollback is the input of rollback.
type Rollback struct {
	Service         string
	Environment     string
	To              *string
	Hold            *bool `json:",omitempty"` // left out they are the input that it was before
	DryRun          *bool `json:",omitempty"`
	Reason          *string
	Preempt         *bool
	Override        *Override
	ExpectedCurrent *string
	IdempotencyKey  *string `json:"-"`
}

// Result is the payload of cancelDeployment.
type Result struct{ Deployment *db.Deployment }

// RollbackResult is the payload of rollback.
type RollbackResult struct {
	Deployment *db.Deployment
	// Hold that stands with it; nil for none.
	Hold *db.Hold
	Plan *Plan
}

// Redeploy repeats a deployment, with its own snapshot or with the latest
// configuration; or with DryRun only says what it would apply. Errors: NOT_FOUND;
// CONFLICT when it cannot be repeated.
func (e *Engine) Redeploy(ctx context.Context, in Redeploy) (*DeployResult, error) {
	caller, err := access.From(ctx)
	if err != nil {
		return nil, err
	}

	a := act{Reason: in.Reason, Preempt: in.Preempt, Override: in.Override, ExpectedCurrent: in.ExpectedCurrent}
	if err := a.validate(); err != nil {
		return nil, err
	}

	find := func(ctx context.Context, client *db.Client) (request, error) {
		source, err := Find(ctx, client, "deployment", in.Deployment)
		if err != nil {
			return request{}, err
		}

		r := a.request(caller, deployment.KindREDEPLOY)
		if in.Configuration != nil && *in.Configuration == Latest {
			return r, r.again(ctx, client, "deployment", source)
		}

		return r, r.repeat(ctx, client, "deployment", source)
	}

	return e.plannedOrMade(ctx, caller, "redeploy", value(in.DryRun), in.IdempotencyKey, in, find)
}

// plannedOrMade makes what was asked for, or only says what it would apply.
func (e *Engine) plannedOrMade(ctx context.Context, caller access.Caller, mutation string, dry bool, key *string, input any, find finder) (*DeployResult, error) {
	if !dry {
		d, _, err := e.make(ctx, caller, mutation, key, input, find)

		return &DeployResult{Deployment: d}, err
	}

	if err := store.ValidateKey(value(key)); err != nil {
		return nil, err
	}

	plan, err := e.preview(ctx, find)

	return &DeployResult{Plan: plan}, err
}

// Rollback goes back to the last good deployment before what is applied, or
// to a named one, exactly as it was. Errors: NOT_FOUND; CONFLICT when there is
// nothing to go back to, or it cannot be repeated, or, without an override, has
// never worked.
func (e *Engine) Rollback(ctx context.Context, in Rollback) (*RollbackResult, error) {
	caller, err := access.From(ctx)
	if err != nil {
		return nil, err
	}

	a := act{Reason: in.Reason, Preempt: in.Preempt, Override: in.Override, ExpectedCurrent: in.ExpectedCurrent}
	if err := a.validate(); err != nil {
		return nil, err
	}

	find := func(ctx context.Context, client *db.Client) (request, error) {
		r := a.request(caller, deployment.KindROLLBACK)
		r.hold = in.Hold == nil || *in.Hold

		if err := r.find(ctx, client, in.Service, in.Environment); err != nil {
			return r, err
		}

		// Before its deployments are looked for: it need not have any.
		if err := r.inUse(); err != nil {
			return r, err
		}

		source, err := r.rollbackTo(ctx, client, in.To)
		if err != nil {
			return r, err
		}

		return r, r.repeat(ctx, client, "to", source)
	}

	if value(in.DryRun) {
		planned, err := e.plannedOrMade(ctx, caller, "rollback", true, in.IdempotencyKey, in, find)
		if err != nil {
			return nil, err
		}

		return &RollbackResult{Plan: planned.Plan}, nil
	}

	d, hold, err := e.make(ctx, caller, "rollback", in.IdempotencyKey, in, find)
	if err != nil {
		return nil, err
	}

	result := RollbackResult{Deployment: d}
	if hold != nil {
		result.Hold, err = e.store.Read.Hold.Get(ctx, *hold)
	}

	return &result, store.Classify(err)
}

// rollbackTo finds what to go back to.
func (r *request) rollbackTo(ctx context.Context, client *db.Client, to *string) (*db.Deployment, error) {
	if value(to) != "" {
		source, err := Find(ctx, client, "to", *to)
		if err != nil {
			return nil, err
		}

		if source.ServiceID != r.service.ID || source.EnvironmentID != r.environment.ID {
			return nil, fault.Invalid("to", "deployment %s is not one of %s in %s", source.ID, r.service.Name, r.environment.Name)
		}

		// What cannot be repeated anyhow says so itself.
		if source.BecameCurrentAt == nil && source.SnapshotID != nil && r.override == nil {
			return nil, fault.New(fault.Conflict, "deployment %s never worked, it is %s: going back to it takes an override", source.ID, source.Status).At("override")
		}

		return source, nil
	}

	source, err := lastGood(ctx, client, r.service.ID, r.environment.ID)
	if err == nil && source == nil {
		err = fault.New(fault.Conflict, "there is no good deployment of %s in %s to go back to", r.service.Name, r.environment.Name).At("to")
	}

	return source, err
}

// lastGood gives the last deployment that was in place before what is applied
// and that differs from it, of a version that is not blocked; nil when there is
// none.
func lastGood(ctx context.Context, client *db.Client, serviceID, environmentID string) (*db.Deployment, error) {
	p, err := client.Placement.Query().Where(placement.ID(id.PlacementID(serviceID, environmentID))).
		WithApplied(func(q *db.DeploymentQuery) { q.WithSnapshot() }).Only(ctx)

	switch {
	case db.IsNotFound(err):
		return nil, nil //nolint:nilnil // nothing to go back to is an answer
	case err != nil:
		return nil, store.Classify(err)
	case p.Edges.Applied == nil:
		return nil, nil //nolint:nilnil // nothing to go back to is an answer
	}

	rows, err := client.Deployment.Query().
		Where(deployment.ServiceID(serviceID), deployment.EnvironmentID(environmentID), deployment.BecameCurrentAtNotNil(),
			deployment.SnapshotIDNotNil(), deployment.SnapshotIDNEQ(value(p.Edges.Applied.SnapshotID)),
			deployment.Not(deployment.HasVersionWith(version.BlockedReasonNotNil()))).
		Order(db.Desc(deployment.FieldBecameCurrentAt), db.Desc(deployment.FieldCurrentOrder)).Limit(1).All(ctx)
	if err != nil || len(rows) == 0 {
		return nil, store.Classify(err)
	}

	return rows[0], nil
}

// repeat takes the snapshot of source as it was.
func (r *request) repeat(ctx context.Context, client *db.Client, field string, source *db.Deployment) error {
	if err := r.again(ctx, client, field, source); err != nil {
		return err
	}

	if refusal := cannotRepeat(source, r.environment); refusal != nil {
		return refusal.At(field)
	}

	r.snapshotID, r.layers = source.SnapshotID, source.Layers

	return nil
}

// again takes service, environment and version of source, which was named by
// the field.
func (r *request) again(ctx context.Context, client *db.Client, field string, source *db.Deployment) (err error) {
	r.repeats = source

	if r.service, err = client.Service.Get(ctx, source.ServiceID); err != nil {
		return store.Classify(err)
	}

	if r.environment, err = catalog.FindEnvironment(ctx, client, "deployment", source.EnvironmentID); err != nil {
		return err
	}

	if source.VersionID == nil {
		return nothingIn(source).At(field)
	}

	r.version, err = catalog.FindVersion(ctx, client, "version", r.service, *source.VersionID)

	return err
}

// cannotRepeat says why the snapshot of a deployment cannot be applied again
// in its environment, which is loaded with its target; nil when it can.
func cannotRepeat(source *db.Deployment, environment *db.Environment) *fault.Error {
	switch {
	case source.Kind == deployment.KindEXTERNAL:
		return fault.New(fault.Conflict, "deployment %s was made by somebody else: Shiplog has no snapshot of it", source.ID)
	case source.Kind == deployment.KindUNDEPLOY:
		return nothingIn(source)
	case source.SnapshotID == nil:
		return fault.New(fault.Conflict, "deployment %s was never planned: it has no snapshot", source.ID)
	case source.TargetID != environment.TargetID:
		return fault.New(fault.Conflict, "environment %s has moved to another target since deployment %s", environment.Name, source.ID)
	}

	return nil
}

// nothingIn refuses to repeat a deployment that took the service away.
func nothingIn(source *db.Deployment) *fault.Error {
	return fault.New(fault.Conflict, "deployment %s took the service away: there is no content in it to bring back; undeploy takes it away again", source.ID)
}

// CanRollback says whether its environment can go back to a deployment.
type CanRollback struct {
	Allowed bool
	Code    *fault.Code
	Reason  *string
}

// RollbackAllowed says whether the environment, loaded with its target, can go
// back to the deployment, of the version (nil for none), now, and if not, why.
func RollbackAllowed(d *db.Deployment, v *db.Version, environment *db.Environment, p *db.Placement) CanRollback {
	refusal := cannotRepeat(d, environment)

	switch {
	case refusal != nil:
	case environment.ArchivedAt != nil:
		refusal = fault.New(fault.Conflict, "environment %s is archived", environment.Name)
	case d.BecameCurrentAt == nil:
		refusal = fault.New(fault.Conflict, "deployment %s never worked, it is %s: going back to it takes an override", d.ID, d.Status)
	case p != nil && value(p.RecordedID) == d.ID && value(p.AppliedID) == d.ID:
		refusal = fault.New(fault.Conflict, "deployment %s is what is in place", d.ID)
	case environment.LockedReason != nil:
		refusal = fault.New(fault.Locked, "environment %s is locked: %s", environment.Name, *environment.LockedReason)
	case v != nil && v.BlockedReason != nil:
		refusal = fault.New(fault.Blocked, "version %s is blocked: %s", v.Name, *v.BlockedReason)
	default:
		return CanRollback{Allowed: true}
	}

	return CanRollback{Code: &refusal.Code, Reason: &refusal.Message}
}

// Find gives a deployment by id. Errors: NOT_FOUND with the field.
func Find(ctx context.Context, client *db.Client, field, ref string) (*db.Deployment, error) {
	if !id.IsOf(ref, id.Deployment) {
		return nil, fault.Missing(field, "there is no deployment %q", ref)
	}

	d, err := client.Deployment.Get(ctx, ref)
	if db.IsNotFound(err) {
		return nil, fault.Missing(field, "there is no deployment %q", ref)
	}

	return d, store.Classify(err)
}
