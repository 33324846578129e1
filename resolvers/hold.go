package resolvers

import (
	"context"
	"errors"

	"github.com/shiplog/shiplog/ent/db"
	"github.com/shiplog/shiplog/internal/contract"
	"github.com/shiplog/shiplog/internal/deployment"
	"github.com/shiplog/shiplog/internal/journal"
	"github.com/shiplog/shiplog/internal/page"
)

func (q query) Holds(ctx context.Context, filter *deployment.HoldFilter, first *int, after *string, last *int, before *string) (*contract.HoldConnection, error) {
	return paged(ctx, q.Resolver, func(ctx context.Context, c *db.Client) (*page.Page[*db.Hold], error) {
		return deployment.Holds(ctx, c, filter, page.Args{First: first, After: after, Last: last, Before: before})
	})
}

type holdFields struct{}

func (holdFields) Service(ctx context.Context, h *db.Hold) (*db.Service, error) {
	return load(ctx).service.Load(ctx, h.ServiceID)
}

func (holdFields) Environment(ctx context.Context, h *db.Hold) (*db.Environment, error) {
	return load(ctx).environment.Load(ctx, h.EnvironmentID)
}

func (holdFields) Actor(_ context.Context, h *db.Hold) (*journal.Actor, error) {
	return actor(h.ActorKind, h.ActorIssuer, h.ActorSubject, h.ActorDisplay)
}

func (holdFields) Deployment(ctx context.Context, h *db.Hold) (*db.Deployment, error) {
	return maybe(ctx, load(ctx).deployment, h.DeploymentID)
}

func (holdFields) ReleasedBy(_ context.Context, h *db.Hold) (*journal.Actor, error) {
	if h.ReleasedAt == nil {
		return nil, nil //nolint:nilnil // null is the contract's answer
	}

	return actor(value(h.ReleasedByKind), value(h.ReleasedByIssuer), value(h.ReleasedBySubject), value(h.ReleasedByDisplay))
}

func (f placementFields) Hold(ctx context.Context, p *deployment.Placement) (*db.Hold, error) {
	if p.Past {
		return nil, nil //nolint:nilnil // null is the contract's answer
	}

	return orNone(load(ctx).hold.Load(ctx, p.ID))
}

func (w want) holds(rows []*db.Hold) error {
	if w.empty() || len(rows) == 0 {
		return nil
	}

	l := load(w.ctx)

	return errors.Join(
		follow(w, "service", "Service", l.service, keysOf(rows, func(h *db.Hold) string { return h.ServiceID }), want.services),
		follow(w, "environment", "Environment", l.environment, keysOf(rows, func(h *db.Hold) string { return h.EnvironmentID }), want.environments),
		follow(w, "deployment", "Deployment", l.deployment, keysOf(rows, func(h *db.Hold) string { return value(h.DeploymentID) }), want.deployments),
	)
}
