// Package page pages through lists by keyset: forwards and backwards over keys
// that never change, with opaque cursors that are bound to the order and the
// filter that they were made with.
package page

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	entsql "entgo.io/ent/dialect/sql"

	"github.com/shiplog/shiplog/internal/fault"
)

// The sizes of a page.
const (
	Default = 50
	Max     = 1000
)

// version is the version of the cursors' form.
const version = "1"

// Args are a connection's arguments.
type Args struct {
	First  *int
	After  *string
	Last   *int
	Before *string
}

// Edge is an entry with its place.
type Edge[T any] struct {
	Cursor string
	Node   T
}

// Info says where a page stands.
type Info struct {
	HasNextPage     bool
	HasPreviousPage bool
	StartCursor     *string
	EndCursor       *string
}

// Page is a page of a list.
type Page[T any] struct {
	Edges    []*Edge[T]
	PageInfo *Info
	// At is the journal's position in the snapshot that the page was read
	// from, as a cursor; set when it was asked for.
	At string
	// Count counts all entries under the filter.
	Count func(ctx context.Context) (int, error)
}

// Nodes gives the entries alone.
func (p *Page[T]) Nodes() []T {
	nodes := make([]T, len(p.Edges))
	for i, e := range p.Edges {
		nodes[i] = e.Node
	}

	return nodes
}

// Position is the journal's position in the page's snapshot.
func (p *Page[T]) Position() string { return p.At }

// TotalCount counts all entries under the filter.
func (p *Page[T]) TotalCount(ctx context.Context) (int, error) { return p.Count(ctx) }

// Order is an order of a list by columns that never change; the last one is
// unique.
type Order[T any] struct {
	// Name of the list and order, in the cursor.
	Name    string
	Columns []string
	// Desc: the largest comes first.
	Desc bool
	// Key gives the values of the columns: string, int64 or time.Time.
	Key func(T) []any
}

// Load reads the page. Fetch runs the query with the restriction (a predicate
// that also sets the order) and the limit. Filter is what the list is
// filtered by; a cursor made under another filter is refused.
// Errors: INVALID_INPUT (first, last, after, before); STALE for a cursor from
// another list or filter.
func (o Order[T]) Load(args Args, filter any, fetch func(restrict func(*entsql.Selector), limit int) ([]T, error)) (*Page[T], error) {
	return o.LoadRaw(args, filter, func(r Restriction, limit int) ([]T, error) {
		return fetch(func(s *entsql.Selector) { o.restrict(s, r) }, limit)
	})
}

// Restriction is what a page is restricted to: keys, or nil.
type Restriction struct {
	After, Before []any
	Backwards     bool
}

// LoadRaw is Load for queries that are written by hand.
func (o Order[T]) LoadRaw(args Args, filter any, fetch func(restrict Restriction, limit int) ([]T, error)) (*Page[T], error) {
	size, backwards, err := args.size()
	if err != nil {
		return nil, err
	}

	seal, err := sealOf(filter)
	if err != nil {
		return nil, err
	}

	after, err := o.decode("after", seal, args.After)
	if err != nil {
		return nil, err
	}

	before, err := o.decode("before", seal, args.Before)
	if err != nil {
		return nil, err
	}

	rows, err := fetch(Restriction{After: after, Before: before, Backwards: backwards}, size+1)
	if err != nil {
		return nil, err
	}

	more := len(rows) > size
	rows = rows[:min(size, len(rows))]

	if backwards {
		slices.Reverse(rows)
	}

	page := &Page[T]{PageInfo: &Info{HasNextPage: more, HasPreviousPage: after != nil}}
	if backwards {
		page.PageInfo = &Info{HasNextPage: before != nil, HasPreviousPage: more}
	}

	page.Edges = make([]*Edge[T], len(rows))
	for i, row := range rows {
		page.Edges[i] = &Edge[T]{Cursor: o.encode(seal, row), Node: row}
	}

	if n := len(rows); n > 0 {
		page.PageInfo.StartCursor, page.PageInfo.EndCursor = &page.Edges[0].Cursor, &page.Edges[n-1].Cursor
	}

	return page, nil
}

