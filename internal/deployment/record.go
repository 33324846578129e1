package deployment

import (
	"context"
	"fmt"
	"time"

	"github.com/shiplog/shiplog/ent/db"
	"github.com/shiplog/shiplog/ent/db/deployment"
	"github.com/shiplog/shiplog/internal/access"
	"github.com/shiplog/shiplog/internal/catalog"
	"github.com/shiplog/shiplog/internal/fault"
	"github.com/shiplog/shiplog/internal/id"
	"github.com/shiplog/shiplog/internal/journal"
	"github.com/shiplog/shiplog/internal/spec"
	"github.com/shiplog/shiplog/internal/store"
)

// longAgo is how old the finish of a recorded deployment must be for it to be
// the past that is written down.
const longAgo = time.Hour

// futureSkew is how far ahead somebody else's clock may be.
const futureSkew = 5 * time.Minute

// Creator makes what a recorded deployment refers to and is not known.
type Creator interface {
	CreateMissing(ctx context.Context, tx *store.Tx, service, version string, builtAt time.Time) (*db.Service, *db.Version, error)
}

// Record is the input of recordDeployment.
type Record struct {
	Service        string
	Environment    string
	Version        string
	Status         *deployment.Status
	StartedAt      *time.Time
	FinishedAt     *time.Time
	Actor          *string
	URL            *string
	Backfill       *bool
	CreateMissing  *bool
	IdempotencyKey *string `json:"-"`
}

// RecordResult is the payload of recordDeployment.
type RecordResult struct {
	Deployment *db.Deployment
	Created    bool
}

type recorded struct {
	ID      string
	Created bool
}

// recording is a checked input.
type recording struct {
	Record

	status              deployment.Status
	startedAt, finished time.Time
	backfill            bool
	actor               journal.Actor
}

func (in Record) check(caller access.Caller) (recording, error) {
	r := recording{Record: in, status: deployment.StatusSUCCEEDED, finished: store.Now()}

	if in.Status != nil {
		r.status = *in.Status
	}

	if in.FinishedAt != nil {
		r.finished = in.FinishedAt.UTC().Truncate(time.Microsecond)
	}

	r.startedAt = r.finished
	if in.StartedAt != nil {
		r.startedAt = in.StartedAt.UTC().Truncate(time.Microsecond)
	}

	switch {
	case r.finished.After(time.Now().Add(futureSkew)) || r.finished.Year() < 1970:
		return r, fault.Invalid("finishedAt", "want a moment between 1970 and now")
	case r.startedAt.After(r.finished) || r.startedAt.Year() < 1970:
		return r, fault.Invalid("startedAt", "want a moment between 1970 and finishedAt")
	}

	old := time.Since(r.finished) > longAgo
	if in.Backfill != nil && !*in.Backfill && old {
		return r, fault.Invalid("backfill", "it finished over an hour ago, so it is a backfill: leave the field out")
	}

	r.backfill = old || value(in.Backfill)
	r.actor = caller.Actor

	if name := value(in.Actor); name != "" {
		if err := spec.ValidateLine("actor", name, 200); err != nil {
			return r, err
		}

		// Somebody else's word about somebody else: said by the caller.
		r.actor = journal.Actor{Kind: journal.External, Issuer: caller.Key(), Subject: name, Display: name}
	}

	if in.URL != nil && *in.URL != "" {
		return r, spec.ValidateURL("url", *in.URL)
	}

	return r, nil
}

// Record remembers what somebody else deployed. The same service,
// environment, version, status, start and finish again are no change. Errors:
// NOT_FOUND; INVALID_INPUT.
func (e *Engine) Record(ctx context.Context, missing Creator, in Record) (*RecordResult, error) {
	caller, err := access.From(ctx)
	if err != nil {
		return nil, err
	}

	r, err := in.check(caller)
	if err != nil {
		return nil, err
	}

	call := store.Call{Caller: caller.Key(), Mutation: "recordDeployment", Key: value(in.IdempotencyKey), Input: in}

	result, _, err := store.Once(ctx, e.store, call, func(ctx context.Context, tx *store.Tx) (recorded, error) {
		return e.record(ctx, tx, missing, r)
	})
	if err != nil {
		return nil, err
	}

	d, err := e.store.Read.Deployment.Get(ctx, result.ID)

	return &RecordResult{Deployment: d, Created: result.Created}, store.Classify(err)
}

