package logs

import (
	"context"
	"slices"

	"github.com/shiplog/shiplog/ent/db"
	"github.com/shiplog/shiplog/internal/fault"
)

// MaxPage is the most lines of a page.
const MaxPage = 1000

// PageQuery says which part of a log is wanted: the First lines after After,
// or the Last lines before Before.
type PageQuery struct {
	// After and Before are seqs, both exclusive; nil for the log's ends.
	After, Before *int64
	// First or Last is the number of lines, at most MaxPage; First wins.
	First, Last int
	Filter      Filter
}

// Page is a part of a log, oldest line first.
type Page struct {
	Lines []Line
	// Gaps before and between the lines.
	Gaps                 []Gap
	HasNext, HasPrevious bool
	// LastSeq is the seq of the newest entry of the log, which is also how
	// many there are.
	LastSeq int64
}

// maxWindow bounds the entries that a filtered page decodes at once.
const maxWindow = 16 << 10

// Page reads a page with the client: Store.Read, or that of a snapshot.
// Errors: STALE with field "after" or "before" when the log is not that long.
func (l *Logs) Page(ctx context.Context, client *db.Client, deployment string, q PageQuery) (*Page, error) {
	head, err := l.head(ctx, client, deployment)
	if err != nil {
		return nil, err
	}

	low, high := int64(1), head.LastSeq

	if q.After != nil {
		if low = *q.After + 1; low > head.LastSeq+1 {
			return nil, stale("after")
		}
	}

	if q.Before != nil {
		if *q.Before > head.LastSeq+1 {
			return nil, stale("before")
		}

		high = *q.Before - 1
	}

	forward := q.First > 0 || q.Last == 0
	want := min(max(q.First, 0), MaxPage)

	if !forward {
		want = min(q.Last, MaxPage)
	}

	page := &Page{LastSeq: head.LastSeq, HasPrevious: low > 1, HasNext: high < head.LastSeq}

	more, err := l.collect(ctx, client, deployment, &head, low, high, want, forward, &q.Filter, page)
	if err != nil {
		return nil, err
	}

	if forward {
		page.HasNext = page.HasNext || more
	} else {
		page.HasPrevious = page.HasPrevious || more
		slices.Reverse(page.Lines)
		slices.Reverse(page.Gaps)
	}

	return page, nil
}

func stale(field string) error {
	return fault.New(fault.Stale, "the cursor is beyond the end of the log").At(field)
}

// collect reads from one end of low…high in windows until there are want
// lines and one more that passes the filter. Gaps between these two belong to
// the page that goes on.
func (l *Logs) collect(
	ctx context.Context, client *db.Client, deployment string, head *Head, low, high int64, want int, forward bool, filter *Filter, page *Page,
) (more bool, err error) {
	var gaps []Gap // since the last line that was taken

	for window := int64(want) + 1; low <= high; window = min(2*window, maxWindow) {
		from, to := low, min(high, low+window-1)
		if !forward {
			from, to = max(low, high-window+1), high
		}

		entries, err := l.entries(ctx, client, deployment, head, from, to)
		if err != nil {
			return false, err
		}

		if forward {
			low = to + 1
		} else {
			high = from - 1
			slices.Reverse(entries)
		}

		for i := range entries {
			e := &entries[i]

			switch {
			case e.Gap != nil:
				gaps = append(gaps, *e.Gap)
			case !filter.matches(e):
			case len(page.Lines) == want:
				return true, nil
			default:
				page.Lines = append(page.Lines, *e)
				page.Gaps, gaps = append(page.Gaps, gaps...), nil
			}
		}
	}

	page.Gaps = append(page.Gaps, gaps...)

	return false, nil
}
