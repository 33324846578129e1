package faults

import (
	"context"
	"database/sql"
	"errors"
	"testing"
	"time"

	"github.com/shiplog/shiplog/ent/db/placement"
	"github.com/shiplog/shiplog/internal/store"
	"github.com/shiplog/shiplog/internal/store/storetest"
)

// TestWhatStandsAgainstAnActThatWaited keeps a placement, asks for an act that
// waits for it, and locks the environment or blocks the version meanwhile: what
// is written to the journal after that stands against the act.
func TestWhatStandsAgainstAnActThatWaited(t *testing.T) {
	t.Parallel()

	w := newWorld(t, "postgres", 2)
	s := storetest.OpenURL(t, w.database, nil)

	if err := w.service(t.Context(), "shop"); err != nil {
		t.Fatal(err)
	}

	if err := w.register(t.Context(), "shop", "1.0.0", works); err != nil {
		t.Fatal(err)
	}

	d, err := w.deploy(t.Context(), "shop", "1.0.0", nil)
	if err != nil {
		t.Fatal(err)
	}

	for _, c := range []struct {
		code, stands, goes string
		input, back        map[string]any
	}{
		{"LOCKED", "lockEnvironment", "unlockEnvironment", map[string]any{"environment": place, "reason": "the sale is on"}, map[string]any{"environment": place}},
		{
			"BLOCKED", "blockVersion", "unblockVersion",
			map[string]any{"service": "shop", "version": "1.0.0", "reason": "it loses orders"},
			map[string]any{"service": "shop", "version": "1.0.0"},
		},
	} {
		if _, err := w.await(t.Context(), d.ID, 20*time.Second, deployment.final); err != nil {
			t.Fatal(err)
		}

		asked := make(chan error, 1)

		err := s.WithTx(t.Context(), func(ctx context.Context, tx *store.Tx) error {
			if err := tx.Placement.Query().Where(tx.Lock).Select(placement.FieldID).Scan(ctx, new([]string)); err != nil {
				return err
			}

			go func() {
				_, err := w.deploy(context.WithoutCancel(ctx), "shop", "1.0.0", nil)
				asked <- err
			}()

			if err := waitsForALock(ctx, s); err != nil {
				return err
			}

			return w.ask(ctx, w.next(), mutationText(c.stands, "changed"), map[string]any{"input": c.input}, nil)
		})
		if err != nil {
			t.Fatal(err)
		}

		var refused *refusal
		if err := <-asked; !errors.As(err, &refused) || refused.Code != c.code {
			t.Errorf("after %s the act was told %v, want %s", c.stands, err, c.code)
		}

		if err := w.ask(t.Context(), w.next(), mutationText(c.goes, "changed"), map[string]any{"input": c.back}, nil); err != nil {
			t.Fatal(err)
		}
	}

	w.checkRecord(t)
}

// waitsForALock returns when somebody waits for a row that another has.
func waitsForALock(ctx context.Context, s *store.Store) error {
	for {
		waiting := 0

		err := s.NewQuery("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'").
			Rows(ctx, s.Read, func(rows *sql.Rows) error { return rows.Scan(&waiting) })
		if err != nil || waiting > 0 {
			return err
		}

		if err := pause(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
}
