package observe

import (
	"context"
	"errors"

	"github.com/shiplog/shiplog/ent/db"
	"github.com/shiplog/shiplog/internal/fault"
	"github.com/shiplog/shiplog/internal/journal"
	"github.com/shiplog/shiplog/internal/store"
)

// Place is a place in the history of placements: in the journal, and among the
// observations, which are no entries of it.
type Place struct{ Journal, Observed int64 }

// Cursor makes the cursor of the place; streams of the journal take it too.
func (p Place) Cursor() string { return journal.CursorWith(p.Journal, p.Observed) }

// PlaceOf is the place of what the client's snapshot sees.
func PlaceOf(ctx context.Context, client *db.Client) (p Place, err error) {
	rows, err := client.QueryContext(ctx, "SELECT j.seq, o.seq FROM journal_heads j, observation_heads o WHERE j.id = 1 AND o.id = 1")
	if err != nil {
		return p, store.Classify(err)
	}
	defer rows.Close()

	if rows.Next() {
		err = rows.Scan(&p.Journal, &p.Observed)
	}

	return p, store.Classify(errors.Join(err, rows.Err()))
}

// After reads where a stream is to go on: after the cursor, or from now.
// Errors: INVALID_INPUT (after); STALE when the history is not that long.
func After(ctx context.Context, client *db.Client, cursor *string) (Place, error) {
	now, err := PlaceOf(ctx, client)
	if err != nil || cursor == nil {
		return now, err
	}

	var p Place

	if p.Journal, err = journal.After(ctx, client, cursor); err != nil {
		return p, err
	}

	if p.Observed, err = journal.Beside(*cursor); err != nil {
		return p, err
	}

	if p.Observed > now.Observed {
		return p, fault.New(fault.Stale, "this cursor is from another history: begin again").At("after")
	}

	return p, nil
}
