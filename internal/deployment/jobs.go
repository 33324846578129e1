package deployment

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/riverqueue/river"

	"github.com/shiplog/shiplog/ent/db"
	"github.com/shiplog/shiplog/ent/db/deployment"
	"github.com/shiplog/shiplog/internal/access"
	"github.com/shiplog/shiplog/internal/store"
)

const (
	// fetchPoll is how often the engine looks for jobs: neither driver
	// listens, and half of first acts are to follow a registration within 50 ms,
	// four commits included.
	fetchPoll = 20 * time.Millisecond
	// workers bounds the jobs at once: they mostly wait for a target.
	workers = 200
	// tick is how often every replica looks for what is due and nobody's.
	tick = 2 * time.Second
	// again is how long the ticker waits before it inserts another job for
	// the same thing: under load jobs wait their turn.
	again = 4 * time.Second
	// compactAfter is a little more than the ten minutes for which output is
	// taken after a success.
	compactAfter = 15 * time.Minute
	// late is how old an unanswered event must be before the ticker asks.
	late = 3 * time.Second
)

// advanceArgs is the job that carries a unit on.
type advanceArgs struct {
	Service     string `json:"service"`
	Environment string `json:"environment"`
}

// Kind is the job's name.
func (advanceArgs) Kind() string { return "deployment.advance" }

// rulesArgs is the job that lets the rules answer a deployment's success.
type rulesArgs struct {
	Deployment string `json:"deployment"`
}

// Kind is the job's name.
func (rulesArgs) Kind() string { return "deployment.rules" }

// resumeArgs is the job that lets the rules go on in an environment that was
// unlocked.
type resumeArgs struct {
	Environment string `json:"environment"`
}

// Kind is the job's name.
func (resumeArgs) Kind() string { return "decision.resume" }

// compactArgs is the job that merges the small chunks of a log.
type compactArgs struct {
	Deployment string `json:"deployment"`
}

// Kind is the job's name.
func (compactArgs) Kind() string { return "logs.compact" }

// jobs are the engine's jobs: short or long, repeatable, and allowed to be
// lost. Leases, the step journal and the ticker make it right.
type jobs struct {
	engine *Engine
	client *river.Client[*sql.Tx]

	mu       sync.Mutex
	inserted map[any]time.Time // when the ticker last inserted a job
	// parked are units whose target does not answer, and until when the ticker
	// leaves them alone.
	parked map[advanceArgs]time.Time
}

type advanceWorker struct {
	river.WorkerDefaults[advanceArgs]

	engine *Engine
}

// Work carries the unit on. A failure was logged and is the ticker's to
// repeat.
func (w *advanceWorker) Work(ctx context.Context, job *river.Job[advanceArgs]) error {
	return w.engine.logged(ctx, w.engine.Advance(access.With(ctx, access.Engine()), job.Args.Service, job.Args.Environment), "advance", job.Args)
}

type rulesWorker struct {
	river.WorkerDefaults[rulesArgs]

	engine *Engine
}

// Work lets the rules answer.
func (w *rulesWorker) Work(ctx context.Context, job *river.Job[rulesArgs]) error {
	return w.engine.logged(ctx, w.engine.answer(access.With(ctx, access.Engine()), job.Args.Deployment), "rules", job.Args)
}

type resumeWorker struct {
	river.WorkerDefaults[resumeArgs]

	engine *Engine
}

// Work decides again what was held.
func (w *resumeWorker) Work(ctx context.Context, job *river.Job[resumeArgs]) error {
	return w.engine.logged(ctx, w.engine.resumeIn(access.With(ctx, access.Engine()), job.Args.Environment), "resume", job.Args)
}

type compactWorker struct {
	river.WorkerDefaults[compactArgs]

	engine *Engine
}

// Work merges the chunks. When it is lost they stay small, nothing else.
func (w *compactWorker) Work(ctx context.Context, job *river.Job[compactArgs]) error {
	return w.engine.logged(ctx, w.engine.lines.Compact(ctx, job.Args.Deployment), "compact", job.Args)
}

