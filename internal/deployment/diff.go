package deployment

import (
	"context"
	"errors"

	"github.com/shiplog/shiplog/ent/db"
	"github.com/shiplog/shiplog/ent/db/deployment"
	"github.com/shiplog/shiplog/ent/db/version"
	"github.com/shiplog/shiplog/internal/fault"
	"github.com/shiplog/shiplog/internal/spec/diff"
	"github.com/shiplog/shiplog/internal/store"
)

// maxBetween bounds the versions in between that a diff names.
const maxBetween = 50

// DiffRef names a side of a diff; exactly one member is set.
type DiffRef struct {
	Deployment  *string
	Snapshot    *string
	Environment *DiffPlace
	Version     *DiffVersion
}

// DiffPlace is a service in an environment.
type DiffPlace struct {
	Service     string
	Environment string
}

// DiffVersion is a version of a service.
type DiffVersion struct {
	Service string
	Version string
}

// Diff is what two sides differ in, and the versions in between.
type Diff struct {
	*diff.Diff

	Versions        []*db.Version
	VersionsOmitted int
}

// NewDiff compares two sides of one place.
func NewDiff(from, to diff.Side) (*Diff, error) {
	d, err := diff.Compare(from, to, nil)

	return &Diff{Diff: d, Versions: []*db.Version{}}, err
}

// Diff compares two sides. Errors: NOT_FOUND and INVALID_INPUT with the field
// below "from" or "to", also for a version that cannot be rendered for the
// place of the other side.
func (e *Engine) Diff(ctx context.Context, from, to DiffRef) (*Diff, error) {
	a, err := e.sideOf(ctx, "from", from)
	if err != nil {
		return nil, err
	}

	b, err := e.sideOf(ctx, "to", to)
	if err != nil {
		return nil, err
	}

	older, err := e.placed(ctx, a, b)
	if err != nil {
		return nil, err
	}

	newer, err := e.placed(ctx, b, a)
	if err != nil {
		return nil, err
	}

	neutral, err := e.neutral(ctx, a, b)
	if err != nil {
		return nil, err
	}

	compared, err := diff.Compare(older, newer, neutral)
	if err != nil {
		return nil, err
	}

	d := &Diff{Diff: compared, Versions: []*db.Version{}}

	return d, e.between(ctx, d, a.version, b.version)
}

// between finds the versions after the older one up to the newer one.
func (e *Engine) between(ctx context.Context, d *Diff, a, b *db.Version) error {
	if a == nil || b == nil || a.ServiceID != b.ServiceID || a.ID == b.ID {
		return nil
	}

	if a.BuiltAt.After(b.BuiltAt) {
		a, b = b, a
	}

	query := e.store.Read.Version.Query().Where(version.ServiceID(a.ServiceID), version.BuiltAtGTE(a.BuiltAt), version.BuiltAtLTE(b.BuiltAt), version.IDNEQ(a.ID))

	n, err := query.Clone().Count(ctx)
	if err != nil {
		return store.Classify(err)
	}

	d.Versions, err = query.Order(db.Desc(version.FieldBuiltAt), db.Desc(version.FieldID)).Limit(maxBetween).All(ctx)
	d.VersionsOmitted = n - len(d.Versions)

	return store.Classify(err)
}

// below puts a refusal's field below the side that it is about.
func below(side string, err error) error {
	if refusal, ok := errors.AsType[*fault.Error](err); ok && refusal.Code == fault.InvalidInput {
		return fault.Wrap(err, fault.InvalidInput, "cannot be rendered: %s %s", refusal.Field, refusal.Message).At(side)
	}

	return err
}

// current gives the deployment that is in place, nil for none.
func current(ctx context.Context, client *db.Client, serviceID, environmentID string) (*db.Deployment, error) {
	p, err := placementOf(ctx, client, serviceID, environmentID)
	if err != nil || p.RecordedID == nil {
		return nil, err
	}

	d, err := client.Deployment.Query().Where(deployment.ID(*p.RecordedID)).Only(ctx)

	return d, store.Classify(err)
}
