package resolvers

import (
	"context"
	"time"

	"github.com/shiplog/shiplog/ent/db"
	"github.com/shiplog/shiplog/graph"
	"github.com/shiplog/shiplog/internal/access"
	"github.com/shiplog/shiplog/internal/catalog"
	"github.com/shiplog/shiplog/internal/contract"
	"github.com/shiplog/shiplog/internal/deployment"
	"github.com/shiplog/shiplog/internal/fault"
	"github.com/shiplog/shiplog/internal/id"
	"github.com/shiplog/shiplog/internal/journal"
	"github.com/shiplog/shiplog/internal/page"
)

// maxNodes bounds the ids of one nodes query.
const maxNodes = 100

type query struct{ *Resolver }

func (q query) Node(ctx context.Context, ref string) (contract.Node, error) {
	kind, err := id.Parse(ref)
	if err != nil {
		return nil, nil //nolint:nilnil,nilerr // null is the contract's answer to what is no id
	}

	l := load(ctx)

	switch kind {
	case id.Service:
		return node(l.service.Load(ctx, ref))
	case id.Version:
		return node(l.version.Load(ctx, ref))
	case id.Environment:
		return node(l.environment.Load(ctx, ref))
	case id.Target:
		return node(l.target.Load(ctx, ref))
	case id.Configuration:
		return node(l.revision.Load(ctx, ref))
	case id.Snapshot:
		return node(l.snapshot.Load(ctx, ref))
	case id.Deployment:
		return node(l.deployment.Load(ctx, ref))
	case id.Step:
		return node(l.step.Load(ctx, ref))
	case id.Check:
		return node(q.Store.Read.Check.Get(ctx, ref))
	case id.Rule:
		return node(l.rule.Load(ctx, ref))
	case id.Decision:
		return node(q.Store.Read.Decision.Get(ctx, ref))
	case id.Hold:
		return node(l.holdByID.Load(ctx, ref))
	case id.Event:
		return node(l.event.Load(ctx, ref))
	case id.Placement:
		return node(q.Engine.FindPlacement(ctx, q.Store.Read, ref))
	}

	return nil, nil //nolint:nilnil // null is the contract's answer
}

// node gives null, and no typed nil, where there is nothing.
func node[T any](v *T, err error) (contract.Node, error) {
	v, err = orNull(orNone(v, err))
	if err != nil || v == nil || db.IsNotFound(err) {
		return nil, ignoreNotFound(err)
	}

	return v, nil
}

func ignoreNotFound(err error) error {
	if db.IsNotFound(err) {
		return nil
	}

	return err
}

func (q query) Nodes(ctx context.Context, ids []string) ([]contract.Node, error) {
	if len(ids) > maxNodes {
		return nil, fault.Invalid("ids", "want at most %d", maxNodes)
	}

	nodes := make([]contract.Node, len(ids))

	for i, ref := range ids {
		var err error
		if nodes[i], err = q.Node(ctx, ref); err != nil {
			return nil, err
		}
	}

	return nodes, nil
}

func (q query) Service(ctx context.Context, name, catalogRef *string) (*db.Service, error) {
	s, err := orNull(catalog.ServiceBy(ctx, q.Store.Read, name, catalogRef))
	if err != nil || s == nil {
		return nil, err
	}

	load(ctx).service.keep(s.ID, s)

	return s, wanted(ctx, "Service").services([]*db.Service{s})
}

func (q query) Services(ctx context.Context, filter *catalog.ServiceFilter, first *int, after *string, last *int, before *string) (*contract.ServiceConnection, error) {
	return paged(ctx, q.Resolver, func(ctx context.Context, c *db.Client) (*page.Page[*db.Service], error) {
		return catalog.Services(ctx, c, filter, page.Args{First: first, After: after, Last: last, Before: before})
	})
}

func (q query) Version(ctx context.Context, service, name string) (*db.Version, error) {
	s, err := orNull(catalog.FindService(ctx, q.Store.Read, "service", service))
	if err != nil || s == nil {
		return nil, err
	}

	v, err := orNull(catalog.FindVersionAlone(ctx, q.Store.Read, "name", s, name))
	if err != nil || v == nil {
		return nil, err
	}

	load(ctx).service.keep(s.ID, s)
	load(ctx).version.keep(v.ID, v)

	return v, wanted(ctx, "Version").versions([]*db.Version{v})
}

func (q query) Environment(ctx context.Context, name string) (*db.Environment, error) {
	e, err := orNull(catalog.FindEnvironment(ctx, q.Store.Read, "name", name))
	if err != nil || e == nil {
		return nil, err
	}

	load(ctx).environment.keep(e.ID, e)

	return e, wanted(ctx, "Environment").environments([]*db.Environment{e})
}

