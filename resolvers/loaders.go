package resolvers

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vikstrous/dataloadgen"

	"github.com/shiplog/shiplog/ent/db"
	"github.com/shiplog/shiplog/ent/db/configuration"
	"github.com/shiplog/shiplog/ent/db/decision"
	deploymentrow "github.com/shiplog/shiplog/ent/db/deployment"
	"github.com/shiplog/shiplog/ent/db/document"
	"github.com/shiplog/shiplog/ent/db/environment"
	"github.com/shiplog/shiplog/ent/db/event"
	"github.com/shiplog/shiplog/ent/db/hold"
	"github.com/shiplog/shiplog/ent/db/image"
	"github.com/shiplog/shiplog/ent/db/payload"
	"github.com/shiplog/shiplog/ent/db/placement"
	"github.com/shiplog/shiplog/ent/db/rule"
	"github.com/shiplog/shiplog/ent/db/service"
	"github.com/shiplog/shiplog/ent/db/snapshot"
	"github.com/shiplog/shiplog/ent/db/step"
	"github.com/shiplog/shiplog/ent/db/target"
	"github.com/shiplog/shiplog/ent/db/version"
	"github.com/shiplog/shiplog/internal/catalog"
	"github.com/shiplog/shiplog/internal/deployment"
	"github.com/shiplog/shiplog/internal/fault"
	"github.com/shiplog/shiplog/internal/store"
)

// batchWait is how long a loader gathers keys: the fields of a list are asked
// for at once, so a moment is enough.
const batchWait = 300 * time.Microsecond

// maxBatch bounds the keys of one statement, below SQLite's and Postgres'
// limits of parameters.
const maxBatch = 1000

// loader answers single look-ups out of what was fetched for a whole list
// (prefetch), and gathers what was not.
type loader[T any] struct {
	*dataloadgen.Loader[string, T]

	fetch func(ctx context.Context, keys []string) (map[string]T, error)
	known *known
}

// known are the keys that were prefetched, or are being.
type known struct {
	mu   sync.Mutex
	keys map[string]*fetching
}

// fetching is one prefetch; done is closed when its keys are primed, or could
// not be.
type fetching struct{ done chan struct{} }

// claim gives the keys that were never asked for, once each, which are the
// caller's to fetch, and the prefetches of others that have the rest.
func (k *known) claim(keys []string, by *fetching) (fresh []string, others map[*fetching]bool) {
	k.mu.Lock()
	defer k.mu.Unlock()

	others = map[*fetching]bool{}

	for _, key := range keys {
		f, ok := k.keys[key]

		switch {
		case key == "":
		case !ok:
			k.keys[key] = by
			fresh = append(fresh, key)
		case f != by:
			others[f] = true
		}
	}

	return fresh, others
}

// prefetch fetches what belongs to the keys in one statement (one for each
// maxBatch), so that later look-ups need none; what another field is fetching
// already it waits for. A key that has nothing answers nothing.
func (l loader[T]) prefetch(ctx context.Context, keys []string) error {
	mine := &fetching{done: make(chan struct{})}
	fresh, others := l.known.claim(keys, mine)

	if err := l.prime(ctx, fresh, mine); err != nil {
		return err
	}

	for other := range others {
		select {
		case <-other.done:
		case <-ctx.Done():
			return store.Classify(ctx.Err())
		}
	}

	return nil
}

func (l loader[T]) prime(ctx context.Context, keys []string, f *fetching) error {
	defer close(f.done)

	for batch := range slices.Chunk(keys, maxBatch) {
		found, err := l.fetch(ctx, batch)
		if err != nil {
			return store.Classify(err)
		}

		for _, key := range batch {
			l.Prime(key, found[key])
		}
	}

	return nil
}

// keep answers later look-ups with what was found another way.
func (l loader[T]) keep(key string, v T) {
	f := &fetching{done: make(chan struct{})}
	defer close(f.done)

	if fresh, _ := l.known.claim([]string{key}, f); len(fresh) > 0 {
		l.Prime(key, v)
	}
}

// loaders gather the look-ups of one response into one statement a kind.
type loaders struct {
	service       loader[*db.Service]
	version       loader[*db.Version]
	environment   loader[*db.Environment]
	target        loader[*db.Target]
	deployment    loader[*db.Deployment]
	snapshot      loader[*db.Snapshot]
	rule          loader[*db.Rule]
	event         loader[*db.Event]
	step          loader[*db.Step]
	placement     loader[*db.Placement]
	document      loader[*db.Document]
	payload       loader[*db.Payload]
	configuration loader[*db.Configuration] // newest by layer
	revision      loader[*db.Configuration]
	holdByID      loader[*db.Hold]
	pending       loader[*db.Deployment] // by placement
	decisionOf    loader[*db.Decision]   // by deployment
	hold          loader[*db.Hold]       // the standing one, by placement
	steps         loader[[]*db.Step]     // by deployment
	checks        loader[[]*db.Check]    // by deployment
	images        loader[[]*db.Image]    // by version
	decisions     loader[[]*db.Decision] // by version
	// where versions are now, by version
	placementsOfVersion loader[[]*deployment.Placement]
	// by the key of their arguments
	placementsOf loader[[]*deployment.Placement]
	checksOf     loader[[]*db.Check]
}

