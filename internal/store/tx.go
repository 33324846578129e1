package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	entsql "entgo.io/ent/dialect/sql"
	"github.com/lib/pq"

	"github.com/shiplog/shiplog/ent/db"
	"github.com/shiplog/shiplog/internal/fault"
)

// Channel is the Postgres channel on which commits are announced.
const Channel = "shiplog"

const (
	// attempts bounds how often a transaction is tried: deadlocks,
	// serialisation failures and lost connections pass quickly or not at all.
	attempts = 5
	// resolveFor bounds how long the outcome of a lost COMMIT is looked up:
	// as long as a database takes to be started again. A caller whose time is
	// over waits no longer than resolveAtLeast.
	resolveFor     = 15 * time.Second
	resolveAtLeast = 3 * time.Second
	// notifyLimit keeps a payload below Postgres' 8,000 bytes.
	notifyLimit = 7900
	// Everything stands for all topics.
	Everything = "*"
)

// Tx is a write transaction. It is used by one goroutine.
type Tx struct {
	*db.Client

	store  *Store
	sql    *sql.Tx
	raw    entsql.ExecQuerier
	last   []func(ctx context.Context) error
	after  []func()
	topics []string
	values map[any]any
}

// SQL is the transaction for the job engine's inserts.
func (tx *Tx) SQL() *sql.Tx { return tx.sql }

// Raw runs hand-written SQL inside the transaction.
func (tx *Tx) Raw() entsql.ExecQuerier { return tx.raw }

// Embedded reports whether the database is SQLite.
func (tx *Tx) Embedded() bool { return tx.store.Embedded() }

// Lock locks, as a predicate of an ent query, the rows that it reads until the
// transaction ends. Rows that refer to them can still be inserted.
func (tx *Tx) Lock(s *entsql.Selector) {
	if !tx.Embedded() {
		s.For(entsql.LockStrength("NO KEY UPDATE"))
	}
}

// LockShared is Lock for those who only need the rows to stay as they are.
func (tx *Tx) LockShared(s *entsql.Selector) {
	if !tx.Embedded() {
		s.For(entsql.LockShare)
	}
}

// Last registers a function to be run after the body, in the order of their
// registration, as the last statements before COMMIT.
func (tx *Tx) Last(f func(ctx context.Context) error) { tx.last = append(tx.last, f) }

// Committed registers a function to be run once the commit is certain.
func (tx *Tx) Committed(f func()) { tx.after = append(tx.after, f) }

// Wake announces the topic with the commit.
func (tx *Tx) Wake(topic string) {
	if !slices.Contains(tx.topics, topic) {
		tx.topics = append(tx.topics, topic)
	}
}

// Value keeps something for the time of the transaction: the first call for a
// key makes it.
func (tx *Tx) Value(key any, build func() any) any {
	v, ok := tx.values[key]
	if !ok {
		v = build()
		tx.values[key] = v
	}

	return v
}

// WithTx runs body in one write transaction and commits it. Body may be run
// several times (deadlock, serialisation failure, a connection that was lost
// before COMMIT), so it must have no effect but through tx, and call nothing
// remote. When WithTx returns nil the commit is certain; when the answer to
// COMMIT was lost, its outcome has been looked up.
// Errors: those of body, unchanged; UNAVAILABLE when the database cannot be
// reached or cannot write.
func (s *Store) WithTx(ctx context.Context, body func(ctx context.Context, tx *Tx) error) error {
	for attempt := 1; ; attempt++ {
		tx, err := s.try(ctx, body)
		if err == nil {
			for _, f := range tx.after {
				f()
			}

			s.woke(tx.topics)

			return nil
		}

		if attempt == attempts || !repeatable(err) {
			return Classify(err)
		}

		s.log.DebugContext(ctx, "transaction is tried again", "attempt", attempt, "error", err)

		select {
		case <-ctx.Done():
			return Classify(err)
		case <-time.After(time.Duration(attempt*attempt) * 20 * time.Millisecond):
		}
	}
}

// try runs body once. A returned error means that nothing was committed,
// unless it is errOutcome.
func (s *Store) try(ctx context.Context, body func(ctx context.Context, tx *Tx) error) (*Tx, error) {
	conn, sqlTx, err := s.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()

	// On every way out, a panic of body included: the connection is only given
	// back after the transaction has ended. It can only fail with the
	// connection, which ends the transaction too, or because it is over.
	defer func() { _ = sqlTx.Rollback() }()

	raw := s.querier(sqlTx)
	tx := &Tx{
		Client: db.NewClient(db.Driver(txDriver{s.conn(sqlTx)})),
		store:  s, sql: sqlTx, raw: raw, values: map[any]any{},
	}

	if err := body(ctx, tx); err != nil {
		return nil, err
	}

	for i := 0; i < len(tx.last); i++ { //nolint:intrange // a function may register another
		if err := tx.last[i](ctx); err != nil {
			return nil, err
		}
	}

	xid, err := tx.seal(ctx)
	if err != nil {
		return nil, err
	}

	if err := ctx.Err(); err != nil {
		return nil, err
	}

	if err := sqlTx.Commit(); err != nil {
		return tx, s.resolve(ctx, xid, err)
	}

	return tx, nil
}