func (q query) Environments(ctx context.Context, filter *catalog.EnvironmentFilter, first *int, after *string, last *int, before *string) (*contract.EnvironmentConnection, error) {
	return paged(ctx, q.Resolver, func(ctx context.Context, c *db.Client) (*page.Page[*db.Environment], error) {
		return catalog.Environments(ctx, c, filter, page.Args{First: first, After: after, Last: last, Before: before})
	})
}

func (q query) Deployment(ctx context.Context, ref string) (*db.Deployment, error) {
	d, err := orNull(deployment.Find(ctx, q.Store.Read, "id", ref))
	if err != nil || d == nil {
		return nil, err
	}

	return d, wanted(ctx, "Deployment").deployments([]*db.Deployment{d})
}

func (q query) Deployments(ctx context.Context, filter *deployment.Filter, first *int, after *string, last *int, before *string) (*contract.DeploymentConnection, error) {
	return q.deployments(ctx, filter, page.Args{First: first, After: after, Last: last, Before: before})
}

// deployments lists deployments under the filter.
func (r *Resolver) deployments(ctx context.Context, filter *deployment.Filter, args page.Args) (*contract.DeploymentConnection, error) {
	return paged(ctx, r, func(ctx context.Context, c *db.Client) (*page.Page[*db.Deployment], error) {
		return deployment.List(ctx, c, filter, args)
	})
}

func (q query) Placements(ctx context.Context, filter *deployment.PlacementFilter, at, asKnownAt *time.Time, first *int, after *string) (*contract.PlacementConnection, error) {
	return q.placements(ctx, filter, deployment.Moment{At: at, AsKnownAt: asKnownAt}, page.Args{First: first, After: after})
}

// placements lists placements under the filter.
func (r *Resolver) placements(ctx context.Context, filter *deployment.PlacementFilter, moment deployment.Moment, args page.Args) (*contract.PlacementConnection, error) {
	return pagedAt(ctx, r, placeOf, func(ctx context.Context, c *db.Client) (*page.Page[*deployment.Placement], error) {
		return r.Engine.Placements(ctx, c, filter, moment, args)
	})
}

func (q query) Matrix(ctx context.Context, services, environments []string, owner *string, at, asKnownAt *time.Time, first *int, after *string) (*deployment.Matrix, error) {
	args := deployment.MatrixArgs{
		Services: services, Environments: environments, Owner: owner, Moment: deployment.Moment{At: at, AsKnownAt: asKnownAt}, First: first, After: after,
	}

	var (
		m   *deployment.Matrix
		err error
	)

	if !asks(ctx, "position") {
		m, err = q.Engine.Matrix(ctx, q.Store.Read, args)
	} else {
		err = q.Store.ReadTx(ctx, func(ctx context.Context, c *db.Client) error {
			at, err := placeOf(ctx, c)
			if err != nil {
				return err
			}

			if m, err = q.Engine.Matrix(ctx, c, args); err == nil {
				m.Position = at
			}

			return err
		})
	}

	if err != nil {
		return nil, err
	}

	return m, prefetchMatrix(ctx, m)
}

func (q query) Rules(ctx context.Context, filter *deployment.RuleFilter, first *int, after *string) (*contract.RuleConnection, error) {
	return paged(ctx, q.Resolver, func(ctx context.Context, c *db.Client) (*page.Page[*db.Rule], error) {
		return deployment.Rules(ctx, c, filter, page.Args{First: first, After: after})
	})
}

func (q query) Rule(ctx context.Context, name string) (*db.Rule, error) {
	return orNull(catalog.FindRule(ctx, q.Store.Read, "name", name))
}

func (q query) EvaluateRules(ctx context.Context, service *string, version string) ([]*deployment.Evaluation, error) {
	return q.Engine.Evaluate(ctx, service, version)
}

func (q query) Events(ctx context.Context, filter *journal.Filter, first *int, after *string, last *int, before *string) (*contract.EventConnection, error) {
	return paged(ctx, q.Resolver, func(ctx context.Context, c *db.Client) (*page.Page[*db.Event], error) {
		return journal.List(ctx, c, filter, page.Args{First: first, After: after, Last: last, Before: before})
	})
}

func (q query) Viewer(ctx context.Context) (*graph.Viewer, error) {
	caller, err := access.From(ctx)
	if err != nil {
		return nil, err
	}

	v := &graph.Viewer{Actor: &caller.Actor, Operations: []string{}}
	for _, role := range caller.Roles {
		v.Roles = append(v.Roles, string(role))
	}

	for _, operation := range access.Operations() {
		if caller.May(operation) {
			v.Operations = append(v.Operations, operation)
		}
	}

	return v, nil
}
