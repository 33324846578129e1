package catalog

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	entsql "entgo.io/ent/dialect/sql"

	"github.com/shiplog/shiplog/ent/db"
	"github.com/shiplog/shiplog/ent/db/configuration"
	"github.com/shiplog/shiplog/ent/db/environment"
	"github.com/shiplog/shiplog/internal/access"
	"github.com/shiplog/shiplog/internal/fault"
	"github.com/shiplog/shiplog/internal/id"
	"github.com/shiplog/shiplog/internal/spec"
	"github.com/shiplog/shiplog/internal/store"
)

// SetConfiguration is the input of setConfiguration.
type SetConfiguration struct {
	Service          *string
	Environment      *string
	Content          any
	Reason           *string
	ExpectedRevision *int
	IdempotencyKey   *string `json:"-"`
}

// SetConfigurationResult is the payload of setConfiguration.
type SetConfigurationResult struct {
	Configuration *db.Configuration
	Changed       bool
}

type revised struct {
	ID      string
	Changed bool
}

// SetConfiguration makes a new revision of a layer. Errors: NOT_FOUND; STALE
// when the newest revision is not the expected one.
func (c *Catalog) SetConfiguration(ctx context.Context, in SetConfiguration) (*SetConfigurationResult, error) {
	if value(in.Service) == "" && value(in.Environment) == "" {
		return nil, fault.Invalid("service", "want a service, an environment, or both")
	}

	parsed, err := spec.ParseConfiguration("content", in.Content)
	if err != nil {
		return nil, err
	}

	if err := optional(in.Reason, func(s string) error { return spec.ValidateText("reason", s, maxReason) }); err != nil {
		return nil, err
	}

	content, err := json.Marshal(parsed)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}

	result, _, err := once(ctx, c.store, "setConfiguration", in.IdempotencyKey, in, func(ctx context.Context, tx *store.Tx) (revised, error) {
		return setConfiguration(ctx, tx, in, string(content))
	})
	if err != nil {
		return nil, err
	}

	row, err := c.store.Read.Configuration.Get(ctx, result.ID)

	return &SetConfigurationResult{Configuration: row, Changed: result.Changed}, store.Classify(err)
}

func setConfiguration(ctx context.Context, tx *store.Tx, in SetConfiguration, content string) (revised, error) {
	layer, err := findLayer(ctx, tx, in)
	if err != nil {
		return revised{}, err
	}

	newest, err := Newest(ctx, tx.Client, layer.key())
	if err != nil {
		return revised{}, err
	}

	revision, digest := 0, documentDigest(content)
	if newest != nil {
		revision = newest.Revision
	}

	if in.ExpectedRevision != nil && *in.ExpectedRevision != revision {
		return revised{}, fault.New(fault.Stale, "the newest revision is %d", revision).At("expectedRevision")
	}

	if newest != nil && newest.ContentDigest == digest {
		return revised{ID: newest.ID}, nil
	}

	caller, err := access.From(ctx)
	if err != nil {
		return revised{}, err
	}

	revisionID, err := id.New(id.Configuration)
	if err != nil {
		return revised{}, err
	}

	if _, err := PutDocument(ctx, tx, content); err != nil {
		return revised{}, err
	}

	create := tx.Configuration.Create().SetID(revisionID).SetScope(layer.scope()).SetLayer(layer.key()).SetRevision(revision + 1).
		SetContentDigest(digest).SetNillableReason(text(in.Reason)).SetCreatedAt(store.Now()).
		SetActorKind(configuration.ActorKind(caller.Actor.Kind)).SetActorIssuer(caller.Actor.Issuer).
		SetActorSubject(caller.Actor.Subject).SetActorDisplay(caller.Actor.Display)
	if layer.service != nil {
		create.SetServiceID(layer.service.ID)
	}

	if layer.environment != nil {
		create.SetEnvironmentID(layer.environment.ID)
	}

	row, err := create.Save(ctx)

	switch {
	case db.IsConstraintError(err):
		return revised{}, fault.New(fault.Stale, "somebody else set this layer at the same time: read it again").At("content")
	case err != nil:
		return revised{}, err
	}

	_, err = record(ctx, tx, "configuration.set", row.ID, layer.serviceID(), fmt.Sprintf("configuration of %s set to revision %d", layer.name(), row.Revision),
		map[string]any{"configuration": row, "content": json.RawMessage(content)})

	return revised{ID: row.ID, Changed: true}, err
}

// layer is what a configuration is for.
type layer struct {
	service     *db.Service
	environment *db.Environment
}

