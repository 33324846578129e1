package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/shiplog/shiplog/test/bench/dataset"
)

// grown is a server on a history of one size.
type grown struct {
	deployments int
	program     *program
	size        dataset.Size
	queries     []*prepared
	p50         []time.Duration // by round
}

// growth asks the portal's queries of servers on histories of different
// sizes, one request at a time, in turns.
func growth(ctx context.Context, s *stage) (err error) {
	const most = 1.3

	sizes := either(s.options, []int{10_000, 100_000}, []int{10_000, 100_000, 1_000_000})
	all := make([]*grown, len(sizes))

	defer func() {
		for _, g := range all {
			if g != nil {
				err = errors.Join(err, g.program.stop())
			}
		}
	}()

	for i, n := range sizes {
		if all[i], err = s.grow(ctx, n); err != nil {
			return err
		}
	}

	for i, q := range all[0].queries {
		if err := inTurns(ctx, all, i, either(s.options, 5, 9)); err != nil {
			return fmt.Errorf("%s: %w", q.name, err)
		}

		var (
			figures []string
			first   = median(all[0].p50)
			last    = median(all[len(all)-1].p50)
			ratio   = float64(last) / float64(first)
		)

		for _, g := range all {
			figures = append(figures, fmt.Sprintf("%s with %s", span(median(g.p50)), count(float64(g.deployments))))
			g.p50 = nil
		}

		s.add(row{
			what: q.name + " " + q.what + ", over histories", figures: "p50 " + strings.Join(figures, ", "),
			ratio: fmt.Sprintf("%.2f", ratio), goals: []goal{atMost("", ratio, most)},
		})
	}

	return nil
}

func (s *stage) grow(ctx context.Context, deployments int) (*grown, error) {
	database, size, err := s.history(ctx, deployments)
	if err != nil {
		return nil, err
	}

	p, err := s.serve(ctx, database, false)
	if err != nil {
		return nil, err
	}

	g := &grown{deployments: size.Total(), program: p, size: size}
	if g.queries, err = requests(ctx, size, p.address, "", nil); err != nil {
		return nil, errors.Join(err, p.stop())
	}

	return g, nil
}

// inTurns measures one query on every server in each round, the first round
// for warming up.
func inTurns(ctx context.Context, all []*grown, query, rounds int) error {
	const length = 300 * time.Millisecond

	for round := range rounds + 1 {
		for _, g := range all {
			one, err := side{g.program, g.queries[query].ours}.measure(ctx, 0, 1, length)
			if err != nil {
				return err
			}

			if round > 0 {
				g.p50 = append(g.p50, one.p50)
			}
		}
	}

	return nil
}
