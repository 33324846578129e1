package deployment

import (
	"context"
	"strings"

	entsql "entgo.io/ent/dialect/sql"

	"github.com/shiplog/shiplog/ent/db"
	"github.com/shiplog/shiplog/ent/db/hold"
	"github.com/shiplog/shiplog/ent/db/predicate"
	"github.com/shiplog/shiplog/internal/access"
	"github.com/shiplog/shiplog/internal/catalog"
	"github.com/shiplog/shiplog/internal/fault"
	"github.com/shiplog/shiplog/internal/id"
	"github.com/shiplog/shiplog/internal/journal"
	"github.com/shiplog/shiplog/internal/page"
	"github.com/shiplog/shiplog/internal/spec"
	"github.com/shiplog/shiplog/internal/store"
)

// CreateHold is the input of createHold.
type CreateHold struct {
	Service        string
	Environment    string
	Reason         string
	IdempotencyKey *string `json:"-"`
}

// CreateHoldResult is the payload of createHold.
type CreateHoldResult struct{ Hold *db.Hold }

// CreateHold pins a service in an environment against rules. Errors:
// INVALID_INPUT, NOT_FOUND; CONFLICT when a hold stands there already.
func (e *Engine) CreateHold(ctx context.Context, in CreateHold) (*CreateHoldResult, error) {
	caller, err := access.From(ctx)
	if err != nil {
		return nil, err
	}

	if err := validReason(in.Reason, "want the reason for holding it"); err != nil {
		return nil, err
	}

	call := store.Call{Caller: caller.Key(), Mutation: "createHold", Key: value(in.IdempotencyKey), Input: in}

	result, _, err := store.Once(ctx, e.store, call, func(ctx context.Context, tx *store.Tx) (made, error) {
		r := request{actor: caller.Actor, source: "graphql", reason: &in.Reason}
		if err := r.find(ctx, tx.Client, in.Service, in.Environment); err != nil {
			return made{}, err
		}

		if err := r.inUse(); err != nil {
			return made{}, err
		}

		p, err := lockPlacement(ctx, tx, r.service.ID, r.environment.ID)
		if err != nil {
			return made{}, err
		}

		stands, err := standing(ctx, tx.Client, p.ID)
		if err != nil {
			return made{}, err
		}

		if stands != nil {
			return made{}, fault.New(fault.Conflict, "%s is held in %s already: %s (%s)",
				r.service.Name, r.environment.Name, stands.Reason, stands.ID).At("environment")
		}

		row, err := r.putHold(ctx, tx, p, in.Reason, nil)
		if err != nil {
			return made{}, err
		}

		return made{ID: row.ID}, nil
	})
	if err != nil {
		return nil, err
	}

	row, err := e.store.Read.Hold.Get(ctx, result.ID)

	return &CreateHoldResult{row}, store.Classify(err)
}

// validReason wants a reason that says something.
func validReason(reason, want string) error {
	if strings.TrimSpace(reason) == "" {
		return fault.Invalid("reason", "%s", want)
	}

	return spec.ValidateText("reason", reason, maxReason)
}

// putHold stores a hold, with its event. The placement is locked, and no other
// hold stands.
func (r request) putHold(ctx context.Context, tx *store.Tx, p *db.Placement, reason string, by *db.Deployment) (*db.Hold, error) {
	holdID, err := id.New(id.Hold)
	if err != nil {
		return nil, err
	}

	create := tx.Hold.Create().SetID(holdID).SetServiceID(r.service.ID).SetEnvironmentID(r.environment.ID).SetPlacementID(p.ID).
		SetReason(reason).SetCreatedAt(store.Now()).SetActorKind(hold.ActorKind(r.actor.Kind)).
		SetActorIssuer(r.actor.Issuer).SetActorSubject(r.actor.Subject).SetActorDisplay(r.actor.Display)
	if by != nil {
		create.SetDeploymentID(by.ID)
	}

	row, err := create.Save(ctx)
	if err != nil {
		return nil, err
	}

	tx.Wake(Topic(r.service.ID, r.environment.ID))

	_, err = journal.Record(tx, journal.Entry{
		Type: "hold.created", Actor: r.actor, Source: r.source, Subject: row.ID, Service: r.service.ID,
		Message: name(r.service, nil, r.environment) + " held: " + reason, Payload: row,
	})

	return row, err
}

// holdBack makes the hold of a rollback, unless one stands already, and gives
// the one that stands then.
func (r request) holdBack(ctx context.Context, tx *store.Tx, p *db.Placement, stands *db.Hold, d *db.Deployment) (*db.Hold, error) {
	if !r.hold || stands != nil {
		return stands, nil
	}

	reason := "rolled back"
	if r.version != nil {
		reason += " to " + r.version.Name
	}

	if said := value(r.reason); said != "" {
		reason += ": " + said
	}

	return r.putHold(ctx, tx, p, reason, d)
}

// standing gives the hold that stands for a placement, nil for none.
func standing(ctx context.Context, client *db.Client, placementID string) (*db.Hold, error) {
	row, err := client.Hold.Query().Where(hold.PlacementID(placementID), hold.ReleasedAtIsNil()).Only(ctx)
	if db.IsNotFound(err) {
		return nil, nil //nolint:nilnil // no hold is an answer
	}

	return row, err
}

// ReleaseHold is the input of releaseHold.
type ReleaseHold struct {
	Hold   string
	Reason *string
}

