package logs

import (
	"context"
	"fmt"
	"maps"

	"github.com/shiplog/shiplog/ent/db"
	entdeployment "github.com/shiplog/shiplog/ent/db/deployment"
	"github.com/shiplog/shiplog/ent/db/loghead"
	"github.com/shiplog/shiplog/internal/store"
)

// Head is the state of a log.
type Head struct {
	// LastSeq is the seq of the newest entry, 0 when there is none.
	LastSeq int64
	// Sources is the position up to which each source was taken.
	Sources map[string]int64
	// Outcome is the seq of the last entry up to the outcome; nil until the
	// deployment is final and all that came before is there.
	Outcome *int64
	// Closed: nothing will be appended any more.
	Closed bool

	bytes int64
	// full: the LIMIT gap is there; dropped lines have been counted on it.
	full    bool
	dropped int64
}

// droppedKey among the stored sources counts the lines that fell to the limit.
// A source's own key is never empty.
const droppedKey = ""

func headOf(row *db.LogHead) Head {
	h := Head{LastSeq: row.LastSeq, Sources: maps.Clone(row.Sources), Outcome: row.OutcomeSeq, Closed: row.Closed, bytes: row.Bytes}
	if h.Sources == nil {
		h.Sources = map[string]int64{}
	}

	h.dropped, h.full = h.Sources[droppedKey]
	delete(h.Sources, droppedKey)

	return h
}

// clone is a head that can be moved on without changing this one.
func (h *Head) clone() Head {
	c := *h
	c.Sources = maps.Clone(h.Sources)

	return c
}

// stored is the form of the sources in the row.
func (h *Head) stored() map[string]int64 {
	if !h.full {
		return h.Sources
	}

	m := maps.Clone(h.Sources)
	m[droppedKey] = h.dropped

	return m
}

// Heads gives the heads of the logs that exist.
func (l *Logs) Heads(ctx context.Context, client *db.Client, deployments ...string) (map[string]Head, error) {
	heads := make(map[string]Head, len(deployments))
	if len(deployments) == 0 {
		return heads, nil
	}

	rows, err := client.LogHead.Query().Where(loghead.IDIn(deployments...)).All(ctx)
	if err != nil {
		return nil, store.Classify(err)
	}

	for _, row := range rows {
		heads[row.ID] = headOf(row)
	}

	return heads, nil
}

// head gives the head for reading. A finished deployment without a log (one
// that was only recorded) has an empty one that is closed.
func (l *Logs) head(ctx context.Context, client *db.Client, deployment string) (Head, error) {
	row, err := client.LogHead.Get(ctx, deployment)
	if err == nil {
		return headOf(row), nil
	}

	if !db.IsNotFound(err) {
		return Head{}, store.Classify(err)
	}

	finished, err := client.Deployment.Query().Where(entdeployment.ID(deployment), entdeployment.FinishedAtNotNil()).Exist(ctx)
	if err != nil {
		return Head{}, store.Classify(err)
	}

	return Head{Closed: finished, Sources: map[string]int64{}}, nil
}

// lock locks the head until the transaction ends, and makes it if need be.
func lock(ctx context.Context, tx *store.Tx, deployment string) (Head, error) {
	for made := false; ; made = true {
		query := tx.LogHead.Query().Where(loghead.ID(deployment))
		if !tx.Embedded() {
			query = query.ForUpdate()
		}

		row, err := query.Only(ctx)

		switch {
		case err == nil:
			return headOf(row), nil
		case !db.IsNotFound(err) || made:
			return Head{}, fmt.Errorf("lock the log of %s: %w", deployment, err)
		}

		// Somebody may be quicker: then theirs is taken.
		err = tx.LogHead.Create().SetID(deployment).SetLastSeq(0).SetBytes(0).SetSources(map[string]int64{}).
			OnConflictColumns(loghead.FieldID).Ignore().Exec(ctx)
		if err != nil {
			return Head{}, fmt.Errorf("make the log of %s: %w", deployment, err)
		}
	}
}
