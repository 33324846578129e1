package faults

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/shiplog/shiplog/deployer"
	"github.com/shiplog/shiplog/ent/db"
	entdeployment "github.com/shiplog/shiplog/ent/db/deployment"
	"github.com/shiplog/shiplog/ent/db/environment"
	entstep "github.com/shiplog/shiplog/ent/db/step"
	"github.com/shiplog/shiplog/ent/db/target"
	"github.com/shiplog/shiplog/internal/access"
	"github.com/shiplog/shiplog/internal/catalog"
	engine "github.com/shiplog/shiplog/internal/deployment"
	"github.com/shiplog/shiplog/internal/live"
	"github.com/shiplog/shiplog/internal/logs"
	"github.com/shiplog/shiplog/internal/spec"
	"github.com/shiplog/shiplog/internal/store"
)

// stage is the engine and what it needs, inside the test's own process, so
// that its target can be one that goes wrong.
type stage struct {
	store   *store.Store
	engine  *engine.Engine
	catalog *catalog.Catalog
}

// newStage builds the rooms on an open database, as the server does.
func newStage(s *store.Store, to deployer.Deployer) (*stage, error) {
	log := slog.New(slog.DiscardHandler)

	lines, err := logs.New(s, live.New(s, log), logs.Config{Logger: log})
	if err != nil {
		return nil, err
	}

	e, err := engine.New(engine.Config{
		Store: s, Leases: store.NewLeases(s, uuid.NewString()), Log: stepLog{lines}, Logger: log, Poll: time.Millisecond,
		Deployers: map[spec.TargetKind]deployer.Deployer{spec.TargetProcess: to},
	})
	if err != nil {
		return nil, err
	}

	return &stage{store: s, engine: e, catalog: catalog.New(s, e)}, nil
}

// run lets the engine work until the test ends.
func (s *stage) run(t *testing.T) {
	t.Helper()

	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))

	var (
		running sync.WaitGroup
		err     error
	)

	running.Go(func() { err = s.engine.Run(ctx) })

	t.Cleanup(func() {
		cancel()
		running.Wait()

		if err != nil {
			t.Error(err)
		}
	})
}

// admin is the context of somebody who may do everything.
func admin(t *testing.T) context.Context {
	t.Helper()

	return access.With(t.Context(), access.LocalAdmin())
}

// furnish makes the environment and a service.
func (s *stage) furnish(ctx context.Context, service string) error {
	_, err := s.catalog.CreateEnvironment(ctx, catalog.CreateEnvironment{
		Name: place, Tier: environment.TierPRODUCTION, Rank: 10, Target: catalog.Target{Kind: target.KindPROCESS},
	})
	if err != nil {
		return err
	}

	_, err = s.catalog.CreateService(ctx, catalog.CreateService{Name: service})

	return err
}

func (s *stage) register(ctx context.Context, service, version string, score map[string]any) error {
	_, err := s.catalog.RegisterVersion(ctx, catalog.RegisterVersion{
		Service: service, Version: version, Workload: &catalog.WorkloadInput{Score: score},
	})

	return err
}

func (s *stage) deploy(ctx context.Context, service, version string) (*db.Deployment, error) {
	made, err := s.engine.Deploy(ctx, engine.Deploy{Service: service, Environment: place, Version: version})
	if err != nil {
		return nil, err
	}

	return made.Deployment, nil
}

// seen is a deployment with its steps.
type seen struct {
	*db.Deployment

	steps []*db.Step
}

// await reads a deployment, with its steps, until it has one of the statuses.
func (s *stage) await(t *testing.T, id string, want ...entdeployment.Status) seen {
	t.Helper()

	until := time.Now().Add(30 * time.Second)

	for {
		d, err := s.store.Read.Deployment.Get(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}

		if slices.Contains(want, d.Status) {
			steps, err := s.store.Read.Step.Query().Where(entstep.DeploymentID(id)).Order(entstep.ByIndex()).All(t.Context())
			if err != nil {
				t.Fatal(err)
			}

			return seen{Deployment: d, steps: steps}
		}

		if time.Now().After(until) {
			t.Fatalf("deployment %s is %s: %v; want %v", id, d.Status, text(d.StatusReason), want)
		}

		select {
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func text(s *string) string {
	if s == nil {
		return ""
	}

	return *s
}

// stepLog writes the lines of steps, as the server does.
type stepLog struct{ *logs.Logs }

// Step appends lines of the stream STEP.
func (l stepLog) Step(ctx context.Context, tx *store.Tx, id, step string, lines ...string) error {
	batch := logs.Batch{Lines: make([]logs.Line, len(lines))}
	for i, line := range lines {
		batch.Lines[i] = logs.Line{Time: store.Now(), Stream: logs.Step, Phase: logs.Rollout, Step: step, Text: line}
	}

	_, err := l.AppendTx(ctx, tx, id, batch)

	return err
}

// faulty is a target whose answers can be spoilt, once each, after it has done
// what it was asked for, or instead.
type faulty struct {
	deployer.Deployer

	mu     sync.Mutex
	spoilt map[string]spoil
	asked  map[string]int
}

// spoil is what goes wrong with one call.
type spoil struct {
	// done: the target does it before it goes wrong.
	done bool
	// err is what the caller is told; nil panics.
	err error
	// gate, when not nil, is where the call waits before anything is done;
	// reached is closed when it is there.
	gate, reached chan struct{}
	// always: all calls are spoilt, not only the next one.
	always bool
}

func newFaulty(d deployer.Deployer) *faulty {
	return &faulty{Deployer: d, spoilt: map[string]spoil{}, asked: map[string]int{}}
}

// next spoils the next call of the method.
func (f *faulty) next(method string, s spoil) {
	f.mu.Lock()
	defer f.mu.Unlock()

	f.spoilt[method] = s
}

func (f *faulty) calls(method string) int {
	f.mu.Lock()
	defer f.mu.Unlock()

	return f.asked[method]
}

func (f *faulty) take(method string) (s spoil, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()

	f.asked[method]++
	s, ok = f.spoilt[method]

	if !s.always {
		delete(f.spoilt, method)
	}

	return s, ok
}

// through asks the target, or lets it go wrong.
func through[R any](ctx context.Context, f *faulty, method string, act deployer.Act, call func(context.Context, deployer.Act) (R, error)) (R, error) {
	s, ok := f.take(method)
	if !ok {
		return call(ctx, act)
	}

	var zero R

	if s.gate != nil {
		close(s.reached)

		select {
		case <-s.gate:
		case <-ctx.Done():
			return zero, ctx.Err()
		}
	}

	if s.done {
		if _, err := call(ctx, act); err != nil {
			return zero, errors.Join(err, errors.New("the fault came too early"))
		}
	}

	switch {
	case s.gate != nil && s.err == nil:
		return call(ctx, act)
	case s.err == nil:
		panic("a fault of the target's code")
	}

	return zero, s.err
}

func (f *faulty) Apply(ctx context.Context, act deployer.Act) (deployer.Applied, error) {
	return through(ctx, f, "Apply", act, f.Deployer.Apply)
}

func (f *faulty) Rollout(ctx context.Context, act deployer.Act) (deployer.Progress, error) {
	return through(ctx, f, "Rollout", act, f.Deployer.Rollout)
}

func (f *faulty) Abandon(ctx context.Context, act deployer.Act) (deployer.Left, error) {
	return through(ctx, f, "Abandon", act, f.Deployer.Abandon)
}
