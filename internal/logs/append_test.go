package logs_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/shiplog/shiplog/internal/logs"
	"github.com/shiplog/shiplog/internal/store"
	"github.com/shiplog/shiplog/internal/store/storetest"
)

// checkRun fails unless the lines are 1…n of the source, once and in order.
func checkRun(t testing.TB, got []logs.Line, n int64) {
	t.Helper()

	next := int64(1)

	for i, l := range got {
		if l.Seq != got[0].Seq+int64(i) {
			t.Fatalf("seq %d follows %d", l.Seq, got[i-1].Seq)
		}

		if l.Stream != logs.Container {
			continue
		}

		if want := fmt.Sprintf("line %d", next); l.Text != want {
			t.Fatalf("seq %d: got %q, want %q", l.Seq, l.Text, want)
		}

		next++
	}

	if next != n+1 {
		t.Fatalf("got %d lines, want %d", next-1, n)
	}
}

// collect takes the source's lines up to total, as a collector does that may
// begin anywhere and is told the truth.
func collect(ctx context.Context, appendBatch func(context.Context, string, logs.Batch) (int64, error), deployment string, from, size, total int64) error {
	for from < total {
		to := min(total, from+size)

		_, err := appendBatch(ctx, deployment, logs.Batch{Lines: lines(from+1, to), Advances: []logs.Advance{{Source: "a", From: from, To: to}}})

		var wrong *logs.PositionError

		switch {
		case errors.As(err, &wrong):
			to = wrong.Positions["a"]
		case err != nil:
			return err
		}

		from = to
	}

	return nil
}

func TestCollectorsOfTheSameSourceNeitherDoubleNorLose(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l, d := open(t, s, logs.Config{}), deploymentID(t)

		const total = 2000

		var wg sync.WaitGroup
		for i := range int64(4) { // two with a writer each, two without; and below one that is cut off again and again
			w := l.NewWriter()
			defer w.Close()

			do := w.Append
			if i%2 == 0 {
				do = l.Append
			}

			wg.Go(func() {
				if err := collect(t.Context(), do, d, i*100, 7+i, total); err != nil {
					t.Error(err)
				}
			})
		}

		wg.Go(func() {
			for range 50 {
				ctx, cancel := context.WithCancel(t.Context())

				var inner sync.WaitGroup

				inner.Go(func() {
					if err := collect(ctx, l.Append, d, 0, 11, total); err != nil && ctx.Err() == nil {
						t.Error(err)
					}
				})

				inTx(t, s, func(ctx context.Context, tx *store.Tx) error {
					_, err := l.AppendTx(ctx, tx, d, step("a step"))

					return err
				})
				cancel()
				inner.Wait()
			}
		})

		wg.Wait()

		got, gaps := all(t, s, l, d)
		if len(gaps) != 0 {
			t.Errorf("gaps %v", gaps)
		}

		checkRun(t, got, total)
	})
}

func TestStepIsCommittedWithItsTransactionOnly(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l, d := open(t, s, logs.Config{}), deploymentID(t)
		failure := errors.New("no")

		err := s.WithTx(t.Context(), func(ctx context.Context, tx *store.Tx) error {
			if _, err := l.AppendTx(ctx, tx, d, step("lost")); err != nil {
				return err
			}

			return failure
		})
		if !errors.Is(err, failure) {
			t.Fatal(err)
		}

		inTx(t, s, func(ctx context.Context, tx *store.Tx) error {
			for _, text := range []string{"one", "two\nthree"} {
				if _, err := l.AppendTx(ctx, tx, d, step(text)); err != nil {
					return err
				}
			}

			return nil
		})

		got, _ := all(t, s, l, d)
		if len(got) != 3 || got[0].Text != "one" || got[2].Text != "three" || got[2].Seq != 3 || got[0].Step != "apply" {
			t.Fatalf("got %+v", got)
		}
	})
}

