package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ratios compares the portal's queries with the limit.
func ratios(ctx context.Context, s *stage) (err error) {
	const conns = 16

	database, size, err := s.history(ctx, either(s.options, 100_000, 2_000_000))
	if err != nil {
		return err
	}

	p, err := s.pair(ctx, database, size, nil)
	if err != nil {
		return err
	}

	defer func() { err = errors.Join(err, p.stop()) }()

	for _, q := range p.queries {
		c, err := compare(ctx, q, p.server, p.limit, p.postgres, conns, either(s.options, 5, 9), either(s.options, 700*time.Millisecond, 2*time.Second))
		if err != nil {
			return err
		}

		s.add(row{
			what:    fmt.Sprintf("%s %s, %s deployments, %d connections", q.name, q.what, count(float64(size.Total())), conns),
			figures: fmt.Sprintf("%s/s, %s, CPU %s a request", count(c.ours.perSecond), spread(c.ours.p50, c.ours.p99), span(c.ours.cpu)),
			beside:  fmt.Sprintf("%s/s, CPU %s", count(c.theirs.perSecond), span(c.theirs.cpu)),
			ratio:   fmt.Sprintf("%.2f ± %.2f (CPU × %.1f)", c.ratio, c.spread, c.cpuRatio),
			goals:   []goal{atLeast("", c.ratio, q.goal), atMost("CPU ×", c.cpuRatio, q.cpuGoal)},
		})
	}

	return nil
}
