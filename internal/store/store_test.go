package store_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/shiplog/shiplog/ent/db"
	"github.com/shiplog/shiplog/internal/fault"
	"github.com/shiplog/shiplog/internal/store"
	"github.com/shiplog/shiplog/internal/store/storetest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("database/sql.(*DB).connectionOpener"))
}

func putDocument(id string) func(ctx context.Context, tx *store.Tx) error {
	return func(ctx context.Context, tx *store.Tx) error {
		return tx.Document.Create().SetID(id).SetContent("x").Exec(ctx)
	}
}

func TestReadsCannotWrite(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		if err := s.Read.Document.Create().SetID("d").SetContent("x").Exec(t.Context()); err == nil {
			t.Error("a write outside of WithTx was done")
		}
	})
}

func TestHooksRunOnlyAfterTheCommit(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		var woken []string

		s.OnWake(func(topics []string) { woken = append(woken, topics...) })

		committed := 0
		body := func(fail error) error {
			return s.WithTx(t.Context(), func(_ context.Context, tx *store.Tx) error {
				tx.Wake("topic")
				tx.Committed(func() { committed++ })

				return fail
			})
		}

		refused := errors.New("refused")
		if err := body(refused); !errors.Is(err, refused) || committed != 0 || len(woken) != 0 {
			t.Fatalf("got %v, %d hooks, woken %v after a rollback", err, committed, woken)
		}

		if err := body(nil); err != nil || committed != 1 || len(woken) != 1 {
			t.Fatalf("got %v, %d hooks, woken %v after a commit", err, committed, woken)
		}
	})
}

func TestACancelledCallerLeavesNothing(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx, cancel := context.WithCancel(t.Context())

		err := s.WithTx(ctx, func(ctx context.Context, tx *store.Tx) error {
			defer cancel()

			return putDocument("d")(ctx, tx)
		})
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("got %v", err)
		}

		if n, err := s.Read.Document.Query().Count(t.Context()); n != 0 || err != nil {
			t.Fatalf("got %d rows, %v", n, err)
		}
	})
}

func TestOnceIsOnceForACallerAndAMutation(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		var (
			mu   sync.Mutex
			runs int
			ids  = map[string]int{}
			wg   sync.WaitGroup
		)

		ask := func(caller, key string, input any, id string) (string, bool, error) {
			return store.Once(t.Context(), s, store.Call{Caller: caller, Mutation: "put", Key: key, Input: input}, func(ctx context.Context, tx *store.Tx) (string, error) {
				mu.Lock()
				runs++
				mu.Unlock()

				return id, putDocument(id)(ctx, tx)
			})
		}

		for i := range 50 {
			wg.Go(func() {
				id, _, err := ask("a", "key", "input", strings.Repeat("d", i+1))
				if err != nil {
					t.Error(err)
				}

				mu.Lock()
				ids[id]++
				mu.Unlock()
			})
		}

		wg.Wait()

		if len(ids) != 1 {
			t.Fatalf("50 callers with one key got %d answers: %v", len(ids), ids)
		}

		if n, err := s.Read.Document.Query().Count(t.Context()); n != 1 || err != nil {
			t.Fatalf("got %d rows, %v", n, err)
		}

		if _, _, err := ask("a", "key", "other input", "e"); !fault.Is(err, fault.Conflict) {
			t.Errorf("other input under the key: got %v", err)
		}

		if id, replayed, err := ask("b", "key", "other input", "e"); err != nil || replayed || id != "e" {
			t.Errorf("another caller's key: got %s, %t, %v", id, replayed, err)
		}
	})
}

func TestALeaseHasOneOwnerAndItsEpochGrows(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		a, b := store.NewLeases(s, "a"), store.NewLeases(s, "b")

		first, err := a.Take(t.Context(), "unit/x")
		if err != nil {
			t.Fatal(err)
		}

		for _, other := range []*store.Leases{a, b} {
			if _, err := other.Take(t.Context(), "unit/x"); !errors.Is(err, store.ErrNotOwner) {
				t.Fatalf("a lease that is held was taken: %v", err)
			}
		}

		if err := a.Renew(t.Context(), first); err != nil {
			t.Fatal(err)
		}

		if err := a.Release(t.Context(), first); err != nil {
			t.Fatal(err)
		}

		second, err := b.Take(t.Context(), "unit/x")
		if err != nil || second.Epoch <= first.Epoch {
			t.Fatalf("got %+v, %v after %+v", second, err, first)
		}

		if err := a.Renew(t.Context(), first); !errors.Is(err, store.ErrNotOwner) {
			t.Errorf("a lost lease was renewed: %v", err)
		}

		err = s.WithTx(t.Context(), func(ctx context.Context, tx *store.Tx) error { return tx.Fence(ctx, first) })
		if !errors.Is(err, store.ErrNotOwner) {
			t.Errorf("a lost lease passed the fence: %v", err)
		}

		if err := s.WithTx(t.Context(), func(ctx context.Context, tx *store.Tx) error { return tx.Fence(ctx, second) }); err != nil {
			t.Error(err)
		}
	})
}

