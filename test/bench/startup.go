package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// startup starts the product on an existing database, some times, and looks at
// its memory when it has nothing to do.
func startup(ctx context.Context, s *stage) error {
	const (
		starts = 5
		quiet  = 3 * time.Second
	)

	database, size, err := s.history(ctx, either(s.options, 100_000, 2_000_000))
	if err != nil {
		return err
	}

	var (
		took        []time.Duration
		held, files []int64
	)

	for range starts {
		p, err := s.serve(ctx, database, true)
		if err != nil {
			return err
		}

		took = append(took, p.tookToStart)

		if err := errors.Join(rest(ctx, quiet), p.stopped(&held, &files)); err != nil {
			return err
		}
	}

	what := fmt.Sprintf(" with %s deployments", count(float64(size.Total())))
	s.add(row{
		what: "start to ready" + what, figures: "median " + span(median(took)) + " of " + strconv.Itoa(starts),
		goals: []goal{atMost("", median(took), time.Second)},
	})
	s.add(row{
		what: "idle memory" + what, figures: fmt.Sprintf("median %d MB resident, %d MB of it pages of files", median(held)>>20, median(files)>>20),
		goals: []goal{{"≤ 60 MB", median(held) <= 60<<20}},
	})

	return nil
}

// stopped notes the program's memory and stops it.
func (p *program) stopped(held, files *[]int64) error {
	*held, *files = append(*held, resident(p.pid())), append(*files, mapped(p.pid()))

	return p.stop()
}
