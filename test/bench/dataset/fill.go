package dataset

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/lib/pq"

	"github.com/shiplog/shiplog/internal/id"
	"github.com/shiplog/shiplog/internal/live"
	"github.com/shiplog/shiplog/internal/logs"
	"github.com/shiplog/shiplog/internal/store"
)

// Fill writes the history into an empty, migrated database, indexes last, and
// brings the statistics up to date.
func Fill(ctx context.Context, s *store.Store, size Size) error {
	size.Events = min(size.Events, size.Total())
	if err := size.Validate(); err != nil {
		return err
	}

	conn, err := s.Writer().Conn(ctx)
	if err != nil {
		return err
	}

	c := &chain{size: size}

	err = errors.Join(bulk(ctx, conn, s.Embedded(), append(size.tables(), c.tables()...)), c.err)
	if err == nil && size.Events > 0 {
		_, err = conn.ExecContext(ctx, "UPDATE journal_heads SET seq = $1, hash = $2 WHERE id = 1", size.Events, c.head)
	}

	// The one connection of an embedded database is needed for the logs.
	if err := errors.Join(err, conn.Close()); err != nil {
		return err
	}

	if err := fillLogs(ctx, s, size); err != nil {
		return err
	}

	return Analyze(ctx, s)
}

// Analyze brings the statistics up to date.
func Analyze(ctx context.Context, s *store.Store) error {
	statement := "VACUUM (ANALYZE)"
	if s.Embedded() {
		statement = "ANALYZE"
	}

	if _, err := s.Writer().ExecContext(ctx, statement); err != nil {
		return fmt.Errorf("analyze: %w", err)
	}

	return nil
}

// bulk writes the tables without their indexes and foreign keys' checks, and
// makes the indexes afterwards.
func bulk(ctx context.Context, conn *sql.Conn, embedded bool, tables []table) error {
	before, after := []string{"SET session_replication_role = replica", "SET maintenance_work_mem = '256MB'"}, []string{"RESET session_replication_role"}
	catalogue := `SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = current_schema() AND tablename = $1
		AND indexname NOT IN (SELECT conname FROM pg_constraint WHERE contype IN ('p', 'u'))
		ORDER BY (quote_ident(schemaname) || '.' || quote_ident(indexname))::regclass::oid`
	write := copyIn

	if embedded {
		before, after = []string{"PRAGMA foreign_keys = OFF", "PRAGMA synchronous = OFF"}, []string{"PRAGMA synchronous = FULL", "PRAGMA foreign_keys = ON"}
		catalogue = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL AND tbl_name = $1 ORDER BY rowid"
		write = insert
	}

	for _, t := range tables {
		indexes, err := indexesOf(ctx, conn, catalogue, t.name)
		if err != nil {
			return fmt.Errorf("indexes of %s: %w", t.name, err)
		}

		// Made again in the order in which they were: where two indexes would
		// do, a planner may take the first.
		for _, i := range indexes {
			before, after = append(before, `DROP INDEX "`+i.name+`"`), append(after, i.definition)
		}
	}

	if err := all(ctx, conn, before); err != nil {
		return err
	}

	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}

	for _, t := range tables {
		if err := write(ctx, tx, t); err != nil {
			return errors.Join(fmt.Errorf("fill %s: %w", t.name, err), tx.Rollback())
		}
	}

	if err := tx.Commit(); err != nil {
		return err
	}

	return all(ctx, conn, after)
}

func all(ctx context.Context, conn *sql.Conn, statements []string) error {
	for _, statement := range statements {
		if _, err := conn.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}

	return nil
}

// index is an index with the statement that makes it.
type index struct{ name, definition string }

func indexesOf(ctx context.Context, conn *sql.Conn, catalogue, table string) ([]index, error) {
	rows, err := conn.QueryContext(ctx, catalogue, table)
	if err != nil {
		return nil, err
	}
	defer rows.Close()

	var found []index

	for rows.Next() {
		var i index
		if err := rows.Scan(&i.name, &i.definition); err != nil {
			return nil, err
		}

		found = append(found, i)
	}

	return found, rows.Err()
}

func copyIn(ctx context.Context, tx *sql.Tx, t table) error {
	statement, err := tx.PrepareContext(ctx, pq.CopyIn(t.name, t.columns...)) //nolint:staticcheck // it quotes the names
	if err != nil {
		return err
	}

	for row := range t.rows {
		if _, err := statement.ExecContext(ctx, row...); err != nil {
			return errors.Join(err, statement.Close())
		}
	}

	_, err = statement.ExecContext(ctx)

	return errors.Join(err, statement.Close())
}

func insert(ctx context.Context, tx *sql.Tx, t table) error {
	statement, err := tx.PrepareContext(ctx, fmt.Sprintf(`INSERT INTO %s ("%s") VALUES (?%s)`,
		t.name, strings.Join(t.columns, `", "`), strings.Repeat(", ?", len(t.columns)-1)))
	if err != nil {
		return err
	}

	for row := range t.rows {
		if _, err := statement.ExecContext(ctx, row...); err != nil {
			return errors.Join(err, statement.Close())
		}
	}

	return statement.Close()
}

// fillLogs writes logs for the newest deployments, through the room that
// keeps them.
func fillLogs(ctx context.Context, s *store.Store, size Size) error {
	l, err := logs.New(s, live.New(s, slog.New(slog.DiscardHandler)), logs.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}

	const together = 100

	for first := 0; first < size.Logs; first += together {
		err := s.WithTx(ctx, func(ctx context.Context, tx *store.Tx) error {
			for n := first; n < min(first+together, size.Logs); n++ {
				deploymentID := identifier(id.Deployment, size.Total()-n)
				if _, err := l.AppendTx(ctx, tx, deploymentID, logs.Batch{Lines: size.lines(n)}); err != nil {
					return err
				}
			}

			return nil
		})
		if err != nil {
			return fmt.Errorf("fill the logs: %w", err)
		}
	}

	return nil
}

func (z Size) lines(n int) []logs.Line {
	lines := make([]logs.Line, z.LogLines)
	for i := range lines {
		lines[i] = logs.Line{
			Time: began, Stream: logs.Container, Phase: logs.Rollout,
			Text: fmt.Sprintf("request %d of log %d answered with 200 in %d ms", i, n, (i*7919+n)%100),
		}
	}

	return lines
}