// Size is how many entries are asked for, from which end.
type Size struct{ First, Last int }

// Size checks first and last.
func (a Args) Size() (Size, error) {
	n, backwards, err := a.size()
	if backwards {
		return Size{Last: n}, err
	}

	return Size{First: n}, err
}

func (a Args) size() (size int, backwards bool, err error) {
	field, asked := "first", a.First

	switch {
	case a.First != nil && a.Last != nil:
		return 0, false, fault.Invalid("last", "want first or last, not both")
	case a.Last != nil:
		field, asked, backwards = "last", a.Last, true
	case asked == nil:
		return Default, a.Before != nil && a.After == nil, nil
	}

	if *asked < 0 || *asked > Max {
		return 0, false, fault.Invalid(field, "want a number from 0 to %d", Max)
	}

	return *asked, backwards, nil
}

func (o Order[T]) restrict(s *entsql.Selector, r Restriction) {
	columns := make([]string, len(o.Columns))
	for i, c := range o.Columns {
		columns[i] = s.C(c)
	}

	greater, less := entsql.CompositeGT, entsql.CompositeLT
	if o.Desc {
		greater, less = less, greater
	}

	if r.After != nil {
		s.Where(greater(columns, r.After...))
	}

	if r.Before != nil {
		s.Where(less(columns, r.Before...))
	}

	for _, c := range columns {
		if o.Desc != r.Backwards {
			s.OrderBy(entsql.Desc(c))
		} else {
			s.OrderBy(entsql.Asc(c))
		}
	}
}

// encode makes the cursor of a row: version, name and seal, then the key.
func (o Order[T]) encode(seal string, row T) string {
	parts := []string{version, o.Name, seal}

	for _, v := range o.Key(row) {
		switch v := v.(type) {
		case time.Time:
			parts = append(parts, "t"+strconv.FormatInt(v.UnixMicro(), 36))
		case int64:
			parts = append(parts, "i"+strconv.FormatInt(v, 36))
		case string:
			parts = append(parts, "s"+v)
		}
	}

	return base64.RawURLEncoding.EncodeToString([]byte(strings.Join(parts, "\x1f")))
}

func (o Order[T]) decode(field, seal string, cursor *string) ([]any, error) {
	if cursor == nil {
		return nil, nil
	}

	raw, err := base64.RawURLEncoding.DecodeString(*cursor)
	if err != nil {
		return nil, fault.Invalid(field, "this is not a cursor")
	}

	parts := strings.Split(string(raw), "\x1f")
	if len(parts) != 3+len(o.Columns) || parts[0] != version {
		return nil, fault.Invalid(field, "this is not a cursor of this list")
	}

	if parts[1] != o.Name || parts[2] != seal {
		return nil, fault.New(fault.Stale, "this cursor was made with another order or filter: begin again").At(field)
	}

	key := make([]any, len(o.Columns))

	for i, part := range parts[3:] {
		if part == "" || strings.ContainsFunc(part, unicode.IsControl) || !utf8.ValidString(part) {
			return nil, fault.Invalid(field, "this is not a cursor of this list")
		}

		n, err := strconv.ParseInt(part[1:], 36, 64)

		switch {
		case part[0] == 's':
			key[i] = part[1:]
		case err != nil:
			return nil, fault.Invalid(field, "this is not a cursor of this list")
		case part[0] == 't':
			key[i] = time.UnixMicro(n).UTC()
		default:
			key[i] = n
		}
	}

	return key, nil
}

// sealOf is a short digest of the filter.
func sealOf(filter any) (string, error) {
	raw, err := json.Marshal(filter)
	if err != nil {
		return "", err
	}

	sum := sha256.Sum256(raw)

	return hex.EncodeToString(sum[:6]), nil
}

// MapNodes gives the page with its entries made into something else.
func MapNodes[T, U any](p *Page[T], f func(T) U) *Page[U] {
	mapped := &Page[U]{PageInfo: p.PageInfo, At: p.At, Count: p.Count, Edges: make([]*Edge[U], len(p.Edges))}
	for i, e := range p.Edges {
		mapped.Edges[i] = &Edge[U]{Cursor: e.Cursor, Node: f(e.Node)}
	}

	return mapped
}
