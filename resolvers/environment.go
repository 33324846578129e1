package resolvers

import (
	"context"
	"time"

	"github.com/shiplog/shiplog/ent/db"
	"github.com/shiplog/shiplog/internal/catalog"
	"github.com/shiplog/shiplog/internal/contract"
	"github.com/shiplog/shiplog/internal/deployment"
	"github.com/shiplog/shiplog/internal/page"
)

type environmentFields struct{ *Resolver }

func (f environmentFields) Target(ctx context.Context, e *db.Environment) (*db.Target, error) {
	return load(ctx).target.Load(ctx, e.TargetID)
}

func (f environmentFields) Placements(ctx context.Context, e *db.Environment, at *time.Time, first *int, after *string) (*contract.PlacementConnection, error) {
	return f.placements(ctx, &deployment.PlacementFilter{Environment: &e.ID}, deployment.Moment{At: at}, page.Args{First: first, After: after})
}

func (f environmentFields) Deployments(ctx context.Context, e *db.Environment, filter *deployment.Filter, first *int, after *string, last *int, before *string) (*contract.DeploymentConnection, error) {
	if filter == nil {
		filter = &deployment.Filter{}
	}

	of := *filter
	of.Environment = &e.ID

	return f.deployments(ctx, &of, page.Args{First: first, After: after, Last: last, Before: before})
}

func (f environmentFields) Configuration(ctx context.Context, e *db.Environment) (*db.Configuration, error) {
	return orNone(load(ctx).configuration.Load(ctx, catalog.LayerKey("", e.ID)))
}
