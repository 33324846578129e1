package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// audience is so many viewers of a log of so many lines a second.
type audience struct {
	viewers, rate int
	// least is the goal of delivered lines a second and most that of the CPU
	// for each of them; p50 and p99 those of the time from a line to a viewer;
	// memory that of the server above idle. Zero for none.
	least    int
	most     time.Duration
	p50, p99 time.Duration
	memory   int64
}

func audiences() []audience {
	return []audience{
		{viewers: 1, rate: 10, p50: 30 * time.Millisecond},
		{viewers: 10, rate: 10_000},
		{viewers: 100, rate: 10_000, least: 900_000, most: 400 * time.Nanosecond, p50: 30 * time.Millisecond, p99: 150 * time.Millisecond},
		{viewers: 1_000, rate: 1_000, least: 900_000, most: 500 * time.Nanosecond, memory: 80 << 20},
	}
}

const logDocument = `subscription ($d: ID!) { deploymentLogs(deployment: $d, until: REPLACED) { lines { text } cursor } }`

// fanOut shows a log that is being written, and stored, to viewers, each
// number of them on a server of its own.
func fanOut(ctx context.Context, s *stage) error {
	length := either(s.options, 5, 20)

	for _, a := range audiences() {
		ours, idle, err := s.watched(ctx, a, length)
		if err != nil {
			return err
		}

		// The limit has no store: it is the same for all databases, and is
		// measured beside each.
		theirs, err := s.watchedLimit(ctx, a, length)
		if err != nil {
			return fmt.Errorf("the limit: %w", err)
		}

		a.rows(s, ours, theirs, idle)
	}

	return nil
}

// rows tell what came of it.
func (a *audience) rows(s *stage, ours, theirs delivery, idle int64) {
	what := fmt.Sprintf("log to %s × %s lines/s", count(float64(a.viewers)), count(float64(a.rate)))

	if a.viewers > 1 {
		r := row{
			what:    what,
			figures: fmt.Sprintf("%s/s, server CPU %.2f µs a line (database %.2f)", count(ours.perSecond), micros(ours.cpu), micros(ours.database)),
			beside:  fmt.Sprintf("%s/s, %.2f µs", count(theirs.perSecond), micros(theirs.cpu)),
			ratio:   fmt.Sprintf("%.2f (CPU × %.1f)", ours.perSecond/theirs.perSecond, float64(ours.cpu)/float64(max(theirs.cpu, 1))),
		}

		if a.least > 0 {
			r.goals = []goal{atLeast("lines/s", ours.perSecond, float64(a.least)).as("≥ %s/s", count(float64(a.least))), atMost("CPU", ours.cpu, a.most)}
		}

		s.add(r)
	}

	r := row{
		what: what + ": to the viewer", figures: fmt.Sprintf("%s; lost %d, doubled %d", spread(ours.p50, ours.p99), ours.lost, ours.doubled),
		beside: spread(theirs.p50, theirs.p99), ratio: fmt.Sprintf("%.1f", float64(ours.p50)/float64(max(theirs.p50, 1))),
	}

	if a.p50 > 0 {
		r.goals = append(r.goals, atMost("p50", ours.p50, a.p50))
	}

	if a.p99 > 0 {
		r.goals = append(r.goals, atMost("p99", ours.p99, a.p99))
	}

	r.goals = append(r.goals, goal{"lost, doubled 0", ours.lost == 0 && ours.doubled == 0})
	s.add(r)

	if a.memory > 0 {
		above := ours.memory - idle
		s.add(row{
			what: what + ": memory above idle", figures: fmt.Sprintf("%d MB above %d MB", above>>20, idle>>20),
			beside: fmt.Sprintf("%d MB in all", theirs.memory>>20), goals: []goal{{fmt.Sprintf("≤ %d MB", a.memory>>20), above <= a.memory}},
		})
	}
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// talker is a server with a running producer.
type talker struct {
	server *program
	// deployment is whose log it is, producer the base URL of what writes.
	deployment, producer string
}

// deployed starts the product on a fresh database and deploys the producer.
func (s *stage) deployed(ctx context.Context) (t *talker, err error) {
	database, err := s.empty(ctx)
	if err != nil {
		return nil, err
	}

	p, err := s.serve(ctx, database, true)
	if err != nil {
		return nil, err
	}

	defer func() {
		if err != nil {
			err = errors.Join(err, p.stop())
		}
	}()

	app, err := newApplication(ctx, p.address, "bench-log", s.producer)
	if err != nil {
		return nil, err
	}

	id, err := app.register(ctx)
	if err != nil {
		return nil, err
	}

	deployment, err := app.succeeded(ctx, id)
	if err != nil {
		return nil, err
	}

	if len(deployment.Endpoints) == 0 {
		return nil, fmt.Errorf("%s has no endpoint", id)
	}

	return &talker{server: p, deployment: id, producer: deployment.Endpoints[0].URL}, rest(ctx, time.Second)
}

// watched lets viewers watch a process that the product deployed.
func (s *stage) watched(ctx context.Context, a audience, length int) (d delivery, idle int64, err error) {
	t, err := s.deployed(ctx)
	if err != nil {
		return d, 0, err
	}

	defer func() { err = errors.Join(err, t.server.stop()) }()

	idle = resident(t.server.pid())
	from := source{
		pid: t.server.pid(), postmaster: s.postmaster, address: t.server.address, producer: t.producer,
		document: logDocument, variables: object{"d": t.deployment},
	}
	d, err = from.deliver(ctx, a.viewers, a.rate*length, a.rate)

	return d, idle, err
}

// watchedLimit is the same with the least that can be done.
func (s *stage) watchedLimit(ctx context.Context, a audience, length int) (d delivery, err error) {
	self, err := os.Executable()
	if err != nil {
		return d, err
	}

	p, err := start(ctx, nil, self, "fan", "-producer", s.producer)
	if err != nil {
		return d, err
	}

	defer func() { err = errors.Join(err, p.stop()) }()

	from := source{pid: p.pid(), address: p.address, producer: "http://" + p.address, document: "subscription { logs }"}

	return from.deliver(ctx, a.viewers, a.rate*length, a.rate)
}
