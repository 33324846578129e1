package deployment

import (
	"context"
	"slices"
	"time"

	entsql "entgo.io/ent/dialect/sql"

	"github.com/shiplog/shiplog/ent/db"
	"github.com/shiplog/shiplog/ent/db/decision"
	"github.com/shiplog/shiplog/ent/db/deployment"
	"github.com/shiplog/shiplog/ent/db/environment"
	"github.com/shiplog/shiplog/ent/db/predicate"
	"github.com/shiplog/shiplog/ent/db/rule"
	"github.com/shiplog/shiplog/ent/db/service"
	"github.com/shiplog/shiplog/ent/db/version"
	"github.com/shiplog/shiplog/internal/catalog"
	"github.com/shiplog/shiplog/internal/fault"
	"github.com/shiplog/shiplog/internal/id"
	"github.com/shiplog/shiplog/internal/page"
	"github.com/shiplog/shiplog/internal/spec"
	"github.com/shiplog/shiplog/internal/store"
)

// TimeRange is a span of time, from inclusive, to exclusive.
type TimeRange struct {
	From *time.Time
	To   *time.Time
}

// Filter selects deployments; what is given must all hold.
type Filter struct {
	Service              *string
	Environment          *string
	Tier                 *environment.Tier
	Version              *string
	Status               []deployment.Status
	Kind                 []deployment.Kind
	Cause                []deployment.Cause
	Actor                *string
	CreatedAfter         *time.Time
	CreatedBefore        *time.Time
	ActedBetween         *TimeRange
	BecameCurrentBetween *TimeRange
	Owner                *string
	Labels               map[string]string
	Archived             *bool
}

// Predicates resolves the filter. Errors: NOT_FOUND, INVALID_INPUT with the
// field below "filter".
func (f *Filter) Predicates(ctx context.Context, client *db.Client) ([]predicate.Deployment, error) {
	if f == nil {
		return nil, nil
	}

	var where []predicate.Deployment

	serviceID := ""

	if f.Service != nil {
		s, err := catalog.FindService(ctx, client, "filter.service", *f.Service)
		if err != nil {
			return nil, err
		}

		serviceID = s.ID
		where = append(where, deployment.ServiceID(s.ID))
	}

	if f.Environment != nil {
		e, err := catalog.FindEnvironment(ctx, client, "filter.environment", *f.Environment)
		if err != nil {
			return nil, err
		}

		where = append(where, deployment.EnvironmentID(e.ID))
	}

	if f.Version != nil {
		ids, err := versionIDs(ctx, client, serviceID, *f.Version)
		if err != nil {
			return nil, err
		}

		where = append(where, store.AnyOf(deployment.FieldVersionID, ids))
	}

	if f.Tier != nil {
		where = append(where, deployment.HasEnvironmentWith(environment.TierEQ(*f.Tier)))
	}

	if len(f.Status) > 0 {
		where = append(where, deployment.StatusIn(f.Status...))

		// The unfinished are few and have an index of their own.
		if !slices.ContainsFunc(f.Status, Final) {
			where = append(where, deployment.FinishedAtIsNil())
		}
	}

	if len(f.Kind) > 0 {
		where = append(where, deployment.KindIn(f.Kind...))
	}

	if len(f.Cause) > 0 {
		where = append(where, deployment.CauseIn(f.Cause...))
	}

	if err := store.Sought("filter.actor", f.Actor); err != nil {
		return nil, err
	}

	if f.Actor != nil {
		where = append(where, deployment.ActorSubject(*f.Actor))
	}

	where = append(where, f.times()...)

	services, err := f.services()
	if len(services) > 0 {
		where = append(where, deployment.HasServiceWith(services...))
	}

	return where, err
}

func (f *Filter) times() (where []predicate.Deployment) {
	if f.CreatedAfter != nil {
		where = append(where, deployment.CreatedAtGTE(f.CreatedAfter.UTC()))
	}

	if f.CreatedBefore != nil {
		where = append(where, deployment.CreatedAtLT(f.CreatedBefore.UTC()))
	}

	for _, span := range []struct {
		r        *TimeRange
		from, to func(time.Time) predicate.Deployment
	}{
		{f.ActedBetween, deployment.ActedAtGTE, deployment.ActedAtLT},
		{f.BecameCurrentBetween, deployment.BecameCurrentAtGTE, deployment.BecameCurrentAtLT},
	} {
		if span.r != nil && span.r.From != nil {
			where = append(where, span.from(span.r.From.UTC()))
		}

		if span.r != nil && span.r.To != nil {
			where = append(where, span.to(span.r.To.UTC()))
		}
	}

	return where
}

