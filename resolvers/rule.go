package resolvers

import (
	"context"

	"github.com/shiplog/shiplog/ent/db"
	deploymentrow "github.com/shiplog/shiplog/ent/db/deployment"
	"github.com/shiplog/shiplog/graph"
	"github.com/shiplog/shiplog/internal/contract"
	"github.com/shiplog/shiplog/internal/deployment"
	"github.com/shiplog/shiplog/internal/page"
)

type ruleFields struct{ *Resolver }

func (f ruleFields) SourceEnvironment(ctx context.Context, r *db.Rule) (*db.Environment, error) {
	return maybe(ctx, load(ctx).environment, r.SourceEnvironmentID)
}

func (f ruleFields) Kinds(_ context.Context, r *db.Rule) ([]deploymentrow.Kind, error) {
	kinds := make([]deploymentrow.Kind, len(r.Kinds))
	for i, kind := range r.Kinds {
		kinds[i] = deploymentrow.Kind(kind)
	}

	return kinds, nil
}

func (f ruleFields) Selector(_ context.Context, r *db.Rule) (*graph.ServiceSelector, error) {
	return &graph.ServiceSelector{Names: r.ServiceNames, Labels: r.ServiceLabels, Owners: r.ServiceOwners}, nil
}

func (f ruleFields) TargetEnvironment(ctx context.Context, r *db.Rule) (*db.Environment, error) {
	return load(ctx).environment.Load(ctx, r.TargetEnvironmentID)
}

func (f ruleFields) Decisions(ctx context.Context, r *db.Rule, first *int, after *string, last *int, before *string) (*contract.DecisionConnection, error) {
	return paged(ctx, f.Resolver, func(ctx context.Context, c *db.Client) (*page.Page[*db.Decision], error) {
		return deployment.Decisions(ctx, c, r.ID, page.Args{First: first, After: after, Last: last, Before: before})
	})
}

type decisionFields struct{}

func (decisionFields) Rule(ctx context.Context, d *db.Decision) (*db.Rule, error) {
	return load(ctx).rule.Load(ctx, d.RuleID)
}

func (decisionFields) Event(ctx context.Context, d *db.Decision) (*db.Event, error) {
	return orNone(load(ctx).event.Load(ctx, d.EventID))
}

func (decisionFields) Version(ctx context.Context, d *db.Decision) (*db.Version, error) {
	return load(ctx).version.Load(ctx, d.VersionID)
}

func (decisionFields) Environment(ctx context.Context, d *db.Decision) (*db.Environment, error) {
	return load(ctx).environment.Load(ctx, d.EnvironmentID)
}

func (decisionFields) Deployment(ctx context.Context, d *db.Decision) (*db.Deployment, error) {
	return maybe(ctx, load(ctx).deployment, d.DeploymentID)
}

type checkFields struct{}

func (checkFields) Version(ctx context.Context, c *db.Check) (*db.Version, error) {
	return load(ctx).version.Load(ctx, c.VersionID)
}

func (checkFields) Environment(ctx context.Context, c *db.Check) (*db.Environment, error) {
	return maybe(ctx, load(ctx).environment, c.EnvironmentID)
}

type eventFields struct{}

func (eventFields) Payload(ctx context.Context, e *db.Event) (any, error) {
	p, err := load(ctx).payload.Load(ctx, e.ID)
	if err != nil || p.Content == nil {
		return nil, err
	}

	return rawJSON(*p.Content), nil
}
