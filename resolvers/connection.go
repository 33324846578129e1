package resolvers

import (
	"context"
	"slices"

	"github.com/99designs/gqlgen/graphql"

	"github.com/shiplog/shiplog/ent/db"
	"github.com/shiplog/shiplog/internal/journal"
	"github.com/shiplog/shiplog/internal/observe"
	"github.com/shiplog/shiplog/internal/page"
)

// asks reports whether the field's selection holds a field of this name.
func asks(ctx context.Context, field string) bool {
	return slices.Contains(graphql.CollectAllFields(ctx), field)
}

// paged reads a page; when its position is asked for, both come from one
// snapshot of the database.
func paged[T any](ctx context.Context, r *Resolver, load func(ctx context.Context, client *db.Client) (*page.Page[T], error)) (*page.Page[T], error) {
	return pagedAt(ctx, r, func(ctx context.Context, client *db.Client) (string, error) {
		seq, err := journal.Position(ctx, client)

		return journal.Cursor(seq), err
	}, load)
}

// placeOf is the position of what is read of placements.
func placeOf(ctx context.Context, client *db.Client) (string, error) {
	place, err := observe.PlaceOf(ctx, client)

	return place.Cursor(), err
}

func pagedAt[T any](
	ctx context.Context, r *Resolver,
	position func(ctx context.Context, client *db.Client) (string, error),
	load func(ctx context.Context, client *db.Client) (*page.Page[T], error),
) (*page.Page[T], error) {
	if !asks(ctx, "position") {
		p, err := load(ctx, r.Store.Read)
		if err != nil {
			return nil, err
		}

		return p, prefetchNodes(ctx, p.Nodes())
	}

	var p *page.Page[T]

	err := r.Store.ReadTx(ctx, func(ctx context.Context, client *db.Client) error {
		at, err := position(ctx, client)
		if err != nil {
			return err
		}

		if p, err = load(ctx, client); err != nil {
			return err
		}

		p.At = at

		// It is counted in the same snapshot, which ends before the field
		// totalCount is asked for.
		if !asks(ctx, "totalCount") {
			return nil
		}

		n, err := p.Count(ctx)
		p.Count = func(context.Context) (int, error) { return n, err }

		return err
	})
	if err != nil {
		return nil, err
	}

	return p, prefetchNodes(ctx, p.Nodes())
}