func TestWriterGathersAndKeepsOrder(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l := open(t, s, logs.Config{})
		w := l.NewWriter()

		deployments := []string{deploymentID(t), deploymentID(t)}

		const total = 1000

		var wg sync.WaitGroup
		for _, d := range deployments {
			wg.Go(func() {
				var last *logs.Pending

				for n := range int64(total) {
					p, err := w.Submit(t.Context(), d, logs.Batch{Lines: lines(n+1, n+1), Advances: []logs.Advance{{Source: "a", From: n, To: n + 1}}})
					if err != nil {
						t.Error(err)

						return
					}

					last = p
				}

				if seq, err := last.Wait(t.Context()); err != nil || seq != total {
					t.Errorf("got %d, %v", seq, err)
				}
			})
		}

		wg.Wait()
		w.Close()
		w.Close()

		if _, err := w.Append(t.Context(), deployments[0], step("late")); !errors.Is(err, logs.ErrStopped) {
			t.Errorf("got %v from a closed writer", err)
		}

		for _, d := range deployments {
			got, _ := all(t, s, l, d)
			checkRun(t, got, total)
		}

		if n := s.Read.LogChunk.Query().CountX(t.Context()); n > total/2 {
			t.Errorf("%d chunks for %d lines: nothing was gathered", n, 2*total)
		}
	})
}

func TestWriterFailsOnlyTheBatchThatDoesNotFit(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l, d := open(t, s, logs.Config{}), deploymentID(t)
		w := l.NewWriter()
		defer w.Close()

		var pendings []*logs.Pending

		for i := range int64(30) {
			from := i
			if i%3 == 1 {
				from += 5 // a collector that is wrong
			}

			p, err := w.Submit(t.Context(), d, logs.Batch{
				Lines: lines(i+1, i+1), Advances: []logs.Advance{{Source: fmt.Sprintf("source %d", i), From: from - i, To: 1 + from - i}},
			})
			if err != nil {
				t.Fatal(err)
			}

			pendings = append(pendings, p)
		}

		for i, p := range pendings {
			var wrong *logs.PositionError
			if _, err := p.Wait(t.Context()); (i%3 == 1) != errors.As(err, &wrong) {
				t.Errorf("batch %d: %v", i, err)
			}
		}

		if got, _ := all(t, s, l, d); len(got) != 20 {
			t.Errorf("got %d lines", len(got))
		}
	})
}

func TestLimitLeavesOneGapAndRoomForSteps(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l, d := open(t, s, logs.Config{Limit: 1000}), deploymentID(t)
		w := l.NewWriter()
		defer w.Close()

		for n := range int64(200) {
			do := l.Append
			if n%2 == 0 {
				do = w.Append
			}

			if _, err := do(t.Context(), d, logs.Batch{Lines: lines(n+1, n+1), Advances: []logs.Advance{{Source: "a", From: n, To: n + 1}}}); err != nil {
				t.Fatal(err)
			}
		}

		if _, err := w.Append(t.Context(), d, step("it failed")); err != nil {
			t.Fatal(err)
		}

		got, gaps := all(t, s, l, d)
		if len(gaps) != 1 || gaps[0].Reason != logs.Limit || gaps[0].Lines != 200-int64(len(got)-1) {
			t.Errorf("%d lines and gaps %v", len(got), gaps)
		}

		if got[len(got)-1].Text != "it failed" || len(got) < 90 || len(got) > 140 {
			t.Errorf("%d lines, the last %q", len(got), got[len(got)-1].Text)
		}

		heads, err := l.Heads(t.Context(), s.Read, d)
		if err != nil || heads[d].Sources["a"] != 200 || len(heads[d].Sources) != 1 {
			t.Errorf("got %v, %v", heads, err)
		}
	})
}

func TestClosedLogTakesNothing(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l, d := open(t, s, logs.Config{}), deploymentID(t)
		w := l.NewWriter()
		defer w.Close()

		if _, err := w.Append(t.Context(), d, step("one")); err != nil {
			t.Fatal(err)
		}

		inTx(t, s, func(ctx context.Context, tx *store.Tx) error { return l.Close(ctx, tx, d) })

		for _, do := range []func(context.Context, string, logs.Batch) (int64, error){w.Append, l.Append} {
			if _, err := do(t.Context(), d, step("two")); !errors.Is(err, logs.ErrClosed) {
				t.Errorf("got %v", err)
			}
		}
	})
}

func TestLargeBatchIsDivided(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l, d := open(t, s, logs.Config{}), deploymentID(t)
		w := l.NewWriter()
		defer w.Close()

		many := lines(1, 3000)
		for i := range many {
			many[i].Text += " " + strings.Repeat("x", 500)
		}

		if last, err := w.Append(t.Context(), d, logs.Batch{Lines: many}); err != nil || last != 3000 {
			t.Fatal(last, err)
		}

		got, _ := all(t, s, l, d)
		if len(got) != 3000 || got[2999].Text != many[2999].Text {
			t.Fatalf("got %d lines", len(got))
		}
	})
}