func (f *Filter) services() (where []predicate.Service, err error) {
	if err := spec.ValidateLabels("filter.labels", f.Labels); err != nil {
		return nil, err
	}

	if err := store.Sought("filter.owner", f.Owner); err != nil {
		return nil, err
	}

	if f.Owner != nil {
		where = append(where, service.Owner(*f.Owner))
	}

	if len(f.Labels) > 0 {
		where = append(where, store.HasLabels(f.Labels))
	}

	if f.Archived != nil {
		if *f.Archived {
			where = append(where, service.ArchivedAtNotNil())
		} else {
			where = append(where, service.ArchivedAtIsNil())
		}
	}

	return where, nil
}

// versionIDs resolves a version by id, or by name within a service or in all.
func versionIDs(ctx context.Context, client *db.Client, serviceID, ref string) ([]string, error) {
	if id.IsOf(ref, id.Version) {
		return []string{ref}, nil
	}

	if err := spec.ValidateVersionName("filter.version", ref); err != nil {
		return nil, err
	}

	query := client.Version.Query().Where(version.Name(ref))
	if serviceID != "" {
		query.Where(version.ServiceID(serviceID))
	}

	ids, err := query.Limit(page.Max + 1).IDs(ctx)
	if err == nil && len(ids) > page.Max {
		return nil, fault.Invalid("filter.version", "over %d services have a version %q: give the service too", page.Max, ref)
	}

	return ids, store.Classify(err)
}

// List lists deployments, newest first.
func List(ctx context.Context, client *db.Client, filter *Filter, args page.Args) (*page.Page[*db.Deployment], error) {
	where, err := filter.Predicates(ctx, client)
	if err != nil {
		return nil, err
	}

	order := page.Order[*db.Deployment]{
		Name: "deployments", Columns: []string{deployment.FieldOccurredAt, deployment.FieldID}, Desc: true,
		Key: func(d *db.Deployment) []any { return []any{d.OccurredAt, d.ID} },
	}

	p, err := order.Load(args, filter, func(restrict func(*entsql.Selector), limit int) ([]*db.Deployment, error) {
		return client.Deployment.Query().Where(where...).Where(restrict).Limit(limit).All(ctx)
	})
	if err != nil {
		return nil, store.Classify(err)
	}

	p.Count = func(ctx context.Context) (int, error) { return client.Deployment.Query().Where(where...).Count(ctx) }

	return p, nil
}

// RuleFilter selects rules.
type RuleFilter struct {
	Environment *string
	Archived    *bool
}

// Rules lists rules by name.
func Rules(ctx context.Context, client *db.Client, filter *RuleFilter, args page.Args) (*page.Page[*db.Rule], error) {
	if filter == nil {
		filter = &RuleFilter{}
	}

	var where []predicate.Rule
	if !value(filter.Archived) {
		where = append(where, rule.DeletedAtIsNil())
	}

	if filter.Environment != nil {
		e, err := catalog.FindEnvironment(ctx, client, "filter.environment", *filter.Environment)
		if err != nil {
			return nil, err
		}

		where = append(where, rule.TargetEnvironmentID(e.ID))
	}

	order := page.Order[*db.Rule]{
		Name: "rules", Columns: []string{rule.FieldName, rule.FieldID},
		Key: func(r *db.Rule) []any { return []any{r.Name, r.ID} },
	}

	p, err := order.Load(args, filter, func(restrict func(*entsql.Selector), limit int) ([]*db.Rule, error) {
		return client.Rule.Query().Where(where...).Where(restrict).Limit(limit).All(ctx)
	})
	if err != nil {
		return nil, store.Classify(err)
	}

	p.Count = func(ctx context.Context) (int, error) { return client.Rule.Query().Where(where...).Count(ctx) }

	return p, nil
}

// Decisions lists what a rule decided, newest first.
func Decisions(ctx context.Context, client *db.Client, ruleID string, args page.Args) (*page.Page[*db.Decision], error) {
	query := client.Decision.Query().Where(decision.RuleID(ruleID))
	order := page.Order[*db.Decision]{
		Name: "decisions", Columns: []string{decision.FieldCreatedAt, decision.FieldID}, Desc: true,
		Key: func(d *db.Decision) []any { return []any{d.CreatedAt, d.ID} },
	}

	p, err := order.Load(args, ruleID, func(restrict func(*entsql.Selector), limit int) ([]*db.Decision, error) {
		return query.Clone().Where(restrict).Limit(limit).All(ctx)
	})
	if err != nil {
		return nil, store.Classify(err)
	}

	p.Count = func(ctx context.Context) (int, error) { return query.Clone().Count(ctx) }

	return p, nil
}