type loadersKey struct{}

// Loading is the executor's extension that gives every response its loaders.
type Loading struct{ Resolver *Resolver }

var _ interface {
	graphql.HandlerExtension
	graphql.ResponseInterceptor
} = Loading{}

// ExtensionName names the extension.
func (Loading) ExtensionName() string { return "Loading" }

// Validate has nothing to check.
func (Loading) Validate(graphql.ExecutableSchema) error { return nil }

// InterceptResponse gives the response its loaders.
func (l Loading) InterceptResponse(ctx context.Context, next graphql.ResponseHandler) *graphql.Response {
	return next(l.Resolver.WithLoaders(ctx))
}

// WithLoaders gives the context loaders of its own.
func (r *Resolver) WithLoaders(ctx context.Context) context.Context {
	return context.WithValue(ctx, loadersKey{}, r.newLoaders())
}

func load(ctx context.Context) *loaders {
	// Loading puts them there for every response; without it nothing works,
	// which every test would show.
	l, _ := ctx.Value(loadersKey{}).(*loaders)

	return l
}

// errNone is what a loader answers for a key that has nothing.
var errNone = errors.New("there is none")

func one[T any](fetch func(ctx context.Context, keys []string) ([]T, error), key func(T) string) loader[T] {
	return mapped(func(ctx context.Context, keys []string) (map[string]T, error) {
		rows, err := fetch(ctx, keys)
		found := make(map[string]T, len(rows))

		for _, row := range rows {
			found[key(row)] = row
		}

		return found, err
	})
}

func many[T any](fetch func(ctx context.Context, keys []string) ([]T, error), key func(T) string) loader[[]T] {
	return mapped(func(ctx context.Context, keys []string) (map[string][]T, error) {
		rows, err := fetch(ctx, keys)
		found := make(map[string][]T, len(keys))

		for _, k := range keys {
			found[k] = []T{}
		}

		for _, row := range rows {
			found[key(row)] = append(found[key(row)], row)
		}

		return found, err
	})
}

func mapped[T any](fetch func(ctx context.Context, keys []string) (map[string]T, error)) loader[T] {
	return loader[T]{
		fetch: fetch, known: &known{keys: map[string]*fetching{}},
		Loader: dataloadgen.NewLoader(func(ctx context.Context, keys []string) ([]T, []error) {
			var found map[string]T

			// In a goroutine of the loader's.
			err := guarded(ctx, func() (err error) {
				found, err = fetch(ctx, keys)

				return err
			})

			return inOrder(keys, found, err)
		}, dataloadgen.WithWait(batchWait), dataloadgen.WithBatchCapacity(maxBatch)),
	}
}

func inOrder[T any](keys []string, found map[string]T, err error) ([]T, []error) {
	values, errs := make([]T, len(keys)), make([]error, len(keys))

	for i, k := range keys {
		v, ok := found[k]

		switch {
		case err != nil:
			errs[i] = store.Classify(err)
		case !ok:
			errs[i] = errNone
		}

		values[i] = v
	}

	return values, errs
}

// maybe loads what a nullable reference refers to.
func maybe[T any](ctx context.Context, l loader[T], key *string) (none T, err error) {
	if key == nil {
		return none, nil
	}

	return orNone(l.Load(ctx, *key))
}

func orNone[T any](v T, err error) (T, error) {
	if errors.Is(err, errNone) {
		return v, nil
	}

	return v, err
}

// orNull answers null where there is nothing.
func orNull[T any](v *T, err error) (*T, error) {
	if fault.Is(err, fault.NotFound) {
		return nil, nil //nolint:nilnil // null is the contract's answer
	}

	return v, err
}

