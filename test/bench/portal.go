package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// slice is what was measured in one slice of time.
type slice struct {
	perSecond float64
	// p50 and p99 of the answers' times.
	p50, p99 time.Duration
	// cpu a request, of the server and of the database, and of the database
	// alone where it is a process of its own.
	cpu, database time.Duration
}

// side is one of the two that are compared.
type side struct {
	program  *program
	requests [][]byte
}

// measure sends requests over so many connections for so long.
func (s side) measure(ctx context.Context, postgres, conns int, length time.Duration) (slice, error) {
	var (
		group sync.WaitGroup
		next  atomic.Int64
		times = make([][]time.Duration, conns)
		errs  = make([]error, conns)
	)

	before, databaseBefore := cpu(s.program.pid()), family(postgres)
	began := time.Now()
	end := began.Add(length)

	for i := range conns {
		group.Go(func() { times[i], errs[i] = s.send(ctx, &next, end) })
	}

	group.Wait()

	took := time.Since(began)
	database := since(databaseBefore, family(postgres))
	used := cpu(s.program.pid()) - before + database

	for _, err := range errs {
		if err != nil {
			return slice{}, err
		}
	}

	all := slices.Concat(times...)
	if len(all) == 0 {
		return slice{}, ctx.Err()
	}

	slices.Sort(all)

	return slice{
		perSecond: float64(len(all)) / took.Seconds(), p50: quantile(all, 0.5), p99: quantile(all, 0.99),
		cpu: used / time.Duration(len(all)), database: database / time.Duration(len(all)),
	}, nil
}

func (s side) send(ctx context.Context, next *atomic.Int64, end time.Time) (times []time.Duration, err error) {
	c, err := dial(s.program.address)
	if err != nil {
		return nil, err
	}
	defer c.close()

	for now := time.Now(); now.Before(end) && ctx.Err() == nil; {
		if _, err := c.do(s.requests[int(next.Add(1))%len(s.requests)]); err != nil {
			return nil, err
		}

		after := time.Now()
		times, now = append(times, after.Sub(now)), after
	}

	return times, nil
}

// compared is a query at one number of connections: the medians over rounds.
type compared struct {
	query *prepared
	conns int
	// The limit's are theirs.
	ours, theirs slice
	// ratio of throughputs and of the CPU a request, and how far the rounds'
	// ratios are apart (half the range between the quartiles).
	ratio, cpuRatio, spread float64
}

// compare measures both sides in short slices, one after the other, first the
// one and then the other, and gives the medians.
func compare(ctx context.Context, p *prepared, server, limit *program, postgres, conns, rounds int, length time.Duration) (compared, error) {
	ours, limits := side{server, p.ours}, side{limit, p.limits}

	for _, warm := range []side{ours, limits} {
		if _, err := warm.measure(ctx, postgres, conns, length/2); err != nil {
			return compared{}, err
		}
	}

	var mine, theirs []slice

	for round := range rounds {
		pair := [2]side{ours, limits}
		if round%2 == 1 {
			pair = [2]side{limits, ours}
		}

		for _, s := range pair {
			got, err := s.measure(ctx, postgres, conns, length)
			if err != nil {
				return compared{}, fmt.Errorf("%s: %w", p.name, err)
			}

			if s.program == server {
				mine = append(mine, got)
			} else {
				theirs = append(theirs, got)
			}
		}
	}

	c := compared{query: p, conns: conns}

	var ratios, cpus []float64

	for i := range mine {
		ratios = append(ratios, mine[i].perSecond/theirs[i].perSecond)
		cpus = append(cpus, float64(mine[i].cpu)/float64(max(theirs[i].cpu, 1)))
	}

	slices.Sort(ratios)

	c.ratio, c.cpuRatio, c.spread = median(ratios), median(cpus), (ratios[len(ratios)*3/4]-ratios[len(ratios)/4])/2
	c.ours, c.theirs = medians(mine), medians(theirs)

	return c, nil
}

// medians are those of every figure.
func medians(all []slice) slice {
	return slice{
		perSecond: medianOf(all, func(s slice) float64 { return s.perSecond }),
		p50:       medianOf(all, func(s slice) time.Duration { return s.p50 }),
		p99:       medianOf(all, func(s slice) time.Duration { return s.p99 }),
		cpu:       medianOf(all, func(s slice) time.Duration { return s.cpu }),
		database:  medianOf(all, func(s slice) time.Duration { return s.database }),
	}
}

// quantile of sorted values.
func quantile[T any](sorted []T, q float64) T {
	return sorted[min(len(sorted)-1, int(float64(len(sorted))*q))]
}

func median[T cmp.Ordered](values []T) T {
	sorted := slices.Sorted(slices.Values(values))

	return quantile(sorted, 0.5)
}

func medianOf[T any, V cmp.Ordered](values []T, of func(T) V) V {
	all := make([]V, len(values))
	for i, v := range values {
		all[i] = of(v)
	}

	return median(all)
}
