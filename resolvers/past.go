package resolvers

import (
	"context"
	"errors"

	"github.com/shiplog/shiplog/ent/db"
	"github.com/shiplog/shiplog/graph"
	"github.com/shiplog/shiplog/internal/contract"
	"github.com/shiplog/shiplog/internal/deployment"
	"github.com/shiplog/shiplog/internal/id"
	"github.com/shiplog/shiplog/internal/page"
)

func (q query) Changes(ctx context.Context, scope *deployment.Scope, between deployment.TimeRange, kinds []deployment.ScopeChangeKind, first *int, after *string, last *int, before *string) (*contract.ScopeChangeConnection, error) {
	in := deployment.ChangesArgs{Scope: scope, Between: between, Kinds: kinds}

	return paged(ctx, q.Resolver, func(ctx context.Context, c *db.Client) (*page.Page[*deployment.ScopeChange], error) {
		return q.Engine.Changes(ctx, c, in, page.Args{First: first, After: after, Last: last, Before: before})
	})
}

func (q query) DeliveryMetrics(ctx context.Context, scope *deployment.Scope, between deployment.TimeRange) (*deployment.DeliveryMetrics, error) {
	return q.Engine.DeliveryMetrics(ctx, q.Store.Read, scope, between)
}

type scopeChangeFields struct{ *Resolver }

func (f scopeChangeFields) Service(ctx context.Context, c *deployment.ScopeChange) (*db.Service, error) {
	return maybe(ctx, load(ctx).service, c.ServiceID)
}

func (f scopeChangeFields) Environment(ctx context.Context, c *deployment.ScopeChange) (*db.Environment, error) {
	return maybe(ctx, load(ctx).environment, c.EnvironmentID)
}

func (f scopeChangeFields) Subject(ctx context.Context, c *deployment.ScopeChange) (contract.Node, error) {
	return query(f).Node(ctx, c.SubjectID)
}

func (f scopeChangeFields) Event(ctx context.Context, c *deployment.ScopeChange) (*db.Event, error) {
	return maybe(ctx, load(ctx).event, c.EventID)
}

// changes prefetches for the entries of a list of changes.
func (w want) changes(rows []*deployment.ScopeChange) error {
	l := load(w.ctx)
	services := keysOf(rows, func(c *deployment.ScopeChange) string { return value(c.ServiceID) })
	environments := keysOf(rows, func(c *deployment.ScopeChange) string { return value(c.EnvironmentID) })
	events := keysOf(rows, func(c *deployment.ScopeChange) string { return value(c.EventID) })

	if err := follow(w, "service", "Service", l.service, services, want.services); err != nil {
		return err
	}

	if err := follow(w, "environment", "Environment", l.environment, environments, want.environments); err != nil {
		return err
	}

	if err := w.subjects(rows); err != nil {
		return err
	}

	return follow(w, "event", "Event", l.event, events, want.events)
}

// subjects prefetches what changes are about, a statement for each type.
func (w want) subjects(rows []*deployment.ScopeChange) error {
	if !w.has("subject") {
		return nil
	}

	of := map[id.Kind][]string{}

	for _, c := range rows {
		if kind, err := id.Parse(c.SubjectID); err == nil { // what is no id has no subject
			of[kind] = append(of[kind], c.SubjectID)
		}
	}

	l := load(w.ctx)

	return errors.Join(
		l.deployment.prefetch(w.ctx, of[id.Deployment]),
		l.revision.prefetch(w.ctx, of[id.Configuration]),
		l.holdByID.prefetch(w.ctx, of[id.Hold]),
		l.environment.prefetch(w.ctx, of[id.Environment]),
		l.version.prefetch(w.ctx, of[id.Version]),
		l.service.prefetch(w.ctx, of[id.Service]),
		l.rule.prefetch(w.ctx, of[id.Rule]),
	)
}

type journeyStayFields struct{ *Resolver }

func (f journeyStayFields) Deployment(ctx context.Context, s *deployment.JourneyStay) (*db.Deployment, error) {
	return load(ctx).deployment.Load(ctx, s.DeploymentID)
}

func (f journeyStayFields) EndedBy(ctx context.Context, s *deployment.JourneyStay) (*db.Deployment, error) {
	return maybe(ctx, load(ctx).deployment, s.EndedByID)
}

// counted pages through the deployments of a figure.
func (r *Resolver) counted(ctx context.Context, c deployment.Counted, first *int, after *string) (*contract.DeploymentConnection, error) {
	return paged(ctx, r, func(ctx context.Context, client *db.Client) (*page.Page[*db.Deployment], error) {
		return c.Deployments(ctx, client, page.Args{First: first, After: after})
	})
}

type frequencyFields struct{ *Resolver }

func (f frequencyFields) Deployments(ctx context.Context, m *deployment.DeploymentFrequency, first *int, after *string) (*contract.DeploymentConnection, error) {
	return f.counted(ctx, m.Counted, first, after)
}

type leadTimeFields struct{ *Resolver }

func (f leadTimeFields) Deployments(ctx context.Context, m *deployment.LeadTime, first *int, after *string) (*contract.DeploymentConnection, error) {
	return f.counted(ctx, m.Counted, first, after)
}

type failureRateFields struct{ *Resolver }

func (f failureRateFields) Deployments(ctx context.Context, m *deployment.ChangeFailureRate, first *int, after *string) (*contract.DeploymentConnection, error) {
	return f.counted(ctx, m.Counted, first, after)
}

type restoreFields struct{ *Resolver }

func (f restoreFields) Deployments(ctx context.Context, m *deployment.TimeToRestore, first *int, after *string) (*contract.DeploymentConnection, error) {
	return f.counted(ctx, m.Counted, first, after)
}

// ScopeChange resolves what is no field of a change.
func (r *Resolver) ScopeChange() graph.ScopeChangeResolver { return scopeChangeFields{r} }

// JourneyStay resolves what is no field of a stay.
func (r *Resolver) JourneyStay() graph.JourneyStayResolver { return journeyStayFields{r} }

// DeploymentFrequency resolves what it counted.
func (r *Resolver) DeploymentFrequency() graph.DeploymentFrequencyResolver { return frequencyFields{r} }

// LeadTime resolves what it counted.
func (r *Resolver) LeadTime() graph.LeadTimeResolver { return leadTimeFields{r} }

// ChangeFailureRate resolves what it counted.
func (r *Resolver) ChangeFailureRate() graph.ChangeFailureRateResolver { return failureRateFields{r} }

// TimeToRestore resolves what it counted.
func (r *Resolver) TimeToRestore() graph.TimeToRestoreResolver { return restoreFields{r} }
