package journal_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/shiplog/shiplog/internal/journal"
	"github.com/shiplog/shiplog/internal/store"
	"github.com/shiplog/shiplog/internal/store/storetest"
)

func entry(i int) journal.Entry {
	return journal.Entry{
		Type: "test.entry", Actor: journal.Actor{Kind: journal.System, Issuer: "local", Subject: "test", Display: "test"},
		Source: "test", Subject: fmt.Sprintf("thing_%d", i), Message: "a thing happened", Payload: map[string]int{"i": i},
	}
}

func TestEntriesAreChainedInCommitOrder(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		var wg sync.WaitGroup

		for w := range 8 {
			wg.Go(func() {
				for i := range 10 {
					err := s.WithTx(t.Context(), func(_ context.Context, tx *store.Tx) error {
						_, err1 := journal.Record(tx, entry(w*100+i))
						_, err2 := journal.Record(tx, entry(w*100+i+50))

						return errors.Join(err1, err2)
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}

		wg.Wait()

		if n, err := journal.Verify(t.Context(), s); n != 160 || err != nil {
			t.Fatalf("got %d entries, %v; want 160", n, err)
		}
	})
}

func TestVerifyNamesTheFirstBrokenEntry(t *testing.T) {
	t.Parallel()

	change := func(statement string) func(ctx context.Context, tx *store.Tx) error {
		return func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.Raw().ExecContext(ctx, statement)

			return err
		}
	}

	for name, test := range map[string]struct {
		statement string
		want      int64
	}{
		"edited":       {"UPDATE events SET subject = 'another' WHERE seq = 3", 3},
		"deleted":      {"DELETE FROM events WHERE seq = 2", 2},
		"cut off":      {"DELETE FROM events WHERE seq > 3", 4},
		"swapped body": {"UPDATE payloads SET content = '{}' WHERE id = (SELECT id FROM events WHERE seq = 5)", 5},
		"redacted":     {"UPDATE payloads SET content = NULL", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.Each(t, func(t *testing.T, s *store.Store) {
				for i := range 5 {
					err := s.WithTx(t.Context(), func(_ context.Context, tx *store.Tx) error {
						_, err := journal.Record(tx, entry(i))

						return err
					})
					if err != nil {
						t.Fatal(err)
					}
				}

				if err := s.WithTx(t.Context(), change(test.statement)); err != nil {
					t.Fatal(err)
				}

				_, err := journal.Verify(t.Context(), s)

				var broken *journal.Broken
				if got := errors.As(err, &broken); got != (test.want != 0) || got && broken.Seq != test.want {
					t.Fatalf("got %v; want entry %d", err, test.want)
				}
			})
		})
	}
}

func TestARolledBackTransactionLeavesNoEntry(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		refused := errors.New("refused")

		err := s.WithTx(t.Context(), func(_ context.Context, tx *store.Tx) error {
			_, err := journal.Record(tx, entry(1))

			return errors.Join(refused, err)
		})
		if !errors.Is(err, refused) {
			t.Fatal(err)
		}

		if n, err := journal.Verify(t.Context(), s); n != 0 || err != nil {
			t.Fatalf("got %d, %v", n, err)
		}
	})
}
