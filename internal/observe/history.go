package observe

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/shiplog/shiplog/ent/db"
	"github.com/shiplog/shiplog/ent/db/observation"
	"github.com/shiplog/shiplog/internal/store"
)

// Topic is what is woken when the observed side of a placement changes.
const Topic = "observations"

// remember writes what has changed at the end of the history. The head is
// locked last, so that places are in the order of commits.
func remember(ctx context.Context, tx *store.Tx, placement string, content json.RawMessage, now written) error {
	head, err := tx.ObservationHead.UpdateOneID(1).AddSeq(1).Save(ctx)
	if err != nil {
		return fmt.Errorf("lock the history of observations: %w", err)
	}

	row := tx.Observation.Create().SetID(head.Seq).SetPlacementID(placement).SetAt(now.said).SetObserved(content)
	if !now.at.IsZero() {
		row.SetObservedAt(now.at)
	}

	if now.drift != "" {
		row.SetDrift(observation.Drift(now.drift))
	}

	tx.Wake(Topic)

	return row.Exec(ctx)
}

// Changes gives the observations after one place up to another, at most limit,
// in their order.
func Changes(ctx context.Context, client *db.Client, after, upTo int64, limit int) ([]*db.Observation, error) {
	found, err := client.Observation.Query().Where(observation.IDGT(after), observation.IDLTE(upTo)).
		Order(observation.ByID()).Limit(limit).All(ctx)

	return found, store.Classify(err)
}
