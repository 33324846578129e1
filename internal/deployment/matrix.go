package deployment

import (
	"context"
	"fmt"

	entsql "entgo.io/ent/dialect/sql"

	"github.com/shiplog/shiplog/ent/db"
	"github.com/shiplog/shiplog/ent/db/environment"
	"github.com/shiplog/shiplog/ent/db/predicate"
	"github.com/shiplog/shiplog/ent/db/service"
	"github.com/shiplog/shiplog/internal/catalog"
	"github.com/shiplog/shiplog/internal/fault"
	"github.com/shiplog/shiplog/internal/id"
	"github.com/shiplog/shiplog/internal/page"
	"github.com/shiplog/shiplog/internal/store"
)

const (
	// maxRows and maxColumns bound a page of the matrix.
	maxRows    = 100
	maxColumns = 100
)

// Matrix is services × environments.
type Matrix struct {
	Environments []*db.Environment
	Rows         []*MatrixRow
	PageInfo     *page.Info
	Position     string
}

// MatrixRow is a service's row, with one placement a column.
type MatrixRow struct {
	Service    *db.Service
	Placements []*Placement
}

// MatrixArgs say which services and environments; nil means all.
type MatrixArgs struct {
	Services     []string
	Environments []string
	Owner        *string
	Moment       Moment
	First        *int
	After        *string
}

// Matrix gives a page of the matrix: three statements, whatever its size.
func (e *Engine) Matrix(ctx context.Context, client *db.Client, args MatrixArgs) (*Matrix, error) {
	columns, err := matrixColumns(ctx, client, args)
	if err != nil {
		return nil, err
	}

	rows, err := matrixRows(ctx, client, args)
	if err != nil {
		return nil, err
	}

	yes := true
	q := &placed{store: e.store, services: []string{}, envs: []string{}, filter: PlacementFilter{Archived: &yes}}
	q.at, q.known = args.Moment.resolve()

	for _, r := range rows.Edges {
		q.services = append(q.services, r.Node.ID)
	}

	for _, c := range columns {
		q.envs = append(q.envs, c.ID)
	}

	found, err := q.read(ctx, client, q.from(q.selection()))
	if err != nil {
		return nil, err
	}

	byID := make(map[string]*Placement, len(found))
	for _, p := range found {
		byID[p.ID] = p
	}

	m := &Matrix{Environments: columns, PageInfo: rows.PageInfo, Rows: make([]*MatrixRow, len(rows.Edges))}

	for i, r := range rows.Edges {
		m.Rows[i] = &MatrixRow{Service: r.Node, Placements: make([]*Placement, len(columns))}
		for j, c := range columns {
			m.Rows[i].Placements[j] = byID[id.PlacementID(r.Node.ID, c.ID)]
		}
	}

	return m, nil
}

func matrixColumns(ctx context.Context, client *db.Client, args MatrixArgs) ([]*db.Environment, error) {
	query := client.Environment.Query().Order(environment.ByRank(), environment.ByName(), environment.ByID()).Limit(maxColumns + 1)

	switch {
	case len(args.Environments) > maxColumns:
		return nil, fault.Invalid("environments", "want at most %d", maxColumns)
	case args.Environments == nil:
		query.Where(environment.ArchivedAtIsNil())
	default:
		var names, ids []string

		for i, ref := range args.Environments {
			if err := store.Sought(fmt.Sprintf("environments[%d]", i), &ref); err != nil {
				return nil, err
			}

			if id.IsOf(ref, id.Environment) {
				ids = append(ids, ref)
			} else {
				names = append(names, ref)
			}
		}

		query.Where(environment.Or(store.AnyOf(environment.FieldID, ids), environment.And(store.AnyOf(environment.FieldName, names), environment.ArchivedAtIsNil())))
	}

	rows, err := query.All(ctx)

	switch {
	case err != nil:
		return nil, store.Classify(err)
	case len(rows) > maxColumns:
		return nil, fault.Invalid("environments", "there are over %d environments: say which", maxColumns)
	case args.Environments != nil && len(rows) < len(unique(args.Environments)):
		return nil, missingEnvironment(ctx, client, args.Environments)
	}

	return rows, nil
}

func matrixRows(ctx context.Context, client *db.Client, args MatrixArgs) (*page.Page[*db.Service], error) {
	if err := store.Sought("owner", args.Owner); err != nil {
		return nil, err
	}

	where := []predicate.Service{service.ArchivedAtIsNil()}
	if args.Owner != nil {
		where = append(where, service.Owner(*args.Owner))
	}

	if len(args.Services) > page.Max {
		return nil, fault.Invalid("services", "want at most %d", page.Max)
	}

	if args.First != nil && *args.First > maxRows {
		return nil, fault.Invalid("first", "want a number from 0 to %d", maxRows)
	}

	if args.Services != nil {
		var names, ids []string

		for i, ref := range args.Services {
			if err := store.Sought(fmt.Sprintf("services[%d]", i), &ref); err != nil {
				return nil, err
			}

			if id.IsOf(ref, id.Service) {
				ids = append(ids, ref)
			} else {
				names = append(names, ref)
			}
		}

		where = append(where, service.Or(store.AnyOf(service.FieldID, ids), store.AnyOf(service.FieldName, names)))
	}

	order := page.Order[*db.Service]{
		Name: "matrix", Columns: []string{service.FieldName, service.FieldID},
		Key: func(s *db.Service) []any { return []any{s.Name, s.ID} },
	}

	p, err := order.Load(page.Args{First: args.First, After: args.After}, []any{args.Services, args.Owner}, func(restrict func(*entsql.Selector), limit int) ([]*db.Service, error) {
		return client.Service.Query().Where(where...).Where(restrict).Limit(limit).All(ctx)
	})
	if err != nil {
		return nil, store.Classify(err)
	}

	// All named services fit on one page: then each must be there.
	if args.Services != nil && args.After == nil && !p.PageInfo.HasNextPage && args.Owner == nil && len(p.Edges) < len(unique(args.Services)) {
		for i, ref := range args.Services {
			if _, err := catalog.FindService(ctx, client, fmt.Sprintf("services[%d]", i), ref); err != nil {
				return nil, err
			}
		}
	}

	return p, nil
}

func missingEnvironment(ctx context.Context, client *db.Client, refs []string) error {
	for i, ref := range refs {
		if _, err := catalog.FindEnvironment(ctx, client, fmt.Sprintf("environments[%d]", i), ref); err != nil {
			return err
		}
	}

	return nil
}

func unique(refs []string) map[string]bool {
	seen := make(map[string]bool, len(refs))
	for _, ref := range refs {
		seen[ref] = true
	}

	return seen
}
