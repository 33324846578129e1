package catalog

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/99designs/gqlgen/graphql"

	"github.com/shiplog/shiplog/ent/db"
	"github.com/shiplog/shiplog/ent/db/deployment"
	"github.com/shiplog/shiplog/ent/db/environment"
	"github.com/shiplog/shiplog/ent/db/target"
	"github.com/shiplog/shiplog/internal/fault"
	"github.com/shiplog/shiplog/internal/id"
	"github.com/shiplog/shiplog/internal/spec"
	"github.com/shiplog/shiplog/internal/store"
)

// maxRank bounds the order of promotion.
const maxRank = 1_000_000

// Target is where an environment really is, as input.
type Target struct {
	Kind       target.Kind
	Connection *string
	Namespace  *string
	// Host and Allow came later: keys of before hold no such names.
	Host  *string  `json:",omitempty"`
	Allow []string `json:",omitempty"`
}

// Validate checks that what the kind needs is there, and nothing else.
func (t Target) Validate() error {
	switch t.Kind {
	case target.KindKUBERNETES:
		if value(t.Connection) == "" {
			return fault.Invalid("target.connection", "want the name of a connection for a KUBERNETES target")
		}

		if value(t.Namespace) == "" {
			return fault.Invalid("target.namespace", "want a namespace for a KUBERNETES target")
		}

		return first(spec.ValidateName("target.connection", *t.Connection), validNamespace("target.namespace", *t.Namespace),
			optional(text(t.Host), func(s string) error { return validHost("target.host", s) }))
	default:
		if value(t.Connection) != "" {
			return fault.Invalid("target.connection", "only a KUBERNETES target has a connection")
		}

		if value(t.Namespace) != "" {
			return fault.Invalid("target.namespace", "only a KUBERNETES target has a namespace")
		}

		if value(t.Host) != "" {
			return fault.Invalid("target.host", "only a KUBERNETES target has a host")
		}

		if len(t.Allow) > 0 {
			return fault.Invalid("target.allow", "only a KUBERNETES target allows something")
		}
	}

	return nil
}

// validNamespace accepts a DNS label in which {service} and {environment} stand
// for their names.
func validNamespace(field, namespace string) error {
	if spec.ValidateName(field, strings.NewReplacer("{service}", "s", "{environment}", "e").Replace(namespace)) != nil {
		return fault.Invalid(field, "is %.80q; accepted is a DNS label, in which {service} and {environment} stand for their names", namespace)
	}

	return nil
}

// validHost accepts a DNS name with the same.
func validHost(field, host string) error {
	if spec.ValidateHost(field, strings.NewReplacer("{service}", "s", "{environment}", "e").Replace(host)) != nil {
		return fault.Invalid(field, "is %.80q; accepted is a DNS name, in which {service} and {environment} stand for their names", host)
	}

	return nil
}

// allowed gives the permissions in the order in which they are stored.
func (t Target) allowed() []string { return slices.Compact(slices.Sorted(slices.Values(t.Allow))) }

// is reports whether the row says the same.
func (t Target) is(row *db.Target) bool {
	return row.Kind == t.Kind && value(row.Connection) == value(t.Connection) && value(row.Namespace) == value(t.Namespace) &&
		value(row.Host) == value(t.Host) && slices.Equal(row.Allow, t.allowed())
}

// reaches refuses a target of a connection that this server does not have.
func (c *Catalog) reaches(t *Target) error {
	if t == nil || t.Kind != target.KindKUBERNETES || value(t.Connection) == "" || slices.Contains(c.connections, value(t.Connection)) {
		return nil
	}

	accepted := "this server has no connections; give it one (--connection)"
	if len(c.connections) > 0 {
		accepted = "accepted are " + strings.Join(c.connections, ", ")
	}

	return fault.Invalid("target.connection", "is %.80q, which is no connection of this server; %s", *t.Connection, accepted)
}

// CreateEnvironment is the input of createEnvironment.
type CreateEnvironment struct {
	Name           string
	Title          *string
	Tier           environment.Tier
	Rank           int
	Owner          *string
	Labels         map[string]string
	Target         Target
	IdempotencyKey *string `json:"-"`
}

// Validate checks the form of every field.
func (in CreateEnvironment) Validate() error {
	return first(
		spec.ValidateName("name", in.Name),
		optional(in.Title, func(s string) error { return spec.ValidateLine("title", s, maxTitle) }),
		optional(in.Owner, func(s string) error { return spec.ValidateEntityRef("owner", s) }),
		spec.ValidateLabels("labels", in.Labels),
		validRank(in.Rank),
		in.Target.Validate(),
	)
}