func findLayer(ctx context.Context, tx *store.Tx, in SetConfiguration) (l layer, err error) {
	if value(in.Service) != "" {
		if l.service, err = FindService(ctx, tx.Client, "service", *in.Service); err != nil {
			return l, err
		}

		if l.service.ArchivedAt != nil {
			return l, fault.New(fault.Conflict, "service %s is archived", l.service.Name).At("service")
		}
	}

	if value(in.Environment) != "" {
		if l.environment, err = FindEnvironment(ctx, tx.Client, "environment", *in.Environment); err != nil {
			return l, err
		}

		if l.environment.ArchivedAt != nil {
			return l, fault.New(fault.Conflict, "environment %s is archived", l.environment.Name).At("environment")
		}
	}

	// Revisions of one layer are made one after the other.
	if l.service != nil {
		l.service, err = LockService(ctx, tx, l.service.ID)

		return l, err
	}

	l.environment, err = tx.Environment.Query().Where(environment.ID(l.environment.ID), tx.Lock).Only(ctx)

	return l, err
}

func (l layer) key() string {
	switch {
	case l.environment == nil:
		return LayerKey(l.service.ID, "")
	case l.service == nil:
		return LayerKey("", l.environment.ID)
	}

	return LayerKey(l.service.ID, l.environment.ID)
}

func (l layer) scope() configuration.Scope {
	switch {
	case l.environment == nil:
		return configuration.ScopeSERVICE
	case l.service == nil:
		return configuration.ScopeENVIRONMENT
	}

	return configuration.ScopeSERVICE_IN_ENVIRONMENT
}

func (l layer) serviceID() string {
	if l.service == nil {
		return ""
	}

	return l.service.ID
}

func (l layer) name() string {
	switch {
	case l.environment == nil:
		return l.service.Name
	case l.service == nil:
		return l.environment.Name
	}

	return l.service.Name + " in " + l.environment.Name
}

// LayerKey is the identity of the layer of a service, an environment, or both.
func LayerKey(serviceID, environmentID string) string { return serviceID + "/" + environmentID }

// Newest gives the newest revision of a layer, nil when it was never set.
func Newest(ctx context.Context, client *db.Client, layerKey string) (*db.Configuration, error) {
	rows, err := client.Configuration.Query().Where(configuration.Layer(layerKey)).
		Order(db.Desc(configuration.FieldRevision)).Limit(1).All(ctx)
	if err != nil || len(rows) == 0 {
		return nil, store.Classify(err)
	}

	return rows[0], nil
}

// Effective gives the merged configuration of a service in an environment and
// the revisions that it was merged from, by scope.
func Effective(ctx context.Context, client *db.Client, serviceID, environmentID string) (spec.Configuration, map[string]string, error) {
	var layers []spec.Configuration

	revisions := map[string]string{}

	for _, key := range []string{LayerKey(serviceID, ""), LayerKey("", environmentID), LayerKey(serviceID, environmentID)} {
		row, err := Newest(ctx, client, key)
		if err != nil {
			return spec.Configuration{}, nil, err
		}

		if row == nil {
			continue
		}

		c, err := layerOf(ctx, client, row)
		if err != nil {
			return spec.Configuration{}, nil, err
		}

		layers = append(layers, c)
		revisions[string(row.Scope)] = row.ID
	}

	return spec.MergeConfiguration(layers...), revisions, nil
}

// Merged gives what the revisions, by their ids, say together, the later over
// the earlier.
func Merged(ctx context.Context, client *db.Client, revisions []string) (spec.Configuration, error) {
	layers := make([]spec.Configuration, len(revisions))

	for i, revision := range revisions {
		row, err := client.Configuration.Get(ctx, revision)
		if err != nil {
			return spec.Configuration{}, store.Classify(err)
		}

		if layers[i], err = layerOf(ctx, client, row); err != nil {
			return spec.Configuration{}, err
		}
	}

	return spec.MergeConfiguration(layers...), nil
}

// layerOf reads the content of a revision.
func layerOf(ctx context.Context, client *db.Client, row *db.Configuration) (c spec.Configuration, err error) {
	content, err := ConfigurationContent(ctx, client, row)
	if err != nil {
		return c, err
	}

	if err := json.NewDecoder(bytes.NewReader(content)).Decode(&c); err != nil {
		return c, fmt.Errorf("configuration %s: %w", row.ID, err)
	}

	return c, nil
}

// ConfigurationContent loads the content of a revision.
func ConfigurationContent(ctx context.Context, client *db.Client, row *db.Configuration) (json.RawMessage, error) {
	content, err := client.Document.Get(ctx, row.ContentDigest)
	if err != nil {
		return nil, store.Classify(err)
	}

	return json.RawMessage(content.Content), nil
}

// NewestOf gives the newest revisions of the layers that were ever set.
func NewestOf(ctx context.Context, client *db.Client, layerKeys []string) ([]*db.Configuration, error) {
	rows, err := client.Configuration.Query().Where(configuration.LayerIn(layerKeys...), func(s *entsql.Selector) {
		newer := entsql.Table(configuration.Table).As("newer")
		s.Where(entsql.NotExists(entsql.Dialect(s.Dialect()).Select(newer.C(configuration.FieldID)).From(newer).Where(entsql.And(
			entsql.ColumnsEQ(newer.C(configuration.FieldLayer), s.C(configuration.FieldLayer)),
			entsql.ColumnsGT(newer.C(configuration.FieldRevision), s.C(configuration.FieldRevision)),
		))))
	}).All(ctx)

	return rows, store.Classify(err)
}
