package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	entsql "entgo.io/ent/dialect/sql"

	"github.com/shiplog/shiplog/ent/db"
	"github.com/shiplog/shiplog/ent/db/lease"
	"github.com/shiplog/shiplog/internal/fault"
)

// Term is how long a lease lives unrenewed; Beat is how often its owner renews
// it. Takeover of a dead owner's work comes within Term and one tick.
const (
	Term = 5 * time.Second
	Beat = 1500 * time.Millisecond
)

// ErrNotOwner says that the lease belongs to somebody else, or to a later
// epoch of the same owner. Whoever gets it must write nothing more.
var ErrNotOwner = errors.New("the lease is not ours")

// Held is a lease in our hands.
type Held struct {
	Name  string
	Owner string
	// Epoch grows with every take of this name; every write in the lease's
	// name checks it.
	Epoch int64
}

// Leases takes and renews leases for one replica.
type Leases struct {
	store *Store
	owner string

	mu   sync.Mutex
	seen map[string]sighting
	// held are the leases in whose name somebody in this process acts. One
	// that is ours by its row only could not be released when the database
	// was not reached: it is free.
	held map[string]*Held
}

// sighting is when, by our own monotonic clock, a lease was first seen in this
// state: a taker must have seen it unrenewed for a full term itself, so that a
// database clock that jumps steals nothing.
type sighting struct {
	epoch, beat int64
	since       time.Time
}

// NewLeases makes the leases of the replica with this name, unique among
// processes that ever lived.
func NewLeases(s *Store, owner string) *Leases {
	return &Leases{store: s, owner: owner, seen: map[string]sighting{}, held: map[string]*Held{}}
}

// Owner is the replica's name.
func (l *Leases) Owner() string { return l.owner }

// Take takes the lease when nobody has it, or when its owner has let it run
// out; whoever took it gives it back with Release. Errors: ErrNotOwner when somebody has it.
func (l *Leases) Take(ctx context.Context, name string) (*Held, error) {
	var held *Held

	err := l.store.WithTx(ctx, func(ctx context.Context, tx *Tx) error {
		now, err := tx.now(ctx)
		if err != nil {
			return err
		}

		row, err := lockLease(ctx, tx, name)

		switch {
		case db.IsNotFound(err):
			if err := tx.createLease(ctx, name, l.owner, now); err != nil {
				return err
			}

			held = l.hold(name, 1)

			return nil
		case err != nil:
			return err
		case row.Owner != "" && !l.dead(row, now):
			return ErrNotOwner
		}

		held = l.hold(name, row.Epoch+1)

		return tx.Lease.UpdateOneID(name).SetOwner(l.owner).SetEpoch(held.Epoch).SetBeat(row.Beat + 1).SetUntil(now.Add(Term)).Exec(ctx)
	})
	if err != nil {
		l.drop(held)

		return nil, err
	}

	return held, nil
}

// hold says that the lease is held, while its row is locked: before anybody
// can see that it is ours.
func (l *Leases) hold(name string, epoch int64) *Held {
	held := &Held{Name: name, Owner: l.owner, Epoch: epoch}

	l.mu.Lock()
	defer l.mu.Unlock()

	l.held[name] = held

	return held
}

// drop says that the lease is not held any more; nil is none.
func (l *Leases) drop(held *Held) {
	l.mu.Lock()
	defer l.mu.Unlock()

	if held != nil && l.held[held.Name] == held {
		delete(l.held, held.Name)
	}
}

// createLease makes the row of a lease that never was, in its first epoch.
// Somebody may be quicker, another goroutine of this replica too.
func (tx *Tx) createLease(ctx context.Context, name, owner string, now time.Time) error {
	query, args := entsql.Dialect(tx.store.dialect).Insert(lease.Table).
		Columns(lease.FieldID, lease.FieldOwner, lease.FieldEpoch, lease.FieldBeat, lease.FieldUntil).
		Values(name, owner, 1, 1, now.Add(Term)).
		OnConflict(entsql.ConflictColumns(lease.FieldID), entsql.DoNothing()).Query()

	result, err := tx.raw.ExecContext(ctx, query, args...)
	if err != nil {
		return fmt.Errorf("create lease %s: %w", name, err)
	}

	n, err := result.RowsAffected()
	if err == nil && n == 0 {
		return ErrNotOwner
	}

	return err
}

func lockLease(ctx context.Context, tx *Tx, name string) (*db.Lease, error) {
	return tx.Lease.Query().Where(lease.ID(name), tx.Lock).Only(ctx)
}

// dead reports whether the lease ran out by the database's clock and was seen
// unrenewed for a full term by our own; or whether it is ours and was given
// up.
func (l *Leases) dead(row *db.Lease, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()

	if row.Owner == l.owner {
		held := l.held[row.ID]

		return held == nil || held.Epoch != row.Epoch
	}

	s, ok := l.seen[row.ID]
	if !ok || s.epoch != row.Epoch || s.beat != row.Beat {
		l.seen[row.ID] = sighting{epoch: row.Epoch, beat: row.Beat, since: time.Now()}

		return false
	}

	return time.Since(s.since) >= Term && now.After(row.Until)
}