func validRank(rank int) error {
	if rank < 0 || rank > maxRank {
		return fault.Invalid("rank", "want a number from 0 to %d", maxRank)
	}

	return nil
}

// CreateEnvironmentResult is the payload of createEnvironment.
type CreateEnvironmentResult struct{ Environment *db.Environment }

// CreateEnvironment creates an environment. Errors: CONFLICT when the name is
// in use.
func (c *Catalog) CreateEnvironment(ctx context.Context, in CreateEnvironment) (*CreateEnvironmentResult, error) {
	if err := first(in.Validate(), c.reaches(&in.Target)); err != nil {
		return nil, err
	}

	result, _, err := once(ctx, c.store, "createEnvironment", in.IdempotencyKey, in, func(ctx context.Context, tx *store.Tx) (created, error) {
		row, err := createEnvironment(ctx, tx, in)
		if err != nil {
			return created{}, err
		}

		return created{row.ID}, nil
	})
	if err != nil {
		return nil, err
	}

	row, err := c.store.Read.Environment.Get(ctx, result.ID)

	return &CreateEnvironmentResult{row}, store.Classify(err)
}

func createEnvironment(ctx context.Context, tx *store.Tx, in CreateEnvironment) (*db.Environment, error) {
	environmentID, err := id.New(id.Environment)
	if err != nil {
		return nil, err
	}

	taken, err := tx.Environment.Query().Where(environment.Name(in.Name), environment.ArchivedAtIsNil()).Exist(ctx)
	if err != nil {
		return nil, err
	}

	if taken {
		return nil, nameTaken("environment", in.Name)
	}

	to, err := createTarget(ctx, tx, in.Target)
	if err != nil {
		return nil, err
	}

	title := in.Name
	if in.Title != nil && *in.Title != "" {
		title = *in.Title
	}

	row, err := tx.Environment.Create().SetID(environmentID).SetName(in.Name).SetTitle(title).SetTier(in.Tier).SetRank(in.Rank).
		SetNillableOwner(text(in.Owner)).SetLabels(labels(in.Labels)).SetTargetID(to.ID).
		SetCreatedAt(store.Now()).Save(ctx)

	switch {
	case db.IsConstraintError(err):
		return nil, nameTaken("environment", in.Name)
	case err != nil:
		return nil, err
	}

	_, err = record(ctx, tx, "environment.created", row.ID, "", "environment "+row.Name+" created", map[string]any{"environment": row, "target": to})

	return row, err
}

func createTarget(ctx context.Context, tx *store.Tx, in Target) (*db.Target, error) {
	targetID, err := id.New(id.Target)
	if err != nil {
		return nil, err
	}

	create := tx.Target.Create().SetID(targetID).SetKind(in.Kind).SetNillableConnection(text(in.Connection)).
		SetNillableNamespace(text(in.Namespace)).SetNillableHost(text(in.Host)).SetCreatedAt(store.Now())
	if allow := in.allowed(); len(allow) > 0 {
		create.SetAllow(allow)
	}

	return create.Save(ctx)
}

// UpdateEnvironment is the input of updateEnvironment: what is left out stays,
// null clears.
type UpdateEnvironment struct {
	Environment string
	Title       graphql.Omittable[*string]
	Tier        *environment.Tier
	Rank        *int
	Owner       graphql.Omittable[*string]
	Labels      graphql.Omittable[map[string]string]
	Target      *Target
}

// Validate checks the form of every field.
func (in UpdateEnvironment) Validate() error {
	err := first(
		optional(in.Title.Value(), func(s string) error { return spec.ValidateLine("title", s, maxTitle) }),
		optional(in.Owner.Value(), func(s string) error { return spec.ValidateEntityRef("owner", s) }),
		spec.ValidateLabels("labels", in.Labels.Value()),
	)
	if err == nil && in.Rank != nil {
		err = validRank(*in.Rank)
	}

	if err == nil && in.Target != nil {
		err = in.Target.Validate()
	}

	return err
}

// EnvironmentResult is the payload of updateEnvironment and
// archiveEnvironment.
type EnvironmentResult struct {
	Environment *db.Environment
	Changed     bool
}