func (r *Resolver) newLoaders() *loaders {
	c := r.Store.Read

	return &loaders{
		service: one(func(ctx context.Context, ids []string) ([]*db.Service, error) {
			return c.Service.Query().Where(store.AnyOf(service.FieldID, ids)).All(ctx)
		}, func(v *db.Service) string { return v.ID }),
		version: one(func(ctx context.Context, ids []string) ([]*db.Version, error) {
			return c.Version.Query().Where(store.AnyOf(version.FieldID, ids)).All(ctx)
		}, func(v *db.Version) string { return v.ID }),
		environment: one(func(ctx context.Context, ids []string) ([]*db.Environment, error) {
			return c.Environment.Query().Where(store.AnyOf(environment.FieldID, ids)).All(ctx)
		}, func(v *db.Environment) string { return v.ID }),
		target: one(func(ctx context.Context, ids []string) ([]*db.Target, error) {
			return c.Target.Query().Where(store.AnyOf(target.FieldID, ids)).All(ctx)
		}, func(v *db.Target) string { return v.ID }),
		deployment: one(func(ctx context.Context, ids []string) ([]*db.Deployment, error) {
			return c.Deployment.Query().Where(store.AnyOf(deploymentrow.FieldID, ids)).All(ctx)
		}, func(v *db.Deployment) string { return v.ID }),
		snapshot: one(func(ctx context.Context, ids []string) ([]*db.Snapshot, error) {
			return c.Snapshot.Query().Where(store.AnyOf(snapshot.FieldID, ids)).All(ctx)
		}, func(v *db.Snapshot) string { return v.ID }),
		rule: one(func(ctx context.Context, ids []string) ([]*db.Rule, error) {
			return c.Rule.Query().Where(store.AnyOf(rule.FieldID, ids)).All(ctx)
		}, func(v *db.Rule) string { return v.ID }),
		event: one(func(ctx context.Context, ids []string) ([]*db.Event, error) {
			return c.Event.Query().Where(store.AnyOf(event.FieldID, ids)).All(ctx)
		}, func(v *db.Event) string { return v.ID }),
		step: one(func(ctx context.Context, ids []string) ([]*db.Step, error) {
			return c.Step.Query().Where(store.AnyOf(step.FieldID, ids)).All(ctx)
		}, func(v *db.Step) string { return v.ID }),
		placement: one(func(ctx context.Context, ids []string) ([]*db.Placement, error) {
			return c.Placement.Query().Where(store.AnyOf(placement.FieldID, ids)).All(ctx)
		}, func(v *db.Placement) string { return v.ID }),
		document: one(func(ctx context.Context, ids []string) ([]*db.Document, error) {
			return c.Document.Query().Where(store.AnyOf(document.FieldID, ids)).All(ctx)
		}, func(v *db.Document) string { return v.ID }),
		payload: one(func(ctx context.Context, ids []string) ([]*db.Payload, error) {
			return c.Payload.Query().Where(store.AnyOf(payload.FieldID, ids)).All(ctx)
		}, func(v *db.Payload) string { return v.ID }),
		configuration: one(func(ctx context.Context, layers []string) ([]*db.Configuration, error) {
			return catalog.NewestOf(ctx, c, layers)
		}, func(v *db.Configuration) string { return v.Layer }),
		revision: one(func(ctx context.Context, ids []string) ([]*db.Configuration, error) {
			return c.Configuration.Query().Where(store.AnyOf(configuration.FieldID, ids)).All(ctx)
		}, func(v *db.Configuration) string { return v.ID }),
		holdByID: one(func(ctx context.Context, ids []string) ([]*db.Hold, error) {
			return c.Hold.Query().Where(store.AnyOf(hold.FieldID, ids)).All(ctx)
		}, func(v *db.Hold) string { return v.ID }),
		pending: mapped(func(ctx context.Context, placements []string) (map[string]*db.Deployment, error) {
			return deployment.Pending(ctx, c, placements)
		}),
		decisionOf: one(func(ctx context.Context, ids []string) ([]*db.Decision, error) {
			return c.Decision.Query().Where(store.AnyOf(decision.FieldDeploymentID, ids)).All(ctx)
		}, func(v *db.Decision) string { return *v.DeploymentID }),
		hold: one(func(ctx context.Context, placements []string) ([]*db.Hold, error) {
			return c.Hold.Query().Where(store.AnyOf(hold.FieldPlacementID, placements), hold.ReleasedAtIsNil()).All(ctx)
		}, func(v *db.Hold) string { return v.PlacementID }),
		steps: many(func(ctx context.Context, ids []string) ([]*db.Step, error) {
			return c.Step.Query().Where(store.AnyOf(step.FieldDeploymentID, ids)).Order(step.ByIndex()).All(ctx)
		}, func(v *db.Step) string { return v.DeploymentID }),
		checks: mapped(func(ctx context.Context, ids []string) (map[string][]*db.Check, error) {
			return r.Engine.ChecksOf(ctx, ids)
		}),
		images: many(func(ctx context.Context, ids []string) ([]*db.Image, error) {
			return c.Image.Query().Where(store.AnyOf(image.FieldVersionID, ids)).Order(image.ByName()).All(ctx)
		}, func(v *db.Image) string { return v.VersionID }),
		decisions: many(func(ctx context.Context, ids []string) ([]*db.Decision, error) {
			return c.Decision.Query().Where(store.AnyOf(decision.FieldVersionID, ids)).Order(decision.ByCreatedAt(), decision.ByID()).All(ctx)
		}, func(v *db.Decision) string { return v.VersionID }),
		placementsOfVersion: many(r.Engine.PlacementsOfVersions, func(p *deployment.Placement) string { return value(p.RecordedVersionID) }),
		placementsOf:        mapped(r.placementsByKey),
		checksOf:            mapped(r.checksByKey),
	}
}
