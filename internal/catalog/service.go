package catalog

import (
	"context"
	"maps"

	"github.com/99designs/gqlgen/graphql"

	"github.com/shiplog/shiplog/ent/db"
	"github.com/shiplog/shiplog/ent/db/service"
	"github.com/shiplog/shiplog/internal/access"
	"github.com/shiplog/shiplog/internal/fault"
	"github.com/shiplog/shiplog/internal/id"
	"github.com/shiplog/shiplog/internal/spec"
	"github.com/shiplog/shiplog/internal/store"
)

// maxLine bounds titles and reasons, in bytes.
const (
	maxTitle  = 200
	maxReason = 1000
)

// CreateService is the input of createService.
type CreateService struct {
	Name           string
	Title          *string
	Owner          *string
	RepositoryURL  *string
	Labels         map[string]string
	CatalogRef     *string
	IdempotencyKey *string `json:"-"`
}

// Validate checks the form of every field.
func (in CreateService) Validate() error {
	return first(
		spec.ValidateName("name", in.Name),
		optional(in.Title, func(s string) error { return spec.ValidateLine("title", s, maxTitle) }),
		optional(in.Owner, func(s string) error { return spec.ValidateEntityRef("owner", s) }),
		optional(in.RepositoryURL, func(s string) error { return spec.ValidateURL("repositoryUrl", s) }),
		optional(in.CatalogRef, func(s string) error { return spec.ValidateEntityRef("catalogRef", s) }),
		spec.ValidateLabels("labels", in.Labels),
	)
}

// CreateServiceResult is the payload of createService.
type CreateServiceResult struct{ Service *db.Service }

type created struct{ ID string }

// CreateService creates a service. Errors: CONFLICT when the name is in use.
func (c *Catalog) CreateService(ctx context.Context, in CreateService) (*CreateServiceResult, error) {
	if err := in.Validate(); err != nil {
		return nil, err
	}

	result, _, err := once(ctx, c.store, "createService", in.IdempotencyKey, in, func(ctx context.Context, tx *store.Tx) (created, error) {
		row, err := createService(ctx, tx, in)
		if err != nil {
			return created{}, err
		}

		return created{row.ID}, nil
	})
	if err != nil {
		return nil, err
	}

	row, err := c.store.Read.Service.Get(ctx, result.ID)

	return &CreateServiceResult{row}, store.Classify(err)
}

func createService(ctx context.Context, tx *store.Tx, in CreateService) (*db.Service, error) {
	serviceID, err := id.New(id.Service)
	if err != nil {
		return nil, err
	}

	taken, err := tx.Service.Query().Where(service.Name(in.Name), service.ArchivedAtIsNil()).Exist(ctx)
	if err != nil {
		return nil, err
	}

	if taken {
		return nil, nameTaken("service", in.Name)
	}

	title := in.Name
	if in.Title != nil && *in.Title != "" {
		title = *in.Title
	}

	row, err := tx.Service.Create().SetID(serviceID).SetName(in.Name).SetTitle(title).
		SetNillableOwner(text(in.Owner)).SetNillableRepositoryURL(text(in.RepositoryURL)).SetNillableCatalogRef(text(in.CatalogRef)).
		SetLabels(labels(in.Labels)).SetCreatedAt(store.Now()).Save(ctx)

	switch {
	case db.IsConstraintError(err): // somebody was quicker
		return nil, nameTaken("service", in.Name)
	case err != nil:
		return nil, err
	}

	_, err = record(ctx, tx, "service.created", row.ID, row.ID, "service "+row.Name+" created", row)

	return row, err
}

// UpdateService is the input of updateService: what is left out stays, null
// clears.
type UpdateService struct {
	Service       string
	Title         graphql.Omittable[*string]
	Owner         graphql.Omittable[*string]
	RepositoryURL graphql.Omittable[*string]
	Labels        graphql.Omittable[map[string]string]
	CatalogRef    graphql.Omittable[*string]
}

// Validate checks the form of every field.
func (in UpdateService) Validate() error {
	return first(
		optional(in.Title.Value(), func(s string) error { return spec.ValidateLine("title", s, maxTitle) }),
		optional(in.Owner.Value(), func(s string) error { return spec.ValidateEntityRef("owner", s) }),
		optional(in.RepositoryURL.Value(), func(s string) error { return spec.ValidateURL("repositoryUrl", s) }),
		optional(in.CatalogRef.Value(), func(s string) error { return spec.ValidateEntityRef("catalogRef", s) }),
		spec.ValidateLabels("labels", in.Labels.Value()),
	)
}

