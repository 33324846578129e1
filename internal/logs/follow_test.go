package logs_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/shiplog/shiplog/internal/fault"
	"github.com/shiplog/shiplog/internal/logs"
	"github.com/shiplog/shiplog/internal/store"
	"github.com/shiplog/shiplog/internal/store/storetest"
)

// follow reads from the cursor to the end; cut says after how many parts the
// connection breaks and a new one goes on from the cursor, 0 for never.
func follow(ctx context.Context, l *logs.Logs, deployment string, cut int, opts logs.Options) ([]logs.Line, error) {
	var (
		got    []logs.Line
		cursor int64
	)

	for {
		r, err := l.Follow(ctx, deployment, cursor, opts)
		if err != nil {
			return nil, err
		}

		for n := 0; cut == 0 || n < cut; n++ {
			part, err := r.Next(ctx)
			if err != nil {
				r.Close()

				return got, err
			}

			if part.Shared != nil && opts.Filter.Empty() && (part.Shared.Last != part.Cursor || len(part.Shared.Lines) != len(part.Lines)) {
				r.Close()

				return nil, errors.New("a shared segment that is not the part")
			}

			got, cursor = append(got, part.Lines...), part.Cursor

			if part.Complete {
				_, err := r.Next(ctx)
				r.Close()

				if !errors.Is(err, io.EOF) {
					return nil, fmt.Errorf("after the end: %w", err)
				}

				return got, nil
			}
		}

		r.Close()
	}
}

func TestFollowersSeeEveryLineOnceWhereverTheyComeAndAreCut(t *testing.T) {
	t.Parallel()

	const total = 3000

	test := func(t *testing.T, writing *store.Store, here *logs.Logs, there *logs.Logs) {
		d := deploymentID(t)

		var (
			wg    sync.WaitGroup
			gates [12]chan struct{} // they come at different times
		)

		for i := range gates {
			gates[i] = make(chan struct{})

			reader := here
			if i%3 == 0 {
				reader = there
			}

			wg.Go(func() {
				<-gates[i]

				got, err := follow(t.Context(), reader, d, i%4, logs.Options{Follow: true})
				if err != nil {
					t.Errorf("follower %d: %v", i, err)

					return
				}

				checkRun(t, got, total)
			})
		}

		w := here.NewWriter()

		opened := 0
		for n := int64(0); n < total; {
			for ; opened < len(gates) && int64(opened)*total/int64(len(gates)) <= n; opened++ {
				close(gates[opened])
			}

			to := min(total, n+1+rand.Int64N(40))
			if _, err := w.Submit(t.Context(), d, logs.Batch{Lines: lines(n+1, to), Advances: []logs.Advance{{Source: "a", From: n, To: to}}}); err != nil {
				t.Fatal(err)
			}

			if n%7 == 0 { // another replica's step
				if _, err := there.Append(t.Context(), d, step("meanwhile")); err != nil {
					t.Fatal(err)
				}
			}

			n = to
		}

		for ; opened < len(gates); opened++ {
			close(gates[opened])
		}

		w.Close()
		inTx(t, writing, func(ctx context.Context, tx *store.Tx) error { return here.MarkOutcome(ctx, tx, d) })
		wg.Wait()

		// After the end: the same, and nothing of what runs on.
		appendLines(t, here, d, total+1, total+5)

		for _, opts := range []logs.Options{{Follow: true}, {}} {
			got, err := follow(t.Context(), there, d, 0, opts)
			if err != nil {
				t.Fatal(err)
			}

			checkRun(t, got, total)
		}
	}

	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()

		s := storetest.Open(t, "sqlite")
		l := open(t, s, logs.Config{TailBytes: 1}) // small tails: the store is read as well
		test(t, s, l, l)
	})
	t.Run("postgres, two replicas", func(t *testing.T) {
		t.Parallel()

		url := storetest.URL(t, "postgres")
		a, b := storetest.OpenURL(t, url, nil), storetest.OpenURL(t, url, nil)
		test(t, a, open(t, a, logs.Config{}), open(t, b, logs.Config{TailBytes: 1}))
	})
}