// Watch looks at all leases so that the ones that are not renewed are known as
// dead when their term is over. The ticker of every replica calls it.
// It gives the leases that somebody has and that may not be taken now, and
// those that may: their owners have died, or could not release them.
func (l *Leases) Watch(ctx context.Context) (taken map[string]bool, dead map[string]*db.Lease, err error) {
	rows, err := l.store.Read.Lease.Query().Where(lease.OwnerNEQ("")).All(ctx)
	if err != nil {
		return nil, nil, Classify(err)
	}

	now, err := l.store.now(ctx)
	if err != nil {
		return nil, nil, err
	}

	taken, dead = make(map[string]bool, len(rows)), map[string]*db.Lease{}
	known := make(map[string]bool, len(rows))

	for _, row := range rows {
		known[row.ID] = true

		if l.dead(row, now) {
			dead[row.ID] = row
		} else {
			taken[row.ID] = true
		}
	}

	l.mu.Lock()
	defer l.mu.Unlock()

	for name := range l.seen {
		if !known[name] {
			delete(l.seen, name)
		}
	}

	return taken, dead, nil
}

// Bury gives a lease free that Watch has found dead, unless somebody has taken
// or renewed it since. Then every replica may take it at once, also one that
// has not watched it for a term: it need not be the one that found it.
func (tx *Tx) Bury(ctx context.Context, row *db.Lease) error {
	return tx.Lease.Update().
		Where(lease.ID(row.ID), lease.Owner(row.Owner), lease.Epoch(row.Epoch), lease.Beat(row.Beat)).
		SetOwner("").Exec(ctx)
}

// Renew renews the lease. Errors: ErrNotOwner when it was lost.
func (l *Leases) Renew(ctx context.Context, held *Held) error {
	return l.store.WithTx(ctx, func(ctx context.Context, tx *Tx) error {
		now, err := tx.now(ctx)
		if err != nil {
			return err
		}

		n, err := tx.Lease.Update().Where(lease.ID(held.Name), lease.Owner(held.Owner), lease.Epoch(held.Epoch)).
			AddBeat(1).SetUntil(now.Add(Term)).Save(ctx)
		if err == nil && n == 0 {
			return ErrNotOwner
		}

		return err
	})
}

// Release gives the lease free, so that the next owner need not wait. Nobody
// may act in its name any more, also when the database does not learn of it.
func (l *Leases) Release(ctx context.Context, held *Held) error {
	l.drop(held)

	return l.store.WithTx(ctx, func(ctx context.Context, tx *Tx) error {
		_, err := tx.Lease.Update().Where(lease.ID(held.Name), lease.Owner(held.Owner), lease.Epoch(held.Epoch)).SetOwner("").Save(ctx)

		return err
	})
}

// Fence makes sure that the lease is still ours until the transaction ends:
// every write in the lease's name begins with it. Errors: ErrNotOwner.
func (tx *Tx) Fence(ctx context.Context, held *Held) error {
	_, err := tx.Lease.Query().Where(lease.ID(held.Name), lease.Owner(held.Owner), lease.Epoch(held.Epoch), tx.LockShared).Only(ctx)
	if db.IsNotFound(err) {
		return ErrNotOwner
	}

	return err
}

// ForgetDead gives every lease free. Only for an embedded database, whose file
// lock proves that no other owner lives.
func (l *Leases) ForgetDead(ctx context.Context) error {
	if !l.store.Embedded() {
		return fault.New(fault.Internal, "leases of other replicas cannot be forgotten")
	}

	return l.store.WithTx(ctx, func(ctx context.Context, tx *Tx) error {
		_, err := tx.Lease.Update().Where(lease.OwnerNEQ("")).SetOwner("").Save(ctx)

		return err
	})
}

// now is the database's own clock on Postgres; an embedded database has none
// but ours.
func (s *Store) now(ctx context.Context) (time.Time, error) {
	return clock(ctx, s.Embedded(), s.querier(s.reader))
}

func (tx *Tx) now(ctx context.Context) (time.Time, error) {
	return clock(ctx, tx.Embedded(), tx.raw)
}

func clock(ctx context.Context, embedded bool, q entsql.ExecQuerier) (now time.Time, err error) {
	if embedded {
		return Now(), nil
	}

	rows, err := q.QueryContext(ctx, "SELECT clock_timestamp()")
	if err != nil {
		return now, Classify(err)
	}
	defer rows.Close()

	for rows.Next() {
		if err := rows.Scan(&now); err != nil {
			return now, Classify(err)
		}
	}

	return now, Classify(rows.Err())
}
