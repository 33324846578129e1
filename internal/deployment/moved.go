package deployment

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/shiplog/shiplog/internal/access"
	"github.com/shiplog/shiplog/internal/journal"
	"github.com/shiplog/shiplog/internal/store"
)

// Moved stores, in the name of the one who observes, that clients reach a
// deployment elsewhere than before. Only what is recorded as in place moves.
func (e *Engine) Moved(ctx context.Context, held *store.Held, deploymentID string, endpoints map[string]string) error {
	return e.store.WithTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		d, p, err := lockDeployment(ctx, tx, "deployment", deploymentID)
		if err != nil {
			return err
		}

		if err := tx.Fence(ctx, held); err != nil {
			return err
		}

		if value(p.RecordedID) != d.ID || maps.Equal(d.Endpoints, endpoints) {
			return nil
		}

		if err := tx.Deployment.UpdateOneID(d.ID).SetEndpoints(endpoints).Exec(ctx); err != nil {
			return err
		}

		tx.Wake(Topic(d.ServiceID, d.EnvironmentID))

		_, err = journal.Record(tx, journal.Entry{
			Type: "deployment.moved", Actor: access.Engine().Actor, Source: "engine", Subject: d.ID, Service: d.ServiceID,
			Message: d.ID + ": clients reach it at " + strings.Join(slices.Sorted(maps.Values(endpoints)), ", "),
			Payload: map[string]map[string]string{"from": d.Endpoints, "to": endpoints},
		})

		return err
	})
}
