package observe

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/shiplog/shiplog/deployer"
	"github.com/shiplog/shiplog/ent/db/target"
	"github.com/shiplog/shiplog/internal/live"
	"github.com/shiplog/shiplog/internal/logs"
	"github.com/shiplog/shiplog/internal/store"
)

// Target is what is observed: the looking half of a deployer.Deployer.
type Target interface {
	Units(ctx context.Context) ([]deployer.Unit, error)
	Observe(ctx context.Context, unit deployer.Unit) (deployer.Observation, error)
	Read(ctx context.Context, unit deployer.Unit, after map[string]int64, limit int) ([]deployer.Line, error)
	Settle(ctx context.Context, unit deployer.Unit, after map[string]int64) error
	Wake(ctx context.Context) <-chan deployer.Unit
}

// Config says what is observed and how. Zero values take the defaults.
type Config struct {
	// Kind of the targets, and how they are reached.
	Kind   target.Kind
	Target Target
	// Runtime is how long output is taken after the outcome (10 min);
	// negative for not at all.
	Runtime time.Duration
	// Quiet is how long nothing must have come from a deployment whose
	// instances are gone until its log is closed (10 s: twice what a process
	// gets to end).
	Quiet time.Duration
	// Poll is how often a unit is looked at unasked (1 s).
	Poll time.Duration
	// Refresh is how often observed_at is written when nothing changes
	// (30 s: a write a placement).
	Refresh time.Duration
	// Moved is told, with the lease that is held, where clients reach a
	// deployment when that is not where the memory says; nil for nobody.
	Moved func(ctx context.Context, held *store.Held, deployment string, endpoints map[string]string) error
	// Places is told where all units are, whenever that is read, for targets
	// that have places; nil for nobody.
	Places func(places map[deployer.Unit]deployer.Place)
	// Logger; slog.Default when nil.
	Logger *slog.Logger
}

func (c Config) withDefaults() Config {
	c.Runtime = or(c.Runtime, 10*time.Minute)
	c.Quiet = or(c.Quiet, 10*time.Second)
	c.Poll = or(c.Poll, time.Second)
	c.Refresh = or(c.Refresh, 30*time.Second)

	if c.Logger == nil {
		c.Logger = slog.Default()
	}

	return c
}

func or(d, fallback time.Duration) time.Duration {
	if d == 0 {
		return fallback
	}

	return d
}

// Observer observes the targets of one kind while this replica holds their
// lease.
type Observer struct {
	store  *store.Store
	hub    *live.Hub
	logs   *logs.Logs
	leases *store.Leases
	cfg    Config
}

// New makes an observer.
func New(s *store.Store, hub *live.Hub, l *logs.Logs, leases *store.Leases, cfg Config) *Observer {
	return &Observer{store: s, hub: hub, logs: l, leases: leases, cfg: cfg.withDefaults()}
}

// Lease is the name of the observer's lease.
func (o *Observer) Lease() string { return "target/" + string(o.cfg.Kind) }

// Run takes the lease whenever nobody has it and observes until it is lost, or
// until ctx ends.
func (o *Observer) Run(ctx context.Context) {
	for ctx.Err() == nil {
		held, err := o.leases.Take(ctx, o.Lease())

		switch {
		case err == nil:
			o.own(ctx, held)

			continue
		case !errors.Is(err, store.ErrNotOwner) && ctx.Err() == nil:
			o.cfg.Logger.WarnContext(ctx, "taking a lease", "lease", o.Lease(), "error", err)
		}

		// Taking also sees whether the owner still renews.
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

// own observes while the lease is held.
func (o *Observer) own(ctx context.Context, held *store.Held) {
	o.cfg.Logger.InfoContext(ctx, "observing", "lease", held.Name, "epoch", held.Epoch)

	inner, cancel := context.WithCancel(ctx)

	t := &tenure{
		store: o.store, hub: o.hub, logs: o.logs, cfg: o.cfg, log: o.cfg.Logger, held: held, lost: cancel,
		writer: o.logs.NewWriter(), units: map[deployer.Unit]*running{}, strange: map[deployer.Unit]bool{},
	}

	var wg sync.WaitGroup

	wg.Go(func() {
		defer cancel()
		o.renew(inner, held)
	})
	wg.Go(func() {
		defer cancel()
		t.run(inner)
	})
	wg.Wait()
	t.writer.Close()

	// So that the next owner need not wait. When it fails, it waits.
	release, stop := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer stop()

	if err := o.leases.Release(release, held); err != nil {
		o.cfg.Logger.WarnContext(ctx, "releasing a lease", "lease", held.Name, "error", err)
	}
}

// renew renews the lease until it is lost or ctx ends.
func (o *Observer) renew(ctx context.Context, held *store.Held) {
	ticker := time.NewTicker(store.Beat)
	defer ticker.Stop()

	for renewed := time.Now(); ; {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}

		began := time.Now()
		err := o.leases.Renew(ctx, held)

		switch {
		case err == nil:
			renewed = began
		case ctx.Err() != nil:
			return
		case errors.Is(err, store.ErrNotOwner), time.Since(renewed) > store.Term:
			o.cfg.Logger.WarnContext(ctx, "lost a lease", "lease", held.Name, "error", err)

			return
		}
	}
}
