package deployment

import (
	"context"

	"github.com/shiplog/shiplog/ent/db"
	"github.com/shiplog/shiplog/ent/db/environment"
	"github.com/shiplog/shiplog/ent/db/version"
	"github.com/shiplog/shiplog/internal/fault"
	"github.com/shiplog/shiplog/internal/store"
)

// A lock of an environment and a block of a version take no placement's lock:
// they concern many. What was read of both before a placement was waited for is
// old by the time that it is there, so it is read again, and stays as it is
// until the transaction ends: no entry of the journal makes a deployment after
// the one that locked. On SQLite nobody else writes meanwhile.

// steady keeps the environments as they are. The placements are locked.
func steady(ctx context.Context, tx *store.Tx, environments ...string) ([]*db.Environment, error) {
	return tx.Environment.Query().Where(environment.IDIn(environments...), tx.LockShared).Order(environment.ByID()).All(ctx)
}

// steadyVersion keeps the version as it is, and tells what has become of it.
func steadyVersion(ctx context.Context, tx *store.Tx, v *db.Version) (*db.Version, error) {
	if tx.Embedded() {
		return v, nil
	}

	row, err := tx.Version.Query().Where(version.ID(v.ID), tx.LockShared).Only(ctx)
	if err != nil {
		return nil, err
	}

	row.Edges = v.Edges

	return row, nil
}

// steady reads again what stands against the request, and keeps it so.
func (r *request) steady(ctx context.Context, tx *store.Tx) error {
	if tx.Embedded() {
		return nil
	}

	rows, err := steady(ctx, tx, r.environment.ID)
	if err != nil {
		return err
	}

	for _, row := range rows {
		if row.TargetID != r.environment.TargetID {
			return fault.New(fault.Conflict, "environment %s has moved to another target a moment ago: ask again", row.Name).At("environment")
		}

		now := *r.environment // with its target
		now.LockedReason, now.ArchivedAt = row.LockedReason, row.ArchivedAt
		r.environment = &now
	}

	if r.version != nil {
		r.version, err = steadyVersion(ctx, tx, r.version)
	}

	return err
}

// steady is the same for what the rules are asked about.
func (o *occasion) steady(ctx context.Context, tx *store.Tx, environments []string) (err error) {
	if tx.Embedded() {
		return nil
	}

	if _, err = steady(ctx, tx, environments...); err != nil {
		return err
	}

	o.version, err = steadyVersion(ctx, tx, o.version)

	return err
}
