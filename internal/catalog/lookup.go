package catalog

import (
	"context"
	"unicode/utf8"

	"github.com/shiplog/shiplog/ent/db"
	"github.com/shiplog/shiplog/ent/db/environment"
	"github.com/shiplog/shiplog/ent/db/rule"
	"github.com/shiplog/shiplog/ent/db/service"
	"github.com/shiplog/shiplog/ent/db/version"
	"github.com/shiplog/shiplog/internal/fault"
	"github.com/shiplog/shiplog/internal/id"
	"github.com/shiplog/shiplog/internal/store"
)

// maxReference bounds a name or id that refers to something.
const maxReference = 200

// plain refuses what no name or id can be, before a database sees it.
func plain(field, ref string) error {
	if ref == "" || len(ref) > maxReference || !utf8.ValidString(ref) || !printable(ref) {
		return fault.Invalid(field, "want a name or an id")
	}

	return nil
}

func printable(s string) bool {
	for _, r := range s {
		if r < ' ' || r == 0x7f {
			return false
		}
	}

	return true
}

// FindService gives a service by name (unarchived) or id. Errors: NOT_FOUND
// with the field.
func FindService(ctx context.Context, client *db.Client, field, ref string) (*db.Service, error) {
	if err := plain(field, ref); err != nil {
		return nil, err
	}

	where := service.And(service.Name(ref), service.ArchivedAtIsNil())
	if id.IsOf(ref, id.Service) {
		where = service.ID(ref)
	}

	return found(client.Service.Query().Where(where).Only(ctx))(field, "service", ref)
}

// FindEnvironment gives an environment, with its target, by name (unarchived)
// or id. Errors: NOT_FOUND with the field.
func FindEnvironment(ctx context.Context, client *db.Client, field, ref string) (*db.Environment, error) {
	if err := plain(field, ref); err != nil {
		return nil, err
	}

	where := environment.And(environment.Name(ref), environment.ArchivedAtIsNil())
	if id.IsOf(ref, id.Environment) {
		where = environment.ID(ref)
	}

	return found(client.Environment.Query().Where(where).WithTarget().Only(ctx))(field, "environment", ref)
}

// FindVersion gives a version, with its images, of the service by name or id.
// Errors: NOT_FOUND with the field.
func FindVersion(ctx context.Context, client *db.Client, field string, of *db.Service, ref string) (*db.Version, error) {
	return findVersion(ctx, client.Version.Query().WithImages(), field, of, ref)
}

// FindVersionAlone is FindVersion without the images.
func FindVersionAlone(ctx context.Context, client *db.Client, field string, of *db.Service, ref string) (*db.Version, error) {
	return findVersion(ctx, client.Version.Query(), field, of, ref)
}

func findVersion(ctx context.Context, query *db.VersionQuery, field string, of *db.Service, ref string) (*db.Version, error) {
	if err := plain(field, ref); err != nil {
		return nil, err
	}

	where := version.Name(ref)
	if id.IsOf(ref, id.Version) {
		where = version.ID(ref)
	}

	return found(query.Where(where, version.ServiceID(of.ID)).Only(ctx))(field, "version", ref)
}

// FindRule gives a rule by name (undeleted) or id. Errors: NOT_FOUND with the
// field.
func FindRule(ctx context.Context, client *db.Client, field, ref string) (*db.Rule, error) {
	if err := plain(field, ref); err != nil {
		return nil, err
	}

	where := rule.And(rule.Name(ref), rule.DeletedAtIsNil())
	if id.IsOf(ref, id.Rule) {
		where = rule.ID(ref)
	}

	return found(client.Rule.Query().Where(where).Only(ctx))(field, "rule", ref)
}

// found turns ent's "not found" into a refusal that names field and reference.
func found[T any](row T, err error) func(field, noun, ref string) (T, error) {
	return func(field, noun, ref string) (T, error) {
		var none T

		switch {
		case db.IsNotFound(err):
			return none, fault.Missing(field, "there is no %s %q", noun, ref)
		case err != nil:
			return none, store.Classify(err)
		}

		return row, nil
	}
}

// LockService locks the row until the transaction ends: registrations of one
// service are one after the other.
func LockService(ctx context.Context, tx *store.Tx, serviceID string) (*db.Service, error) {
	return tx.Service.Query().Where(service.ID(serviceID), tx.Lock).Only(ctx)
}