func TestADeadOwnersLeaseIsTakenAfterItsTermAndNotBefore(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		a, b := store.NewLeases(s, "a"), store.NewLeases(s, "b")
		if _, err := a.Take(t.Context(), "unit/x"); err != nil {
			t.Fatal(err)
		}

		began := time.Now()

		for {
			if _, err := b.Take(t.Context(), "unit/x"); err == nil {
				break
			} else if !errors.Is(err, store.ErrNotOwner) {
				t.Fatal(err)
			}

			if time.Since(began) > 3*store.Term {
				t.Fatal("the lease of a dead owner is never taken")
			}

			<-time.After(100 * time.Millisecond)
		}

		if waited := time.Since(began); waited < store.Term {
			t.Errorf("taken after %s, before its term", waited)
		}
	})
}

func TestASecondProcessIsRefusedOnAnEmbeddedFile(t *testing.T) {
	t.Parallel()

	path := "sqlite:" + filepath.Join(t.TempDir(), "shiplog.db")
	storetest.OpenURL(t, path, nil)

	if _, err := store.Open(t.Context(), store.Config{URL: path}); err == nil || !strings.Contains(err.Error(), "in use by another process") {
		t.Fatalf("got %v", err)
	}
}

// A body that panics must not keep the connection and its locks: on an
// embedded database it is the only one that writes.
func TestAPanickingBodyGivesTheConnectionBack(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		panicked := make(chan any, 1)

		go func() {
			defer func() { panicked <- recover() }()

			_ = s.WithTx(context.WithoutCancel(t.Context()), func(ctx context.Context, tx *store.Tx) error {
				if err := putDocument("d")(ctx, tx); err != nil {
					return err
				}

				panic("on purpose")
			})
		}()

		select {
		case value := <-panicked:
			if value != "on purpose" {
				t.Fatalf("the caller sees %v", value)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("the transaction never ends")
		}

		// The same row again: it is neither there nor locked.
		if err := s.WithTx(t.Context(), putDocument("d")); err != nil {
			t.Fatal(err)
		}
	})
}

func TestALeaseThatCouldNotBeReleasedIsFreeForItsOwnerOnly(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		a, b := store.NewLeases(s, "a"), store.NewLeases(s, "b")

		first, err := a.Take(t.Context(), "unit/x")
		if err != nil {
			t.Fatal(err)
		}

		if taken, _, err := a.Watch(t.Context()); err != nil || !taken["unit/x"] {
			t.Fatalf("a lease that is held is not taken: %v, %v", taken, err)
		}

		gone, cancel := context.WithCancel(t.Context())
		cancel()

		if err := a.Release(gone, first); err == nil {
			t.Fatal("a release without a database was done")
		}

		if taken, _, err := b.Watch(t.Context()); err != nil || !taken["unit/x"] {
			t.Fatalf("another owner takes the lease for free: %v, %v", taken, err)
		}

		if _, err := b.Take(t.Context(), "unit/x"); !errors.Is(err, store.ErrNotOwner) {
			t.Fatalf("another owner took the lease: %v", err)
		}

		if taken, _, err := a.Watch(t.Context()); err != nil || taken["unit/x"] {
			t.Fatalf("the owner takes its own lease for held: %v, %v", taken, err)
		}

		second, err := a.Take(t.Context(), "unit/x")
		if err != nil || second.Epoch <= first.Epoch {
			t.Fatalf("got %+v, %v after %+v", second, err, first)
		}

		if _, err := a.Take(t.Context(), "unit/x"); !errors.Is(err, store.ErrNotOwner) {
			t.Fatalf("a lease that is held was taken: %v", err)
		}
	})
}

// The replica that finds an owner dead is not always the one that goes on.
func TestALeaseThatWasFoundDeadIsFreeForEverybody(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		a, b, c := store.NewLeases(s, "a"), store.NewLeases(s, "b"), store.NewLeases(s, "c")

		first, err := a.Take(t.Context(), "unit/x")
		if err != nil {
			t.Fatal(err)
		}

		found := watchUntilDead(t, b, "unit/x")

		// It lives after all: nobody may have it.
		if err := a.Renew(t.Context(), first); err != nil {
			t.Fatal(err)
		}

		bury := func(row *db.Lease) {
			if err := s.WithTx(t.Context(), func(ctx context.Context, tx *store.Tx) error { return tx.Bury(ctx, row) }); err != nil {
				t.Fatal(err)
			}
		}
		bury(found)

		if _, err := c.Take(t.Context(), "unit/x"); !errors.Is(err, store.ErrNotOwner) {
			t.Fatalf("a lease that was renewed was taken: %v", err)
		}

		bury(watchUntilDead(t, b, "unit/x"))

		second, err := c.Take(t.Context(), "unit/x")
		if err != nil || second.Epoch <= first.Epoch {
			t.Fatalf("got %+v, %v after %+v", second, err, first)
		}

		if err := a.Renew(t.Context(), first); !errors.Is(err, store.ErrNotOwner) {
			t.Fatalf("the one who was found dead goes on: %v", err)
		}
	})
}

func watchUntilDead(t *testing.T, l *store.Leases, name string) *db.Lease {
	t.Helper()

	for until := time.Now().Add(3 * store.Term); ; {
		_, dead, err := l.Watch(t.Context())
		if err != nil {
			t.Fatal(err)
		}

		if row := dead[name]; row != nil {
			return row
		}

		if time.Now().After(until) {
			t.Fatal("a lease that is not renewed is never found dead")
		}

		<-time.After(100 * time.Millisecond)
	}
}