func TestFollowUntilReplaced(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l, d := open(t, s, logs.Config{}), deploymentID(t)
		appendLines(t, l, d, 1, 3)
		inTx(t, s, func(ctx context.Context, tx *store.Tx) error { return l.MarkOutcome(ctx, tx, d) })

		r, err := l.Follow(t.Context(), d, 1, logs.Options{Follow: true, UntilReplaced: true})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()

		if !l.Watched(d) {
			t.Error("nobody seems to watch")
		}

		want := func(cursor int64, complete bool) {
			t.Helper()

			if part, err := r.Next(t.Context()); err != nil || part.Cursor != cursor || part.Complete != complete {
				t.Fatalf("got %+v, %v", part, err)
			}
		}

		want(3, false)
		appendLines(t, l, d, 4, 9)
		want(9, false)
		inTx(t, s, func(ctx context.Context, tx *store.Tx) error {
			if _, err := l.AppendTx(ctx, tx, d, step("replaced")); err != nil {
				return err
			}

			return l.Close(ctx, tx, d)
		})
		want(10, false)
		want(10, true)
		r.Close()

		if l.Watched(d) {
			t.Error("somebody seems to watch")
		}
	})
}

func TestFollowAfterTheEndOfTheLogIsStale(t *testing.T) {
	t.Parallel()

	s := storetest.Open(t, "sqlite")
	l, d := open(t, s, logs.Config{}), deploymentID(t)

	_, err := l.Follow(t.Context(), d, 1, logs.Options{Follow: true})

	var e *fault.Error
	if !errors.As(err, &e) || e.Code != fault.Stale || e.Field != "after" {
		t.Fatalf("got %v", err)
	}
}

func TestFollowFilters(t *testing.T) {
	t.Parallel()

	s := storetest.Open(t, "sqlite")
	l, d := open(t, s, logs.Config{}), deploymentID(t)
	appendLines(t, l, d, 1, 2500)

	if _, err := l.Append(t.Context(), d, step("done")); err != nil {
		t.Fatal(err)
	}

	got, err := follow(t.Context(), l, d, 0, logs.Options{Filter: logs.Filter{Streams: []logs.Stream{logs.Step}}})
	if err != nil || len(got) != 1 || got[0].Text != "done" {
		t.Errorf("got %v, %v", got, err)
	}

	got, err = follow(t.Context(), l, d, 0, logs.Options{Filter: logs.Filter{Contains: "00"}, MaxLines: 7})
	if err != nil || len(got) != 43 { // 25 hundreds, 1001 to 1009, 2001 to 2009
		t.Errorf("got %d, %v", len(got), err)
	}
}

func TestManyFollowersCauseFewReads(t *testing.T) {
	t.Parallel()

	for _, dialect := range []string{"sqlite", "postgres"} {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()

			var (
				mu sync.Mutex
				n  int
			)

			s := storetest.OpenURL(t, storetest.URL(t, dialect), func(context.Context, string, time.Duration, error) {
				mu.Lock()
				defer mu.Unlock()
				n++
			})
			l, d := open(t, s, logs.Config{}), deploymentID(t)
			appendLines(t, l, d, 1, 5000)

			count := func(viewers int) int {
				mu.Lock()
				n = 0
				mu.Unlock()

				var wg sync.WaitGroup
				for range viewers {
					wg.Go(func() {
						got, err := follow(t.Context(), l, d, 0, logs.Options{Follow: true})
						if err != nil {
							t.Error(err)
						}

						checkRun(t, got, 5000)
					})
				}

				wg.Wait()
				mu.Lock()
				defer mu.Unlock()

				return n
			}

			inTx(t, s, func(ctx context.Context, tx *store.Tx) error { return l.MarkOutcome(ctx, tx, d) })

			// Readers come and go, so some of them begin a tail of their own.
			if one, many := count(1), count(100); many > 20*one {
				t.Errorf("%d statements for one viewer, %d for a hundred", one, many)
			}
		})
	}
}