// ServiceResult is the payload of updateService and archiveService.
type ServiceResult struct {
	Service *db.Service
	Changed bool
}

// UpdateService changes a service. Errors: NOT_FOUND; CONFLICT when it is
// archived.
func (c *Catalog) UpdateService(ctx context.Context, in UpdateService) (*ServiceResult, error) {
	if err := in.Validate(); err != nil {
		return nil, err
	}

	var result ServiceResult

	return &result, c.store.WithTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		before, err := c.lockedService(ctx, tx, in.Service)
		if err != nil {
			return err
		}

		if before.ArchivedAt != nil {
			return fault.New(fault.Conflict, "service %s is archived", before.Name).At("service")
		}

		update := tx.Service.UpdateOneID(before.ID)
		result = ServiceResult{Service: before}

		if v, set := in.Title.ValueOK(); set && value(v) != "" && value(v) != before.Title {
			update.SetTitle(*v)

			result.Changed = true
		}

		for _, f := range []struct {
			in     graphql.Omittable[*string]
			before *string
			set    func(*string) *db.ServiceUpdateOne
			clear  func() *db.ServiceUpdateOne
		}{
			{in.Owner, before.Owner, update.SetNillableOwner, update.ClearOwner},
			{in.RepositoryURL, before.RepositoryURL, update.SetNillableRepositoryURL, update.ClearRepositoryURL},
			{in.CatalogRef, before.CatalogRef, update.SetNillableCatalogRef, update.ClearCatalogRef},
		} {
			v, set := f.in.ValueOK()
			if !set || value(text(v)) == value(f.before) {
				continue
			}

			result.Changed = true

			if text(v) == nil {
				f.clear()
			} else {
				f.set(v)
			}
		}

		if v, set := in.Labels.ValueOK(); set && !maps.Equal(v, before.Labels) {
			update.SetLabels(labels(v))

			result.Changed = true
		}

		if !result.Changed {
			return nil
		}

		if result.Service, err = update.Save(ctx); err != nil {
			return err
		}

		_, err = record(ctx, tx, "service.updated", before.ID, before.ID, "service "+before.Name+" changed", change{before, result.Service})

		return err
	})
}

// ArchiveService is the input of archiveService.
type ArchiveService struct {
	Service string
	Reason  *string
}

// ArchiveService archives a service. Errors: NOT_FOUND; CONFLICT while a
// deployment of it is under way.
func (c *Catalog) ArchiveService(ctx context.Context, in ArchiveService) (*ServiceResult, error) {
	if err := optional(in.Reason, func(s string) error { return spec.ValidateText("reason", s, maxReason) }); err != nil {
		return nil, err
	}

	var result ServiceResult

	return &result, c.store.WithTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		before, err := c.lockedService(ctx, tx, in.Service)
		if err != nil {
			return err
		}

		result = ServiceResult{Service: before}
		if before.ArchivedAt != nil {
			return nil
		}

		if err := refuseUnfinished(ctx, tx, "service", before.ID, ""); err != nil {
			return err
		}

		result.Changed = true
		if result.Service, err = tx.Service.UpdateOneID(before.ID).SetArchivedAt(store.Now()).Save(ctx); err != nil {
			return err
		}

		_, err = record(ctx, tx, "service.archived", before.ID, before.ID, "service "+before.Name+" archived", map[string]*string{"reason": in.Reason})

		return err
	})
}

func (c *Catalog) lockedService(ctx context.Context, tx *store.Tx, ref string) (*db.Service, error) {
	row, err := FindService(ctx, tx.Client, "service", ref)
	if err != nil {
		return nil, err
	}

	return LockService(ctx, tx, row.ID)
}

// once runs a keyed creating mutation for the caller of the context.
func once[R any](ctx context.Context, s *store.Store, mutation string, key *string, input any, body func(ctx context.Context, tx *store.Tx) (R, error)) (R, bool, error) {
	caller, err := access.From(ctx)
	if err != nil {
		var none R

		return none, false, err
	}

	return store.Once(ctx, s, store.Call{Caller: caller.Key(), Mutation: mutation, Key: value(key), Input: input}, body)
}

func nameTaken(noun, name string) error {
	return fault.New(fault.Conflict, "the name %q is that of another %s", name, noun).At("name")
}

func labels(in map[string]string) map[string]string {
	if in == nil {
		return map[string]string{}
	}

	return in
}

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}

	return nil
}

func optional(p *string, validate func(string) error) error {
	if p == nil || *p == "" {
		return nil
	}

	return validate(*p)
}