// logged logs a failure once; the job is over either way, the ticker repeats
// what is still due.
func (e *Engine) logged(ctx context.Context, err error, job string, args any) error {
	if err != nil && ctx.Err() == nil && !errors.Is(err, store.ErrNotOwner) && !errors.Is(err, errParked) {
		e.log.WarnContext(ctx, "a job failed and will be repeated", "job", job, "args", args, "error", err)
	}

	return nil
}

func newJobs(e *Engine) (*jobs, error) {
	all := river.NewWorkers()
	river.AddWorker(all, &advanceWorker{engine: e})
	river.AddWorker(all, &rulesWorker{engine: e})
	river.AddWorker(all, &resumeWorker{engine: e})
	river.AddWorker(all, &compactWorker{engine: e})

	client, err := river.NewClient(e.store.JobDriver(), &river.Config{
		Queues:            map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: workers}},
		Workers:           all,
		FetchCooldown:     10 * time.Millisecond,
		FetchPollInterval: fetchPoll,
		JobTimeout:        -1, // a rollout takes as long as it takes; its lease ends it
		// What became of a deployment is in the deployment.
		CompletedJobRetentionPeriod: 10 * time.Minute,
		DiscardedJobRetentionPeriod: time.Hour,
		CancelledJobRetentionPeriod: time.Hour,
		Logger:                      slog.New(quiet{e.log.Handler()}),
		MaxAttempts:                 1,
	})
	if err != nil {
		return nil, fmt.Errorf("job engine: %w", err)
	}

	return &jobs{engine: e, client: client, inserted: map[any]time.Time{}, parked: map[advanceArgs]time.Time{}}, nil
}

func (j *jobs) advance(ctx context.Context, tx *store.Tx, serviceID, environmentID string) error {
	return j.insert(ctx, tx, advanceArgs{Service: serviceID, Environment: environmentID})
}

func (j *jobs) rules(ctx context.Context, tx *store.Tx, deploymentID string) error {
	return j.insert(ctx, tx, rulesArgs{Deployment: deploymentID})
}

func (j *jobs) resume(ctx context.Context, tx *store.Tx, environmentID string) error {
	return j.insert(ctx, tx, resumeArgs{Environment: environmentID})
}

// compact asks for the log to be compacted once nothing much is written to it.
func (j *jobs) compact(ctx context.Context, tx *store.Tx, deploymentID string) error {
	_, err := j.client.InsertTx(ctx, tx.SQL(), compactArgs{Deployment: deploymentID}, &river.InsertOpts{ScheduledAt: time.Now().Add(compactAfter)})
	if err != nil {
		return fmt.Errorf("insert job: %w", err)
	}

	return nil
}

func (j *jobs) insert(ctx context.Context, tx *store.Tx, args river.JobArgs) error {
	if _, err := j.client.InsertTx(ctx, tx.SQL(), args, nil); err != nil {
		return fmt.Errorf("insert job %s: %w", args.Kind(), err)
	}

	return nil
}

// Run works off jobs and looks for what is due until ctx ends; then it hands
// over what is under way and waits for it.
func (e *Engine) Run(ctx context.Context) error {
	// Jobs end with their own context, so that they can give their leases
	// free with a database that still answers.
	if err := e.jobs.client.Start(context.WithoutCancel(ctx)); err != nil {
		return fmt.Errorf("start the job engine: %w", err)
	}

	ticker := time.NewTicker(tick)
	defer ticker.Stop()

	for {
		if err := e.jobs.due(ctx); err != nil && ctx.Err() == nil {
			e.log.WarnContext(ctx, "looking for what is due", "error", err)
		}

		select {
		case <-ticker.C:
		case <-ctx.Done():
			stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*store.Term)
			defer cancel()

			if err := e.jobs.client.StopAndCancel(stopping); err != nil {
				return fmt.Errorf("stop the job engine: %w", err)
			}

			return nil
		}
	}
}