func (e *Engine) record(ctx context.Context, tx *store.Tx, missing Creator, r recording) (recorded, error) {
	environment, err := catalog.FindEnvironment(ctx, tx.Client, "environment", r.Environment)
	if err != nil {
		return recorded{}, err
	}

	service, version, err := r.find(ctx, tx, missing)
	if err != nil {
		return recorded{}, err
	}

	p, err := lockPlacement(ctx, tx, service.ID, environment.ID)
	if err != nil {
		return recorded{}, err
	}

	// Said twice, without a key too: only where both moments are given can
	// that be told from two deployments.
	if r.FinishedAt != nil {
		known, err := tx.Deployment.Query().
			Where(deployment.ServiceID(service.ID), deployment.EnvironmentID(environment.ID), deployment.OccurredAt(r.finished),
				deployment.VersionID(version.ID), deployment.KindEQ(deployment.KindEXTERNAL), deployment.StatusEQ(r.status), deployment.ActedAt(r.startedAt)).
			FirstID(ctx)
		if err == nil {
			return recorded{ID: known}, nil
		}

		if !db.IsNotFound(err) {
			return recorded{}, err
		}
	}

	d, err := r.insert(ctx, tx, service, environment, version, p)
	if err != nil {
		return recorded{}, err
	}

	eventID, err := journal.Record(tx, journal.Entry{
		Type: "deployment.recorded", Actor: r.actor, Source: "graphql", Subject: d.ID, Service: service.ID,
		Message: fmt.Sprintf("%s by others: %s", name(service, version, environment), d.Status), Payload: d,
	})
	if err != nil {
		return recorded{}, err
	}

	tx.Wake(Topic(service.ID, environment.ID))

	if err := e.lines.Close(ctx, tx, d.ID); err != nil {
		return recorded{}, err
	}

	if d.Status != deployment.StatusSUCCEEDED {
		update := tx.Placement.UpdateOneID(p.ID)
		if err := appliedByOthers(ctx, tx, p, d, update); err != nil {
			return recorded{}, err
		}

		return recorded{ID: d.ID, Created: true}, update.Exec(ctx)
	}

	if err := becomeCurrent(ctx, tx, p, d); err != nil {
		return recorded{}, err
	}

	return recorded{ID: d.ID, Created: true}, e.askRules(ctx, tx, d, eventID)
}

func (r recording) find(ctx context.Context, tx *store.Tx, missing Creator) (*db.Service, *db.Version, error) {
	if value(r.CreateMissing) && !id.IsOf(r.Service, id.Service) && !id.IsOf(r.Version, id.Version) {
		return missing.CreateMissing(ctx, tx, r.Service, r.Version, r.startedAt)
	}

	service, err := catalog.FindService(ctx, tx.Client, "service", r.Service)
	if err != nil {
		return nil, nil, err
	}

	version, err := catalog.FindVersion(ctx, tx.Client, "version", service, r.Version)

	return service, version, err
}

func (r recording) insert(ctx context.Context, tx *store.Tx, service *db.Service, environment *db.Environment, version *db.Version, p *db.Placement) (*db.Deployment, error) {
	if service.ArchivedAt != nil {
		return nil, fault.New(fault.Conflict, "service %s is archived", service.Name).At("service")
	}

	if environment.ArchivedAt != nil {
		return nil, fault.New(fault.Conflict, "environment %s is archived", environment.Name).At("environment")
	}

	deploymentID, err := id.New(id.Deployment)
	if err != nil {
		return nil, err
	}

	cause := deployment.CauseUSER
	if r.actor.Kind != journal.User {
		cause = deployment.CauseEVENT
	}

	create := tx.Deployment.Create().SetID(deploymentID).SetServiceID(service.ID).SetEnvironmentID(environment.ID).SetVersionID(version.ID).
		SetTargetID(environment.TargetID).SetKind(deployment.KindEXTERNAL).SetCause(cause).SetStatus(r.status).
		SetOccurredAt(r.finished).SetCreatedAt(store.Now()).SetActedAt(r.startedAt).SetFinishedAt(r.finished).
		SetNillableURL(text(r.URL)).SetBackfill(r.backfill).SetNillableBaseID(p.RecordedID).
		SetActorKind(deployment.ActorKind(r.actor.Kind)).SetActorIssuer(r.actor.Issuer).SetActorSubject(r.actor.Subject).SetActorDisplay(r.actor.Display)
	if r.status == deployment.StatusSUCCEEDED {
		create.SetBecameCurrentAt(r.finished).SetCurrentOrder(p.CurrentOrder + 1)
	}

	return create.Save(ctx)
}
