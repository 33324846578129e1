package deployment

import (
	"context"
	"errors"

	"github.com/shiplog/shiplog/ent/db"
	"github.com/shiplog/shiplog/ent/db/deployment"
	"github.com/shiplog/shiplog/ent/db/placement"
	"github.com/shiplog/shiplog/internal/access"
	"github.com/shiplog/shiplog/internal/catalog"
	"github.com/shiplog/shiplog/internal/fault"
	"github.com/shiplog/shiplog/internal/id"
	"github.com/shiplog/shiplog/internal/store"
)

// Promote is the input of promote.
type Promote struct {
	Service         string
	From            string
	To              string
	Reason          *string
	DryRun          *bool
	Preempt         *bool
	Override        *Override
	ExpectedCurrent *string
	IdempotencyKey  *string `json:"-"`
}

// Promote deploys, with the configuration of another environment, the version
// that is in place in one; or with DryRun only says what it would apply.
// Errors: NOT_FOUND; INVALID_INPUT when both are one, or it cannot be planned;
// CONFLICT when nothing is there; those of create.
func (e *Engine) Promote(ctx context.Context, in Promote) (*DeployResult, error) {
	caller, err := access.From(ctx)
	if err != nil {
		return nil, err
	}

	a := act{Reason: in.Reason, Preempt: in.Preempt, Override: in.Override, ExpectedCurrent: in.ExpectedCurrent}
	if err := a.validate(); err != nil {
		return nil, err
	}

	find := func(ctx context.Context, client *db.Client) (request, error) {
		r := a.request(caller, deployment.KindPROMOTE)

		return r, r.promote(ctx, client, in)
	}

	result, err := e.plannedOrMade(ctx, caller, "promote", value(in.DryRun), in.IdempotencyKey, in, find)

	return result, ofPromotion(err)
}

// promote finds what is in place in the one environment, for the other.
func (r *request) promote(ctx context.Context, client *db.Client, in Promote) (err error) {
	if r.service, err = catalog.FindService(ctx, client, "service", in.Service); err != nil {
		return err
	}

	from, err := catalog.FindEnvironment(ctx, client, "from", in.From)
	if err != nil {
		return err
	}

	if r.environment, err = catalog.FindEnvironment(ctx, client, "to", in.To); err != nil {
		return err
	}

	if from.ID == r.environment.ID {
		return fault.Invalid("to", "want another environment than %s, where it is", from.Name)
	}

	// Before what is in place is looked for: there need not be anything.
	if err := r.inUse(); err != nil {
		return err
	}

	p, err := client.Placement.Query().Where(placement.ID(id.PlacementID(r.service.ID, from.ID))).WithRecorded().Only(ctx)
	if err != nil && !db.IsNotFound(err) {
		return store.Classify(err)
	}

	if err != nil || p.Edges.Recorded == nil || p.Edges.Recorded.VersionID == nil {
		return fault.New(fault.Conflict, "nothing of %s is in place in %s", r.service.Name, from.Name).At("from")
	}

	r.repeats = p.Edges.Recorded
	r.version, err = catalog.FindVersion(ctx, client, "from", r.service, *r.repeats.VersionID)

	return err
}

// ofPromotion names the fields of a refusal as the input of promote does.
func ofPromotion(err error) error {
	var refusal *fault.Error
	if !errors.As(err, &refusal) {
		return err
	}

	switch refusal.Field {
	case "environment":
		return refusal.At("to")
	case "version":
		return refusal.At("from")
	}

	return err
}
