package catalog

import (
	"cmp"
	"context"
	"strings"

	entsql "entgo.io/ent/dialect/sql"

	"github.com/shiplog/shiplog/ent/db"
	"github.com/shiplog/shiplog/ent/db/check"
	"github.com/shiplog/shiplog/ent/db/environment"
	"github.com/shiplog/shiplog/ent/db/predicate"
	"github.com/shiplog/shiplog/ent/db/service"
	"github.com/shiplog/shiplog/ent/db/version"
	"github.com/shiplog/shiplog/internal/fault"
	"github.com/shiplog/shiplog/internal/page"
	"github.com/shiplog/shiplog/internal/spec"
	"github.com/shiplog/shiplog/internal/store"
)

// ServiceFilter selects services.
type ServiceFilter struct {
	Owner    *string
	Labels   map[string]string
	Archived *bool
	Search   *string
}

// EnvironmentFilter selects environments.
type EnvironmentFilter struct {
	Owner    *string
	Labels   map[string]string
	Archived *bool
	Tier     *environment.Tier
}

func (f *ServiceFilter) predicates() ([]predicate.Service, error) {
	if f == nil {
		f = &ServiceFilter{}
	}

	if err := spec.ValidateLabels("filter.labels", f.Labels); err != nil {
		return nil, err
	}

	if err := cmp.Or(store.Sought("filter.owner", f.Owner), store.Sought("filter.search", f.Search)); err != nil {
		return nil, err
	}

	where := []predicate.Service{service.ArchivedAtIsNil()}
	if value(f.Archived) {
		where[0] = service.ArchivedAtNotNil()
	}

	if f.Owner != nil {
		where = append(where, service.Owner(*f.Owner))
	}

	if len(f.Labels) > 0 {
		where = append(where, store.HasLabels(f.Labels))
	}

	if search := value(f.Search); search != "" {
		where = append(where, service.Or(service.NameContainsFold(search), service.TitleContainsFold(search)))
	}

	return where, nil
}

// Services lists services by name.
func Services(ctx context.Context, client *db.Client, filter *ServiceFilter, args page.Args) (*page.Page[*db.Service], error) {
	where, err := filter.predicates()
	if err != nil {
		return nil, err
	}

	order := page.Order[*db.Service]{
		Name: "services", Columns: []string{service.FieldName, service.FieldID},
		Key: func(s *db.Service) []any { return []any{s.Name, s.ID} },
	}

	p, err := order.Load(args, filter, func(restrict func(*entsql.Selector), limit int) ([]*db.Service, error) {
		return client.Service.Query().Where(where...).Where(restrict).Limit(limit).All(ctx)
	})
	if err != nil {
		return nil, store.Classify(err)
	}

	p.Count = func(ctx context.Context) (int, error) { return client.Service.Query().Where(where...).Count(ctx) }

	return p, nil
}

// Environments lists environments by rank.
func Environments(ctx context.Context, client *db.Client, filter *EnvironmentFilter, args page.Args) (*page.Page[*db.Environment], error) {
	if filter == nil {
		filter = &EnvironmentFilter{}
	}

	if err := spec.ValidateLabels("filter.labels", filter.Labels); err != nil {
		return nil, err
	}

	if err := store.Sought("filter.owner", filter.Owner); err != nil {
		return nil, err
	}

	where := []predicate.Environment{environment.ArchivedAtIsNil()}
	if value(filter.Archived) {
		where[0] = environment.ArchivedAtNotNil()
	}

	if filter.Owner != nil {
		where = append(where, environment.Owner(*filter.Owner))
	}

	if filter.Tier != nil {
		where = append(where, environment.TierEQ(*filter.Tier))
	}

	if len(filter.Labels) > 0 {
		where = append(where, store.HasLabels(filter.Labels))
	}

	order := page.Order[*db.Environment]{
		Name: "environments", Columns: []string{environment.FieldRank, environment.FieldName, environment.FieldID},
		Key: func(e *db.Environment) []any { return []any{int64(e.Rank), e.Name, e.ID} },
	}

	p, err := order.Load(args, filter, func(restrict func(*entsql.Selector), limit int) ([]*db.Environment, error) {
		return client.Environment.Query().Where(where...).Where(restrict).Limit(limit).All(ctx)
	})
	if err != nil {
		return nil, store.Classify(err)
	}

	p.Count = func(ctx context.Context) (int, error) { return client.Environment.Query().Where(where...).Count(ctx) }

	return p, nil
}

// Versions lists the versions of a service, newest first.
func Versions(ctx context.Context, client *db.Client, serviceID string, args page.Args) (*page.Page[*db.Version], error) {
	order := page.Order[*db.Version]{
		Name: "versions", Columns: []string{version.FieldBuiltAt, version.FieldID}, Desc: true,
		Key: func(v *db.Version) []any { return []any{v.BuiltAt, v.ID} },
	}
	query := client.Version.Query().Where(version.ServiceID(serviceID))

	p, err := order.Load(args, serviceID, func(restrict func(*entsql.Selector), limit int) ([]*db.Version, error) {
		return query.Clone().Where(restrict).Limit(limit).All(ctx)
	})
	if err != nil {
		return nil, store.Classify(err)
	}

	p.Count = func(ctx context.Context) (int, error) { return query.Clone().Count(ctx) }

	return p, nil
}

// maxChecks bounds the checks of a version that are shown at once.
const maxChecks = 1000

// Checks lists the checks reported for versions, newest first, in one
// environment or, when it is "", in all.
func Checks(ctx context.Context, client *db.Client, versionIDs []string, environmentRef string) ([]*db.Check, error) {
	query := client.Check.Query().Where(store.AnyOf(check.FieldVersionID, versionIDs)).
		Order(db.Desc(check.FieldCreatedAt), db.Desc(check.FieldID)).Limit(maxChecks * len(versionIDs))

	if environmentRef != "" {
		e, err := FindEnvironment(ctx, client, "environment", environmentRef)
		if err != nil {
			return nil, err
		}

		query.Where(check.EnvironmentID(e.ID))
	}

	rows, err := query.All(ctx)

	return rows, store.Classify(err)
}

// ServiceBy finds a service by exactly one of name (or id) and catalogue
// entity. Errors: NOT_FOUND; INVALID_INPUT.
func ServiceBy(ctx context.Context, client *db.Client, ref, catalogRef *string) (*db.Service, error) {
	switch {
	case (ref == nil) == (catalogRef == nil):
		return nil, fault.Invalid("name", "want exactly one of name and catalogRef")
	case ref != nil:
		return FindService(ctx, client, "name", *ref)
	}

	if err := spec.ValidateEntityRef("catalogRef", *catalogRef); err != nil {
		return nil, err
	}

	// Entity refs are compared without case.
	row, err := client.Service.Query().Where(service.CatalogRefEqualFold(strings.TrimSpace(*catalogRef)), service.ArchivedAtIsNil()).
		Order(service.ByName()).First(ctx)

	return found(row, err)("catalogRef", "service", *catalogRef)
}
