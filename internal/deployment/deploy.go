package deployment

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/shiplog/shiplog/ent/db"
	"github.com/shiplog/shiplog/ent/db/deployment"
	"github.com/shiplog/shiplog/ent/db/target"
	"github.com/shiplog/shiplog/internal/access"
	"github.com/shiplog/shiplog/internal/catalog"
	"github.com/shiplog/shiplog/internal/fault"
	"github.com/shiplog/shiplog/internal/id"
	"github.com/shiplog/shiplog/internal/journal"
	"github.com/shiplog/shiplog/internal/spec"
	"github.com/shiplog/shiplog/internal/store"
)

// maxReason bounds reasons, in bytes.
const maxReason = 1000

// Override passes a lock, hold or block.
type Override struct{ Reason string }

// act is what all acts of people and CI have in common.
type act struct {
	Reason          *string
	Preempt         *bool
	Override        *Override
	ExpectedCurrent *string
}

func (a act) validate() error {
	if a.Reason != nil {
		if err := spec.ValidateText("reason", *a.Reason, maxReason); err != nil {
			return err
		}
	}

	if expected := value(a.ExpectedCurrent); expected != "" && !id.IsOf(expected, id.Deployment) {
		return fault.Invalid("expectedCurrent", "want the id of a deployment, or \"\" for none")
	}

	if a.Override != nil {
		if strings.TrimSpace(a.Override.Reason) == "" {
			return fault.Invalid("override.reason", "want the reason for passing what stands against it")
		}

		return spec.ValidateText("override.reason", a.Override.Reason, maxReason)
	}

	return nil
}

func (a act) request(caller access.Caller, kind deployment.Kind) request {
	r := request{
		kind: kind, cause: causeOf(caller), actor: caller.Actor, source: "graphql", reason: a.Reason,
		preempt: value(a.Preempt), expected: a.ExpectedCurrent,
	}
	if a.Override != nil {
		r.override = &a.Override.Reason
	}

	return r
}

func causeOf(caller access.Caller) deployment.Cause {
	if caller.Actor.Kind == journal.CI {
		return deployment.CauseCI
	}

	return deployment.CauseUSER
}

// Deploy is the input of deploy.
type Deploy struct {
	Service         string
	Environment     string
	Version         string
	Reason          *string
	DryRun          *bool
	Preempt         *bool
	Override        *Override
	ExpectedCurrent *string
	IdempotencyKey  *string `json:"-"`
}

func (in Deploy) act() act {
	return act{Reason: in.Reason, Preempt: in.Preempt, Override: in.Override, ExpectedCurrent: in.ExpectedCurrent}
}

// Plan is what a deployment would apply.
type Plan struct {
	// Digest of the snapshot; nil where nothing is wanted.
	Digest        *string
	Objects       map[string]json.RawMessage
	Configuration spec.Configuration
	// Current is what is in place, which it would change; nil for nothing.
	Current   *db.Deployment
	Unchanged bool
	// Unmet are the gates that stand against it: locks, holds and blocks.
	Unmet []*fault.Error
}

// DeployResult is the payload of deploy, promote, redeploy and undeploy: the
// deployment, or on a dry run the plan.
type DeployResult struct {
	Deployment *db.Deployment
	Plan       *Plan
}

// Deploy makes a deployment of a version to an environment, or with DryRun
// only says what it would apply. Errors: NOT_FOUND; INVALID_INPUT when it
// cannot be planned; those of create.
func (e *Engine) Deploy(ctx context.Context, in Deploy) (*DeployResult, error) {
	caller, err := access.From(ctx)
	if err != nil {
		return nil, err
	}

	if err := in.act().validate(); err != nil {
		return nil, err
	}

	find := func(ctx context.Context, client *db.Client) (request, error) {
		r := in.act().request(caller, deployment.KindDEPLOY)

		if err := r.find(ctx, client, in.Service, in.Environment); err != nil {
			return r, err
		}

		r.version, err = catalog.FindVersion(ctx, client, "version", r.service, in.Version)

		return r, err
	}

	return e.plannedOrMade(ctx, caller, "deploy", value(in.DryRun), in.IdempotencyKey, in, find)
}

// finder finds what a request refers to.
type finder = func(ctx context.Context, client *db.Client) (request, error)

// find finds service and environment.
func (r *request) find(ctx context.Context, client *db.Client, service, environment string) (err error) {
	if r.service, err = catalog.FindService(ctx, client, "service", service); err != nil {
		return err
	}

	r.environment, err = catalog.FindEnvironment(ctx, client, "environment", environment)

	return err
}

// made is what was made: its id, and that of the hold that stands with it.
type made struct {
	ID   string
	Hold *string `json:",omitempty"`
}

