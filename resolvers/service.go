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

type serviceFields struct{ *Resolver }

func (f serviceFields) Versions(ctx context.Context, s *db.Service, first *int, after *string, last *int, before *string) (*contract.VersionConnection, error) {
	return paged(ctx, f.Resolver, func(ctx context.Context, c *db.Client) (*page.Page[*db.Version], error) {
		return catalog.Versions(ctx, c, s.ID, page.Args{First: first, After: after, Last: last, Before: before})
	})
}

func (f serviceFields) Deployments(ctx context.Context, s *db.Service, filter *deployment.Filter, first *int, after *string, last *int, before *string) (*contract.DeploymentConnection, error) {
	if filter == nil {
		filter = &deployment.Filter{}
	}

	of := *filter
	of.Service = &s.ID

	return f.deployments(ctx, &of, page.Args{First: first, After: after, Last: last, Before: before})
}

func (f serviceFields) Placements(ctx context.Context, s *db.Service, at *time.Time) ([]*deployment.Placement, error) {
	found, err := load(ctx).placementsOf.Load(ctx, keyWith(s.ID, atKey(at)))
	if err != nil {
		return nil, err
	}

	return found, wanted(ctx, "Placement").placements(found)
}

func (f serviceFields) Configuration(ctx context.Context, s *db.Service) (*db.Configuration, error) {
	return orNone(load(ctx).configuration.Load(ctx, catalog.LayerKey(s.ID, "")))
}

type configurationFields struct{ *Resolver }

func (f configurationFields) Service(ctx context.Context, c *db.Configuration) (*db.Service, error) {
	return maybe(ctx, load(ctx).service, c.ServiceID)
}

func (f configurationFields) Environment(ctx context.Context, c *db.Configuration) (*db.Environment, error) {
	return maybe(ctx, load(ctx).environment, c.EnvironmentID)
}

func (f configurationFields) Content(ctx context.Context, c *db.Configuration) (any, error) {
	document, err := load(ctx).document.Load(ctx, c.ContentDigest)
	if err != nil {
		return nil, err
	}

	return rawJSON(document.Content), nil
}
