package deployment

import (
	"context"
	"fmt"

	entsql "entgo.io/ent/dialect/sql"

	"github.com/shiplog/shiplog/ent/db"
	"github.com/shiplog/shiplog/ent/db/deployment"
	"github.com/shiplog/shiplog/ent/db/placement"
	"github.com/shiplog/shiplog/internal/id"
	"github.com/shiplog/shiplog/internal/store"
)

// lockPlacement locks, and makes if need be, the row of a service in an
// environment. Under it the slot, the queue and what is current change.
func lockPlacement(ctx context.Context, tx *store.Tx, serviceID, environmentID string) (*db.Placement, error) {
	placementID := id.PlacementID(serviceID, environmentID)

	query := tx.Placement.Query().Where(placement.ID(placementID), tx.Lock)

	row, err := query.Clone().Only(ctx)
	if !db.IsNotFound(err) {
		return row, err
	}

	err = tx.Placement.Create().SetID(placementID).SetServiceID(serviceID).SetEnvironmentID(environmentID).SetCreatedAt(store.Now()).
		OnConflict(entsql.ConflictColumns(placement.FieldID), entsql.ResolveWithIgnore()).Exec(ctx)
	if err != nil {
		return nil, fmt.Errorf("make placement %s: %w", placementID, err)
	}

	return query.Only(ctx)
}

// supersedes reports whether a deployment that became current at this moment
// takes the place of the recorded one: the later one does, and of two at the
// same moment the one that is committed later.
func supersedes(ctx context.Context, tx *store.Tx, p *db.Placement, d *db.Deployment) (bool, error) {
	if p.RecordedID == nil {
		return true, nil
	}

	recorded, err := tx.Deployment.Get(ctx, *p.RecordedID)
	if err != nil {
		return false, err
	}

	return !recorded.BecameCurrentAt.After(*d.BecameCurrentAt), nil
}

// becomeCurrent makes a deployment that has succeeded the recorded one of its
// placement, unless a later one is there already. The placement is locked.
func becomeCurrent(ctx context.Context, tx *store.Tx, p *db.Placement, d *db.Deployment) error {
	update := tx.Placement.UpdateOneID(p.ID).AddCurrentOrder(1)

	current, err := supersedes(ctx, tx, p, d)
	if err != nil {
		return err
	}

	if current {
		update.SetRecordedID(d.ID)
		assign(d.VersionID, update.SetRecordedVersionID, update.ClearRecordedVersionID)
	}

	if d.Kind == deployment.KindEXTERNAL {
		if err := appliedByOthers(ctx, tx, p, d, update); err != nil {
			return err
		}
	}

	return update.Exec(ctx)
}

// appliedByOthers makes a recorded deployment the applied one, unless a later
// one is there.
func appliedByOthers(ctx context.Context, tx *store.Tx, p *db.Placement, d *db.Deployment, update *db.PlacementUpdateOne) error {
	if p.AppliedID != nil {
		applied, err := tx.Deployment.Get(ctx, *p.AppliedID)
		if err != nil {
			return err
		}

		if applied.ActedAt != nil && applied.ActedAt.After(*d.ActedAt) {
			return nil
		}
	}

	update.SetAppliedID(d.ID)

	return nil
}