// begin begins a transaction. Waiting for a connection ends with ctx and so
// does every statement, but the transaction does not: a COMMIT under way must
// not be cut off. Connections that died in the pool are passed over, since
// there may be as many of them as it has.
func (s *Store) begin(ctx context.Context) (*sql.Conn, *sql.Tx, error) {
	for dead := 0; ; dead++ {
		conn, err := s.writer.Conn(ctx)
		if err != nil {
			return nil, nil, err
		}

		tx, err := conn.BeginTx(context.WithoutCancel(ctx), nil)
		if err == nil {
			return conn, tx, nil
		}

		_ = conn.Close() // a dead one says so again

		if !errors.Is(err, driver.ErrBadConn) || dead >= s.conns || ctx.Err() != nil {
			return nil, nil, err
		}
	}
}

// seal is the very last statement: it announces the topics and learns the
// transaction's id, by which a lost COMMIT is looked up.
func (tx *Tx) seal(ctx context.Context) (xid string, err error) {
	if tx.store.Embedded() {
		return "", nil
	}

	payload := strings.Join(tx.topics, " ")
	if len(payload) > notifyLimit {
		payload = Everything
	}

	var id sql.NullString

	query, args := "SELECT pg_current_xact_id_if_assigned()::text", []any{}
	if payload != "" {
		query, args = query+", pg_notify($1, $2)", []any{Channel, payload}
	}

	rows, err := tx.raw.QueryContext(ctx, query, args...)
	if err != nil {
		return "", err
	}
	defer rows.Close()

	var ignored any

	targets := []any{&id, &ignored}[:1+len(args)/2]
	for rows.Next() {
		if err := rows.Scan(targets...); err != nil {
			return "", err
		}
	}

	return id.String, rows.Err()
}

// errOutcome: COMMIT was sent, its answer was lost, and the database could not
// be asked either.
var errOutcome = errors.New("the outcome of the commit is not known")

// resolve decides what a failed COMMIT means: nil when it was done after all.
func (s *Store) resolve(ctx context.Context, xid string, cause error) error {
	if s.Embedded() || xid == "" || (!lost(cause) && !shutdown(cause)) {
		return cause
	}

	limit := resolveFor
	if end, ok := ctx.Deadline(); ok {
		limit = min(limit, max(time.Until(end), resolveAtLeast))
	}

	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer cancel()

	for {
		var status sql.NullString

		err := s.reader.QueryRowContext(ctx, "SELECT pg_xact_status($1::xid8)", xid).Scan(&status)

		switch {
		case err == nil && status.String == "committed":
			return nil
		case err == nil && status.String == "aborted":
			return errAborted
		}

		select {
		case <-ctx.Done():
			return errors.Join(errOutcome, cause)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

var errAborted = errors.New("the commit was lost before it was done")

// repeatable reports whether the transaction certainly left nothing and may
// succeed when it is tried again.
func repeatable(err error) bool {
	if errors.Is(err, errOutcome) {
		return false
	}

	if errors.Is(err, errAborted) || lost(err) || shutdown(err) {
		return true
	}

	var pe *pq.Error

	return errors.As(err, &pe) && (pe.Code == "40001" || pe.Code == "40P01")
}

// ReadTx runs body on one consistent snapshot of the database.
func (s *Store) ReadTx(ctx context.Context, body func(ctx context.Context, client *db.Client) error) error {
	tx, err := s.reader.BeginTx(ctx, &sql.TxOptions{Isolation: readIsolation(s), ReadOnly: !s.Embedded()})
	if err != nil {
		return Classify(err)
	}

	// Nothing was written: ending the snapshot cannot lose anything.
	defer func() { _ = tx.Rollback() }()

	if err := body(ctx, db.NewClient(db.Driver(txDriver{s.conn(tx)}))); err != nil {
		return Classify(err)
	}

	return nil
}

func readIsolation(s *Store) sql.IsolationLevel {
	if s.Embedded() {
		return sql.LevelDefault // WAL: a deferred transaction is a snapshot
	}

	return sql.LevelRepeatableRead
}

// Classify turns what a driver says into what a caller is told. An error that
// already is a fault stays as it is.
func Classify(err error) error {
	var coded *fault.Error

	switch {
	case err == nil, errors.As(err, &coded), errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, context.DeadlineExceeded), cancelled(err):
		return fault.Wrap(err, fault.Unavailable, "the database did not answer in time")
	case errors.Is(err, errOutcome):
		return fault.Wrap(err, fault.Unavailable, "the database was lost during the commit; ask again with the same idempotencyKey to learn whether it was done")
	case unfit(err):
		return fault.Wrap(err, fault.InvalidInput, "a text holds characters that cannot be stored: want UTF-8 without NUL")
	case full(err):
		return fault.Wrap(err, fault.Unavailable, "the database cannot write: its disk is full")
	case lost(err), shutdown(err), errors.Is(err, errAborted):
		return fault.Wrap(err, fault.Unavailable, "the database cannot be reached")
	}

	return fmt.Errorf("database: %w", err)
}