// ReleaseHoldResult is the payload of releaseHold.
type ReleaseHoldResult struct {
	Hold      *db.Hold
	Changed   bool
	Decisions []*db.Decision
}

// ReleaseHold releases a hold, and lets the rules decide again what it held.
// Releasing again changes nothing. Errors: NOT_FOUND.
func (e *Engine) ReleaseHold(ctx context.Context, in ReleaseHold) (*ReleaseHoldResult, error) {
	caller, err := access.From(ctx)
	if err != nil {
		return nil, err
	}

	if in.Reason != nil {
		if err := spec.ValidateText("reason", *in.Reason, maxReason); err != nil {
			return nil, err
		}
	}

	var result ReleaseHoldResult

	return &result, e.store.WithTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		row, err := findHold(ctx, tx.Client, in.Hold)
		if err != nil {
			return err
		}

		if _, err := lockPlacement(ctx, tx, row.ServiceID, row.EnvironmentID); err != nil {
			return err
		}

		if row, err = tx.Hold.Get(ctx, row.ID); err != nil {
			return err
		}

		result = ReleaseHoldResult{Hold: row, Decisions: []*db.Decision{}}
		if row.ReleasedAt != nil {
			return nil
		}

		result.Changed = true
		result.Hold, err = tx.Hold.UpdateOneID(row.ID).SetReleasedAt(store.Now()).SetNillableReleaseReason(text(in.Reason)).
			SetReleasedByKind(caller.Actor.Kind).SetReleasedByIssuer(caller.Actor.Issuer).
			SetReleasedBySubject(caller.Actor.Subject).SetReleasedByDisplay(caller.Actor.Display).Save(ctx)
		if err != nil {
			return err
		}

		if err := released(ctx, tx, caller.Actor, result.Hold); err != nil {
			return err
		}

		again, err := e.resume(ctx, tx, caller.Actor, row.ServiceID, row.EnvironmentID)
		result.Decisions = append(result.Decisions, again...)

		return err
	})
}

// released records that a hold was released.
func released(ctx context.Context, tx *store.Tx, actor journal.Actor, row *db.Hold) error {
	service, err := row.QueryService().Only(ctx)
	if err != nil {
		return err
	}

	environment, err := row.QueryEnvironment().Only(ctx)
	if err != nil {
		return err
	}

	message := name(service, nil, environment) + " released"
	if row.ReleaseReason != nil {
		message += ": " + *row.ReleaseReason
	}

	tx.Wake(Topic(row.ServiceID, row.EnvironmentID))

	_, err = journal.Record(tx, journal.Entry{
		Type: "hold.released", Actor: actor, Source: "graphql", Subject: row.ID, Service: row.ServiceID, Message: message, Payload: row,
	})

	return err
}

// findHold gives a hold by id. Errors: NOT_FOUND.
func findHold(ctx context.Context, client *db.Client, ref string) (*db.Hold, error) {
	if !id.IsOf(ref, id.Hold) {
		return nil, fault.Missing("hold", "there is no hold %q", ref)
	}

	row, err := client.Hold.Get(ctx, ref)
	if db.IsNotFound(err) {
		return nil, fault.Missing("hold", "there is no hold %q", ref)
	}

	return row, err
}

// HoldFilter selects holds; what is given must all hold.
type HoldFilter struct {
	Service     *string
	Environment *string
	Owner       *string
	Labels      map[string]string
	Archived    *bool
	Released    *bool
}

// predicates resolves the filter. Errors: NOT_FOUND, INVALID_INPUT.
func (f *HoldFilter) predicates(ctx context.Context, client *db.Client) (where []predicate.Hold, err error) {
	if !value(f.Released) {
		where = append(where, hold.ReleasedAtIsNil())
	}

	if f.Service != nil {
		row, err := catalog.FindService(ctx, client, "filter.service", *f.Service)
		if err != nil {
			return nil, err
		}

		where = append(where, hold.ServiceID(row.ID))
	}

	if f.Environment != nil {
		row, err := catalog.FindEnvironment(ctx, client, "filter.environment", *f.Environment)
		if err != nil {
			return nil, err
		}

		where = append(where, hold.EnvironmentID(row.ID))
	}

	of, err := (&Filter{Owner: f.Owner, Labels: f.Labels, Archived: f.Archived}).services()
	if err == nil && len(of) > 0 {
		where = append(where, hold.HasServiceWith(of...))
	}

	return where, err
}

// Holds lists holds, newest first.
func Holds(ctx context.Context, client *db.Client, filter *HoldFilter, args page.Args) (*page.Page[*db.Hold], error) {
	if filter == nil {
		filter = &HoldFilter{}
	}

	where, err := filter.predicates(ctx, client)
	if err != nil {
		return nil, err
	}

	order := page.Order[*db.Hold]{
		Name: "holds", Columns: []string{hold.FieldCreatedAt, hold.FieldID}, Desc: true,
		Key: func(h *db.Hold) []any { return []any{h.CreatedAt, h.ID} },
	}

	p, err := order.Load(args, filter, func(restrict func(*entsql.Selector), limit int) ([]*db.Hold, error) {
		return client.Hold.Query().Where(where...).Where(restrict).Limit(limit).All(ctx)
	})
	if err != nil {
		return nil, store.Classify(err)
	}

	p.Count = func(ctx context.Context) (int, error) { return client.Hold.Query().Where(where...).Count(ctx) }

	return p, nil
}
