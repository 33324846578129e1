package deployment

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/shiplog/shiplog/deployer"
	"github.com/shiplog/shiplog/ent/db"
	"github.com/shiplog/shiplog/internal/automation"
	"github.com/shiplog/shiplog/internal/spec"
	"github.com/shiplog/shiplog/internal/store"
)

// Log takes what the steps of a deployment have to say.
type Log interface {
	// Step appends lines of the stream STEP within the transaction.
	Step(ctx context.Context, tx *store.Tx, deployment, step string, lines ...string) error
	// Close says that nothing will be appended any more: for deployments that
	// never acted, so that no collector will say it.
	Close(ctx context.Context, tx *store.Tx, deployment string) error
	// Compact merges small chunks; readers do not notice.
	Compact(ctx context.Context, deployment string) error
}

// Config is what an engine needs.
type Config struct {
	Store *store.Store
	// Leases of this replica.
	Leases *store.Leases
	// Deployers by the kind of target that they serve.
	Deployers map[spec.TargetKind]deployer.Deployer
	// Registry is asked for the digests of images that were registered
	// without; nil refuses them.
	Registry Registry
	Log      Log
	Logger   *slog.Logger
	// Poll is how often a rollout under way is asked; 100 ms when zero: the
	// demand is a read of a few files or of a cache.
	Poll time.Duration
}

// Engine is the room.
type Engine struct {
	store     *store.Store
	leases    *store.Leases
	deployers map[spec.TargetKind]deployer.Deployer
	registry  Registry
	lines     Log
	log       *slog.Logger
	poll      time.Duration
	compiler  *automation.Compiler
	jobs      *jobs
	// absent counts the jobs that wait for a target that does not answer.
	absent atomic.Int32
}

// New makes the engine; Start sets it going.
func New(cfg Config) (*Engine, error) {
	compiler, err := automation.NewCompiler()
	if err != nil {
		return nil, err
	}

	e := &Engine{
		store: cfg.Store, leases: cfg.Leases, deployers: cfg.Deployers, registry: cfg.Registry, lines: cfg.Log, log: cfg.Logger,
		poll: cfg.Poll, compiler: compiler,
	}
	if e.poll == 0 {
		e.poll = 100 * time.Millisecond
	}

	e.jobs, err = newJobs(e)

	return e, err
}

// unitLease is the name of the lease of a service in an environment.
func unitLease(serviceID, environmentID string) string {
	return "unit/" + serviceID + "/" + environmentID
}

// Topic is what is woken when something changes for the unit.
func Topic(serviceID, environmentID string) string {
	return "unit/" + serviceID + "/" + environmentID
}

func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}

	return v
}

// assign sets a nullable column, or clears it: ent takes only one of both.
func assign[T, B any](p *T, set func(T) B, unset func() B) {
	if p == nil {
		unset()
	} else {
		set(*p)
	}
}

func text(p *string) *string {
	if p == nil || *p == "" {
		return nil
	}

	return p
}

// name says what a deployment is, for people.
func name(service *db.Service, version *db.Version, environment *db.Environment) string {
	if version == nil {
		return service.Name + " in " + environment.Name
	}

	return service.Name + " " + version.Name + " in " + environment.Name
}
