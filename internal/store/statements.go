package store

import (
	"container/list"
	"context"
	"database/sql"
	"errors"
	"sync"
	"sync/atomic"

	entsql "entgo.io/ent/dialect/sql"
	"github.com/lib/pq"
)

// maxStatements bounds the statements that a pool keeps prepared. A program's
// reads have some hundred texts; each costs a connection of Postgres a few
// tens of KiB at most.
const maxStatements = 200

// statements runs queries of a pool, and keeps those prepared that come again:
// ent never prepares, and without it Postgres parses and plans each one anew,
// with one more round trip. It is safe for concurrent use.
type statements struct {
	pool *sql.DB

	mu     sync.Mutex
	byText map[string]*list.Element
	recent *list.List // of *statement, the last used first
}

var _ entsql.ExecQuerier = (*statements)(nil)

// statement is a text, and from its second use on the prepared statement.
type statement struct {
	text     string
	prepared atomic.Pointer[sql.Stmt]
	// preparing is held by the one who prepares.
	preparing sync.Mutex

	// Under the cache's lock: who uses it now, and whether it is in the cache
	// no more, so that the last user closes it.
	users int
	gone  bool
}

func newStatements(pool *sql.DB) *statements {
	return &statements{pool: pool, byText: map[string]*list.Element{}, recent: list.New()}
}

// QueryContext runs a query.
func (s *statements) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	one, again := s.use(query)
	defer s.release(one)

	if !again {
		return s.pool.QueryContext(ctx, query, args...)
	}

	prepared, err := one.prepare(ctx, s.pool)
	if err != nil {
		return nil, err
	}

	if prepared == nil {
		return s.pool.QueryContext(ctx, query, args...)
	}

	rows, err := prepared.QueryContext(ctx, args...)
	if unprepared(err) {
		s.forget(one)

		return s.pool.QueryContext(ctx, query, args...)
	}

	return rows, err
}

// ExecContext runs a statement unprepared: nothing is written here.
func (s *statements) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	return s.pool.ExecContext(ctx, query, args...)
}

// use finds or makes the entry of the text; again: it was there.
func (s *statements) use(text string) (one *statement, again bool) {
	var dropped *statement

	s.mu.Lock()

	element, again := s.byText[text]
	if again {
		s.recent.MoveToFront(element)
	} else {
		element = s.recent.PushFront(&statement{text: text})
		s.byText[text] = element

		if s.recent.Len() > maxStatements {
			dropped = s.remove(s.recent.Back())
		}
	}

	one, _ = element.Value.(*statement)
	one.users++
	s.mu.Unlock()
	dropped.close()

	return one, again
}

// remove takes an entry out, and gives it when nobody uses it; the caller
// holds the lock.
func (s *statements) remove(element *list.Element) *statement {
	one, _ := s.recent.Remove(element).(*statement)
	delete(s.byText, one.text)

	if one.gone = true; one.users > 0 {
		return nil
	}

	return one
}

// forget takes a statement out that the database does not know any more.
func (s *statements) forget(one *statement) {
	s.mu.Lock()
	defer s.mu.Unlock()

	if element, there := s.byText[one.text]; there && element.Value == one {
		s.remove(element) // in use by the caller, whose release closes it
	}
}

func (s *statements) release(one *statement) {
	s.mu.Lock()
	one.users--
	last := one.gone && one.users == 0
	s.mu.Unlock()

	if last {
		one.close()
	}
}

// close closes what nobody uses any more. Rows that are still read keep the
// statement open by themselves.
func (one *statement) close() {
	if one == nil {
		return
	}

	if prepared := one.prepared.Load(); prepared != nil {
		// It can only fail with the connection, which ends the statement too.
		_ = prepared.Close()
	}
}

// prepare gives the prepared statement, nil while another is preparing it.
func (one *statement) prepare(ctx context.Context, pool *sql.DB) (*sql.Stmt, error) {
	if prepared := one.prepared.Load(); prepared != nil || !one.preparing.TryLock() {
		return prepared, nil
	}
	defer one.preparing.Unlock()

	prepared := one.prepared.Load()
	if prepared == nil {
		var err error
		if prepared, err = pool.PrepareContext(ctx, one.text); err != nil {
			return nil, err
		}

		one.prepared.Store(prepared)
	}

	return prepared, nil
}

// unprepared reports whether the database no longer has the statement in this
// form: a migration changed what it gives, or a pooler gave another session.
func unprepared(err error) bool {
	var pe *pq.Error

	return errors.As(err, &pe) && (pe.Code == "0A000" || pe.Code == "26000")
}
