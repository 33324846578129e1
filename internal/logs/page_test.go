package logs_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/shiplog/shiplog/ent/db/logchunk"
	"github.com/shiplog/shiplog/internal/fault"
	"github.com/shiplog/shiplog/internal/logs"
	"github.com/shiplog/shiplog/internal/store"
	"github.com/shiplog/shiplog/internal/store/storetest"
)

//go:fix inline
func TestPage(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l, d := open(t, s, logs.Config{}), deploymentID(t)

		// Chunks of all sizes; seq n is line n but for a gap at 51.
		for n := int64(1); n <= 50; n++ {
			appendLines(t, l, d, n, n)
		}

		gap := line(51)
		gap.Gap = &logs.Gap{Reason: logs.SourceLost, Lines: 9}

		if _, err := l.Append(t.Context(), d, logs.Batch{Lines: append([]logs.Line{gap}, lines(52, 300)...)}); err != nil {
			t.Fatal(err)
		}

		appendLines(t, l, d, 301, 5000)

		tests := []struct {
			name        string
			query       logs.PageQuery
			first, last int64 // seqs, 0 for an empty page
			count, gaps int
			next, prev  bool
		}{
			{"from the start", logs.PageQuery{First: 10}, 1, 10, 10, 0, true, false},
			{"over the gap", logs.PageQuery{After: new(int64(45)), First: 10}, 46, 56, 10, 1, true, true},
			{"the gap at the end belongs to the next page", logs.PageQuery{After: new(int64(45)), First: 5}, 46, 50, 5, 0, true, true},
			{"to the end", logs.PageQuery{After: new(int64(4990)), First: 50}, 4991, 5000, 10, 0, false, true},
			{"exactly to the end", logs.PageQuery{After: new(int64(4990)), First: 10}, 4991, 5000, 10, 0, false, true},
			{"after the end", logs.PageQuery{After: new(int64(5000)), First: 10}, 0, 0, 0, 0, false, true},
			{"the last", logs.PageQuery{Last: 1000}, 4001, 5000, 1000, 0, false, true},
			{"the last before", logs.PageQuery{Before: new(int64(55)), Last: 5}, 49, 54, 5, 1, true, true},
			{"before the start", logs.PageQuery{Before: new(int64(1)), Last: 5}, 0, 0, 0, 0, true, false},
			{"all that is before", logs.PageQuery{Before: new(int64(4)), Last: 5}, 1, 3, 3, 0, true, false},
			{"between", logs.PageQuery{After: new(int64(10)), Before: new(int64(14)), First: 9}, 11, 13, 3, 0, true, true},
			{"at most a thousand", logs.PageQuery{First: 100000}, 1, 1001, 1000, 1, true, false},
			{"filtered", logs.PageQuery{First: 3, Filter: logs.Filter{Contains: "99"}}, 99, 299, 3, 1, true, false},
			{"filtered, from the end", logs.PageQuery{Last: 2, Filter: logs.Filter{Contains: "line 77"}}, 778, 779, 2, 0, false, true},
			{"filtered, all", logs.PageQuery{First: 20, Filter: logs.Filter{Contains: "line 77", Instance: "hello/0"}}, 77, 779, 11, 1, false, false},
			{"nothing passes", logs.PageQuery{First: 20, Filter: logs.Filter{Streams: []logs.Stream{logs.Step}}}, 0, 0, 0, 1, false, false},
		}
		for _, test := range tests {
			page, err := l.Page(t.Context(), s.Read, d, test.query)
			if err != nil {
				t.Errorf("%s: %v", test.name, err)

				continue
			}

			var first, last int64
			if n := len(page.Lines); n > 0 {
				first, last = page.Lines[0].Seq, page.Lines[n-1].Seq
			}

			for _, l := range page.Lines {
				if l.Text != fmt.Sprintf("line %d", l.Seq) {
					t.Errorf("%s: seq %d is %q", test.name, l.Seq, l.Text)
				}
			}

			got := fmt.Sprint(first, last, len(page.Lines), len(page.Gaps), page.HasNext, page.HasPrevious, page.LastSeq)
			if want := fmt.Sprint(test.first, test.last, test.count, test.gaps, test.next, test.prev, 5000); got != want {
				t.Errorf("%s: got %s, want %s", test.name, got, want)
			}
		}

		for field, query := range map[string]logs.PageQuery{"after": {After: new(int64(5001)), First: 1}, "before": {Before: new(int64(5002)), Last: 1}} {
			if _, err := l.Page(t.Context(), s.Read, d, query); !fault.Is(err, fault.Stale) {
				t.Errorf("%s beyond the end: %v", field, err)
			}
		}
	})
}

func TestWhatRetentionRemovedIsAGap(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l, d := open(t, s, logs.Config{}), deploymentID(t)

		for n := range int64(10) {
			appendLines(t, l, d, n*100+1, n*100+100)
		}

		inTx(t, s, func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.LogChunk.Delete().Where(logchunk.DeploymentID(d), logchunk.Or(logchunk.LastSeqLTE(300), logchunk.FirstSeqGT(900))).Exec(ctx)

			return err
		})

		page, err := l.Page(t.Context(), s.Read, d, logs.PageQuery{First: 1000})
		if err != nil {
			t.Fatal(err)
		}

		if len(page.Lines) != 600 || len(page.Gaps) != 2 || page.Gaps[0] != (logs.Gap{Reason: logs.Retention, Lines: 300}) ||
			page.Gaps[1] != (logs.Gap{Reason: logs.Retention, Lines: 100}) {
			t.Errorf("%d lines, gaps %v", len(page.Lines), page.Gaps)
		}

		r, err := l.Follow(t.Context(), d, 50, logs.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()

		part, err := r.Next(t.Context())
		if err != nil || part.Gap == nil || part.Gap.Lines != 250 || part.Lines[0].Seq != 301 || part.Cursor != 900 {
			t.Errorf("got gap %v, %d lines up to %d, %v", part.Gap, len(part.Lines), part.Cursor, err)
		}

		if part, err = r.Next(t.Context()); err != nil || part.Gap == nil || part.Gap.Lines != 100 || part.Cursor != 1000 || len(part.Lines) != 0 {
			t.Errorf("got %+v, %v", part, err)
		}

		if part, err = r.Next(t.Context()); err != nil || !part.Complete {
			t.Errorf("got %+v, %v", part, err)
		}
	})
}

func TestCompactChangesNoEntry(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		l, d := open(t, s, logs.Config{}), deploymentID(t)
		other := deploymentID(t)
		appendLines(t, l, other, 1, 5)

		inTx(t, s, func(ctx context.Context, tx *store.Tx) error {
			for n := int64(1); n <= 600; n++ {
				if _, err := l.AppendTx(ctx, tx, d, logs.Batch{Lines: lines(n, n)}); err != nil {
					return err
				}
			}

			return nil
		})
		appendLines(t, l, d, 601, 6000) // large chunks stay
		appendLines(t, l, d, 6001, 6001)
		appendLines(t, l, d, 6002, 6002)

		for range 2 { // again changes nothing
			if err := l.Compact(t.Context(), d); err != nil {
				t.Fatal(err)
			}

			got, _ := all(t, s, l, d)
			checkRun(t, got, 6002)

			if n := s.Read.LogChunk.Query().Where(logchunk.DeploymentID(d)).CountX(t.Context()); n > 7 {
				t.Errorf("%d chunks are left", n)
			}
		}

		appendLines(t, l, d, 6003, 6010)

		got, _ := all(t, s, l, d)
		checkRun(t, got, 6010)
	})
}
