package deployment

import (
	"context"

	"github.com/shiplog/shiplog/ent/db"
	"github.com/shiplog/shiplog/ent/db/deployment"
	"github.com/shiplog/shiplog/internal/access"
	"github.com/shiplog/shiplog/internal/fault"
)

// Undeploy is the input of undeploy.
type Undeploy struct {
	Service         string
	Environment     string
	DryRun          *bool `json:",omitempty"` // left out it is the input that it was before
	Reason          *string
	Preempt         *bool
	Override        *Override
	ExpectedCurrent *string
	IdempotencyKey  *string `json:"-"`
}

// Undeploy takes a service away from an environment: a deployment that wants
// nothing, under the rules of any other. Errors: NOT_FOUND; INVALID_INPUT where
// somebody else deploys; CONFLICT when nothing is there; those of create.
func (e *Engine) Undeploy(ctx context.Context, in Undeploy) (*DeployResult, error) {
	caller, err := access.From(ctx)
	if err != nil {
		return nil, err
	}

	a := act{Reason: in.Reason, Preempt: in.Preempt, Override: in.Override, ExpectedCurrent: in.ExpectedCurrent}
	if err := a.validate(); err != nil {
		return nil, err
	}

	return e.plannedOrMade(ctx, caller, "undeploy", value(in.DryRun), in.IdempotencyKey, in, func(ctx context.Context, client *db.Client) (request, error) {
		r := a.request(caller, deployment.KindUNDEPLOY)
		err := r.find(ctx, client, in.Service, in.Environment)

		return r, err
	})
}

// isThere refuses to take away what is not there. It is there when something
// was applied and not taken away since, whatever became of it: a deployment
// that failed, or that was stopped, may have left a part of itself. What is on
// its way counts too: whether it had begun must not make a difference to who
// wants it away.
func (r request) isThere(ctx context.Context, client *db.Client, p *db.Placement) error {
	coming, err := client.Deployment.Query().
		Where(deployment.ServiceID(r.service.ID), deployment.EnvironmentID(r.environment.ID), deployment.FinishedAtIsNil()).Exist(ctx)
	if err != nil || coming {
		return err
	}

	var applied *db.Deployment

	if p.AppliedID != nil {
		if applied, err = client.Deployment.Get(ctx, *p.AppliedID); err != nil {
			return err
		}
	}

	switch {
	case applied == nil, applied.Kind == deployment.KindUNDEPLOY && applied.Status == deployment.StatusSUCCEEDED:
		return fault.New(fault.Conflict, "nothing of %s is deployed in %s", r.service.Name, r.environment.Name).At("environment")
	case applied.TargetID != r.environment.TargetID:
		return fault.New(fault.Conflict, "environment %s has moved to another target since deployment %s: "+
			"to take %s away where it is, move the environment back", r.environment.Name, applied.ID, r.service.Name).At("environment")
	}

	return nil
}
