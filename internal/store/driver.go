package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
)

// observed calls the store's hook after every statement.
type observed struct {
	entsql.ExecQuerier

	hook func(ctx context.Context, query string, took time.Duration, err error)
}

func (o observed) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	start := time.Now()
	rows, err := o.ExecQuerier.QueryContext(ctx, query, args...)
	o.hook(ctx, query, time.Since(start), err)

	return rows, err
}

func (o observed) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	start := time.Now()
	result, err := o.ExecQuerier.ExecContext(ctx, query, args...)
	o.hook(ctx, query, time.Since(start), err)

	return result, err
}

func (s *Store) querier(q entsql.ExecQuerier) entsql.ExecQuerier {
	if s.observe == nil {
		return q
	}

	return observed{ExecQuerier: q, hook: s.observe}
}

func (s *Store) conn(q entsql.ExecQuerier) *entsql.Driver {
	return entsql.NewDriver(s.dialect, entsql.Conn{ExecQuerier: s.querier(q)})
}

// readDriver is ent's driver for reads outside a transaction.
type readDriver struct{ conn *entsql.Driver }

var errReadOnly = errors.New("a write outside of WithTx")

func (d *readDriver) Dialect() string { return d.conn.Dialect() }

func (d *readDriver) Query(ctx context.Context, query string, args, v any) error {
	return d.conn.Query(ctx, query, args, v)
}

func (d *readDriver) Exec(context.Context, string, any, any) error { return errReadOnly }

func (d *readDriver) Tx(context.Context) (dialect.Tx, error) { return nil, errReadOnly }

func (d *readDriver) Close() error { return nil }

// QueryContext lets hand-written SQL run on the read client.
func (d *readDriver) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return d.conn.QueryContext(ctx, query, args...)
}

// txDriver is ent's driver inside a transaction that the store began: ent's
// own small transactions become part of it.
type txDriver struct{ *entsql.Driver }

func (d txDriver) Tx(context.Context) (dialect.Tx, error) { return dialect.NopTx(d), nil }

func (d txDriver) Close() error { return nil }