// make makes a deployment for a keyed mutation and gives it, with the id of the
// hold that stands then. What cannot be planned is refused before anything is
// stored.
func (e *Engine) make(ctx context.Context, caller access.Caller, mutation string, key *string, input any, find finder) (d *db.Deployment, hold *string, err error) {
	call := store.Call{Caller: caller.Key(), Mutation: mutation, Key: value(key), Input: input}

	result, _, err := store.Once(ctx, e.store, call, func(ctx context.Context, tx *store.Tx) (made, error) {
		r, err := find(ctx, tx.Client)
		if err != nil {
			return made{}, err
		}

		d, stands, err := e.admitted(ctx, tx, r)
		if err != nil {
			return made{}, err
		}

		result := made{ID: d.ID}
		if stands != nil {
			result.Hold = &stands.ID
		}

		return result, nil
	})
	if err != nil {
		return nil, nil, err
	}

	d, err = e.store.Read.Deployment.Get(ctx, result.ID)

	return d, result.Hold, store.Classify(err)
}

// plannable refuses a request that would fail at planning, as far as it can
// be told without asking a registry: it is called within a transaction. A refusal of
// create's own comes first, as it would come at any time.
func (e *Engine) plannable(ctx context.Context, client *db.Client, r request) error {
	switch {
	case r.environment.Edges.Target.Kind == target.KindEXTERNAL, r.environment.ArchivedAt != nil, r.snapshotID != nil:
		return nil
	case r.kind == deployment.KindUNDEPLOY:
		_, err := e.removal(r.service, r.environment, r.environment.Edges.Target)

		return err
	case r.version.WorkloadDigest == nil:
		return nil
	}

	in, err := e.input(ctx, client, r.service, r.environment, r.environment.Edges.Target, r.version)
	if err != nil {
		return err
	}

	if in, err = e.checked(in); err != nil {
		return err
	}

	_, err = e.plan(in, bindingOf(r.service, r.environment, r.environment.Edges.Target, r.version))

	return err
}

// preview says what a request would apply, and what stands against it that can
// be passed. What cannot be passed is refused.
func (e *Engine) preview(ctx context.Context, find finder) (*Plan, error) {
	client := e.store.Read

	r, err := find(ctx, client)
	if err != nil {
		return nil, err
	}

	p, err := client.Placement.Get(ctx, id.PlacementID(r.service.ID, r.environment.ID))

	switch {
	case db.IsNotFound(err):
		p = &db.Placement{}
	case err != nil:
		return nil, store.Classify(err)
	}

	stands, err := standing(ctx, client, id.PlacementID(r.service.ID, r.environment.ID))
	if err != nil {
		return nil, store.Classify(err)
	}

	if err := r.possible(p); err != nil {
		return nil, err
	}

	if r.kind == deployment.KindUNDEPLOY {
		if err := r.isThere(ctx, client, p); err != nil {
			return nil, store.Classify(err)
		}
	}

	would, err := e.would(ctx, client, r)
	if err != nil {
		return nil, err
	}

	plan := &Plan{Digest: text(&would.digest), Objects: map[string]json.RawMessage{}, Unmet: []*fault.Error{}}
	if shot := would.snapshot; shot != nil {
		plan.Objects, plan.Configuration = shot.Objects, shot.Configuration
	}

	if r.override == nil {
		plan.Unmet = append(plan.Unmet, r.gates(stands)...)
	}

	if p.RecordedID == nil {
		return plan, nil
	}

	recorded, err := client.Deployment.Query().Where(deployment.ID(*p.RecordedID)).WithSnapshot().Only(ctx)
	if err != nil {
		return nil, store.Classify(err)
	}

	plan.Current = recorded
	plan.Unchanged = recorded.Edges.Snapshot != nil && recorded.Edges.Snapshot.Digest == would.digest

	return plan, nil
}

// would gives what a request would apply: the snapshot that it repeats, a fresh
// one, or nothing.
func (e *Engine) would(ctx context.Context, client *db.Client, r request) (planned, error) {
	to := r.environment.Edges.Target

	switch {
	case r.kind == deployment.KindUNDEPLOY:
		return e.removal(r.service, r.environment, to)
	case r.snapshotID != nil:
		row, err := client.Snapshot.Get(ctx, *r.snapshotID)
		if err != nil {
			return planned{}, store.Classify(err)
		}

		shot, err := Snapshot(ctx, client, row)
		if err != nil {
			return planned{}, err
		}

		binding := bindingOf(r.service, r.environment, to, r.version)

		return planned{snapshot: shot, digest: row.Digest, layers: r.layers, binding: binding}, e.supported(spec.TargetKind(to.Kind), shot, binding)
	}

	input, err := e.input(ctx, client, r.service, r.environment, to, r.version)
	if err != nil {
		return planned{}, err
	}

	if input, err = e.asked(ctx, input, r.environment); err != nil {
		return planned{}, err
	}

	return e.plan(input, bindingOf(r.service, r.environment, to, r.version))
}