// due inserts jobs for the units that have something unfinished and no living
// owner, for events that the rules have not answered, and for what nothing holds
// any more.
func (j *jobs) due(ctx context.Context) error {
	taken, dead, err := j.engine.leases.Watch(ctx)
	if err != nil {
		return err
	}

	var units []struct {
		ServiceID     string `json:"service_id"`
		EnvironmentID string `json:"environment_id"`
	}

	read := j.engine.store.Read

	err = read.Deployment.Query().Where(deployment.FinishedAtIsNil(), deployment.Or(deployment.StatusNEQ(deployment.StatusWAITING), deployment.StopRequestedAtNotNil())).
		Unique(true).Select(deployment.FieldServiceID, deployment.FieldEnvironmentID).Scan(ctx, &units)
	if err != nil {
		return store.Classify(err)
	}

	unanswered, err := read.Deployment.Query().
		Where(deployment.RulesEventIDNotNil(), deployment.FinishedAtLT(store.Now().Add(-late))).Limit(workers).IDs(ctx)
	if err != nil {
		return store.Classify(err)
	}

	resumable, err := j.engine.resumable(ctx)
	if err != nil {
		return err
	}

	var args []river.JobArgs

	for _, environmentID := range resumable {
		args = append(args, resumeArgs{Environment: environmentID})
	}

	for _, u := range units {
		if taken[unitLease(u.ServiceID, u.EnvironmentID)] {
			continue
		}

		args = append(args, advanceArgs{Service: u.ServiceID, Environment: u.EnvironmentID})
	}

	for _, deploymentID := range unanswered {
		args = append(args, rulesArgs{Deployment: deploymentID})
	}

	args = j.notLately(args)
	if len(args) == 0 {
		return nil
	}

	return j.engine.store.WithTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		many := make([]river.InsertManyParams, len(args))
		due := map[string]bool{}

		for i, a := range args {
			many[i] = river.InsertManyParams{Args: a}

			if unit, ok := a.(advanceArgs); ok {
				due[unitLease(unit.Service, unit.Environment)] = true
			}
		}

		// Any replica may come to do it, not only we who have seen the owner
		// dead. In one order, so that no two replicas wait for each other.
		for _, name := range slices.Sorted(maps.Keys(dead)) {
			if !due[name] {
				continue
			}

			if err := tx.Bury(ctx, dead[name]); err != nil {
				return err
			}
		}

		_, err := j.client.InsertManyTx(ctx, tx.SQL(), many)

		return err
	})
}

// park leaves a unit alone for a while, but for whoever has news of it.
func (j *jobs) park(serviceID, environmentID string) {
	j.mu.Lock()
	defer j.mu.Unlock()

	j.parked[advanceArgs{Service: serviceID, Environment: environmentID}] = time.Now().Add(absentParked)
}

// unpark lets the ticker look at all of them: one target answers again.
func (j *jobs) unpark() {
	j.mu.Lock()
	defer j.mu.Unlock()

	clear(j.parked)
}

// notLately leaves out what was inserted a moment ago, and what is parked.
func (j *jobs) notLately(args []river.JobArgs) []river.JobArgs {
	j.mu.Lock()
	defer j.mu.Unlock()

	now := time.Now()
	for key, at := range j.inserted {
		if now.Sub(at) >= again {
			delete(j.inserted, key)
		}
	}

	maps.DeleteFunc(j.parked, func(_ advanceArgs, until time.Time) bool { return now.After(until) })

	var kept []river.JobArgs

	for _, a := range args {
		if unit, ok := a.(advanceArgs); ok && !j.parked[unit].IsZero() {
			continue
		}

		if _, lately := j.inserted[a]; !lately {
			j.inserted[a] = now
			kept = append(kept, a)
		}
	}

	return kept
}

// askRules stores that the rules have to answer a success, and the job for it.
func (e *Engine) askRules(ctx context.Context, tx *store.Tx, d *db.Deployment, eventID string) error {
	if d.Backfill {
		return nil
	}

	if err := tx.Deployment.UpdateOneID(d.ID).SetRulesEventID(eventID).Exec(ctx); err != nil {
		return err
	}

	return e.jobs.rules(ctx, tx, d.ID)
}

// quiet drops the job engine's chatter below warnings.
type quiet struct{ slog.Handler }

func (q quiet) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && q.Handler.Enabled(ctx, level)
}

func (q quiet) WithAttrs(attrs []slog.Attr) slog.Handler { return quiet{q.Handler.WithAttrs(attrs)} }

func (q quiet) WithGroup(name string) slog.Handler { return quiet{q.Handler.WithGroup(name)} }
