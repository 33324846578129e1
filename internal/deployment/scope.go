package deployment

import (
	"cmp"
	"context"

	"github.com/shiplog/shiplog/ent/db"
	"github.com/shiplog/shiplog/ent/db/environment"
	"github.com/shiplog/shiplog/internal/catalog"
	"github.com/shiplog/shiplog/internal/fault"
	"github.com/shiplog/shiplog/internal/store"
)

// Scope selects services in environments; what is given must all hold.
type Scope struct {
	Tier        *environment.Tier
	Environment *string
	Owner       *string
	Service     *string
}

// scoped is a scope with what it refers to.
type scoped struct {
	tier                          *environment.Tier
	environmentID, owner, service *string
}

// resolve finds what the scope refers to by name. Errors: NOT_FOUND,
// INVALID_INPUT with the field below "scope".
func (s *Scope) resolve(ctx context.Context, client *db.Client) (scoped, error) {
	if s == nil {
		return scoped{}, nil
	}

	found := scoped{tier: s.Tier, owner: s.Owner}

	if err := cmp.Or(store.Sought("scope.owner", s.Owner), store.Sought("scope.environment", s.Environment), store.Sought("scope.service", s.Service)); err != nil {
		return found, err
	}

	if s.Environment != nil {
		row, err := catalog.FindEnvironment(ctx, client, "scope.environment", *s.Environment)
		if err != nil {
			return found, err
		}

		found.environmentID = &row.ID
	}

	if s.Service != nil {
		row, err := catalog.FindService(ctx, client, "scope.service", *s.Service)
		if err != nil {
			return found, err
		}

		found.service = &row.ID
	}

	return found, nil
}

func (s scoped) ofEnvironments() bool { return s.tier != nil || s.environmentID != nil }
func (s scoped) ofServices() bool     { return s.owner != nil || s.service != nil }

// environments restricts a column to the environments of the scope.
func (s scoped) environments(query *store.Query, column string) {
	if s.environmentID != nil {
		query.Add(" AND "+column+" = ?", *s.environmentID)
	}

	if s.tier != nil {
		query.Add(" AND "+column+" IN (SELECT id FROM environments WHERE tier = ?)", string(*s.tier))
	}
}

// services restricts a column to the services of the scope.
func (s scoped) services(query *store.Query, column string) {
	if s.service != nil {
		query.Add(" AND "+column+" = ?", *s.service)
	}

	if s.owner != nil {
		query.Add(" AND "+column+" IN (SELECT id FROM services WHERE owner = ?)", *s.owner)
	}
}

// ordered refuses a span that ends before it begins.
func (r TimeRange) ordered(field string) error {
	if r.From != nil && r.To != nil && r.To.Before(*r.From) {
		return fault.Invalid(field, "want a span that does not end before it begins")
	}

	return nil
}