// UpdateEnvironment changes an environment. Errors: NOT_FOUND; CONFLICT when
// it is archived, or when its target is to change while something is under
// way there.
func (c *Catalog) UpdateEnvironment(ctx context.Context, in UpdateEnvironment) (*EnvironmentResult, error) {
	if err := first(in.Validate(), c.reaches(in.Target)); err != nil {
		return nil, err
	}

	var result EnvironmentResult

	return &result, c.store.WithTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		before, err := lockedEnvironment(ctx, tx, in.Environment)
		if err != nil {
			return err
		}

		if before.ArchivedAt != nil {
			return fault.New(fault.Conflict, "environment %s is archived", before.Name).At("environment")
		}

		result = EnvironmentResult{Environment: before}

		update := tx.Environment.UpdateOneID(before.ID)
		if result.Changed, err = in.apply(ctx, tx, before, update); err != nil || !result.Changed {
			return err
		}

		if result.Environment, err = update.Save(ctx); err != nil {
			return err
		}

		_, err = record(ctx, tx, "environment.updated", before.ID, "", "environment "+before.Name+" changed", change{before, result.Environment})

		return err
	})
}

func (in UpdateEnvironment) apply(ctx context.Context, tx *store.Tx, before *db.Environment, update *db.EnvironmentUpdateOne) (changed bool, err error) {
	if v, set := in.Title.ValueOK(); set && value(v) != "" && *v != before.Title {
		update.SetTitle(*v)

		changed = true
	}

	if in.Tier != nil && *in.Tier != before.Tier {
		update.SetTier(*in.Tier)

		changed = true
	}

	if in.Rank != nil && *in.Rank != before.Rank {
		update.SetRank(*in.Rank)

		changed = true
	}

	if v, set := in.Owner.ValueOK(); set && value(text(v)) != value(before.Owner) {
		if text(v) == nil {
			update.ClearOwner()
		} else {
			update.SetOwner(*v)
		}

		changed = true
	}

	if v, set := in.Labels.ValueOK(); set && !maps.Equal(v, before.Labels) {
		update.SetLabels(labels(v))

		changed = true
	}

	if in.Target == nil {
		return changed, nil
	}

	now, err := before.QueryTarget().Only(ctx)
	if err != nil {
		return false, err
	}

	if in.Target.is(now) {
		return changed, nil
	}

	if err := refuseUnfinished(ctx, tx, "environment", "", before.ID); err != nil {
		return false, err
	}

	to, err := createTarget(ctx, tx, *in.Target)
	if err != nil {
		return false, err
	}

	update.SetTargetID(to.ID)

	return true, nil
}

// ArchiveEnvironment is the input of archiveEnvironment.
type ArchiveEnvironment struct {
	Environment string
	Reason      *string
}

// ArchiveEnvironment archives an environment. Errors: NOT_FOUND; CONFLICT
// while a deployment to it is under way.
func (c *Catalog) ArchiveEnvironment(ctx context.Context, in ArchiveEnvironment) (*EnvironmentResult, error) {
	if err := optional(in.Reason, func(s string) error { return spec.ValidateText("reason", s, maxReason) }); err != nil {
		return nil, err
	}

	var result EnvironmentResult

	return &result, c.store.WithTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		before, err := lockedEnvironment(ctx, tx, in.Environment)
		if err != nil {
			return err
		}

		result = EnvironmentResult{Environment: before}
		if before.ArchivedAt != nil {
			return nil
		}

		if err := refuseUnfinished(ctx, tx, "environment", "", before.ID); err != nil {
			return err
		}

		result.Changed = true
		if result.Environment, err = tx.Environment.UpdateOneID(before.ID).SetArchivedAt(store.Now()).Save(ctx); err != nil {
			return err
		}

		_, err = record(ctx, tx, "environment.archived", before.ID, "", "environment "+before.Name+" archived", map[string]*string{"reason": in.Reason})

		return err
	})
}

func lockedEnvironment(ctx context.Context, tx *store.Tx, ref string) (*db.Environment, error) {
	row, err := FindEnvironment(ctx, tx.Client, "environment", ref)
	if err != nil {
		return nil, err
	}

	return tx.Environment.Query().Where(environment.ID(row.ID), tx.Lock).Only(ctx)
}

// refuseUnfinished refuses to pull the ground from under a deployment.
func refuseUnfinished(ctx context.Context, tx *store.Tx, field, serviceID, environmentID string) error {
	query := tx.Deployment.Query().Where(deployment.FinishedAtIsNil())
	if serviceID != "" {
		query.Where(deployment.ServiceID(serviceID))
	}

	if environmentID != "" {
		query.Where(deployment.EnvironmentID(environmentID))
	}

	row, err := query.First(ctx)

	switch {
	case db.IsNotFound(err):
		return nil
	case err != nil:
		return err
	}

	return fault.New(fault.Conflict, "deployment %s is %s: cancel it or wait for its end", row.ID, row.Status).At(field)
}
