package page_test

import (
	"testing"
	"time"

	"github.com/shiplog/shiplog/internal/fault"
	"github.com/shiplog/shiplog/internal/page"
)

type entry struct {
	at time.Time
	id string
}

var order = page.Order[entry]{
	Name: "entries", Columns: []string{"at", "id"}, Desc: true,
	Key: func(e entry) []any { return []any{e.at, e.id} },
}

func load(args page.Args, filter any) (*page.Page[entry], error) {
	return order.LoadRaw(args, filter, func(_ page.Restriction, limit int) ([]entry, error) {
		return make([]entry, limit), nil
	})
}

func TestCursorsAreBoundToOrderAndFilter(t *testing.T) {
	t.Parallel()

	one := 1

	p, err := load(page.Args{First: &one}, "filter")
	if err != nil || p.PageInfo.EndCursor == nil || !p.PageInfo.HasNextPage {
		t.Fatalf("got %+v, %v", p, err)
	}

	cursor := p.PageInfo.EndCursor
	if _, err := load(page.Args{After: cursor}, "filter"); err != nil {
		t.Error(err)
	}

	if _, err := load(page.Args{After: cursor}, "another"); !fault.Is(err, fault.Stale) {
		t.Errorf("a cursor of another filter: got %v", err)
	}

	for _, bad := range []string{"", "x", "AAAA", *cursor + "A", "MR9lbnRyaWVz"} {
		if _, err := load(page.Args{After: &bad}, "filter"); !fault.Is(err, fault.InvalidInput) && !fault.Is(err, fault.Stale) {
			t.Errorf("%q: got %v", bad, err)
		}
	}
}

func TestSizesAreChecked(t *testing.T) {
	t.Parallel()

	minus, one, many := -1, 1, page.Max+1
	for _, args := range []page.Args{{First: &minus}, {Last: &many}, {First: &one, Last: &one}} {
		if _, err := load(args, nil); !fault.Is(err, fault.InvalidInput) {
			t.Errorf("%+v: got %v", args, err)
		}
	}
}

func FuzzCursor(f *testing.F) {
	f.Add("MR9lbnRyaWVzH2Zm")
	f.Fuzz(func(t *testing.T, cursor string) {
		if _, err := load(page.Args{After: &cursor}, nil); err != nil && fault.CodeOf(err) == fault.Internal {
			t.Fatal(err)
		}
	})
}
