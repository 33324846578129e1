package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/shiplog/shiplog/test/bench/dataset"
)

// pair is the server and the limit on one filled database.
type pair struct {
	server, limit *program
	// postgres is the process whose children do the database's work, 0 when
	// there is none.
	postgres int
	queries  []*prepared
}

// pair starts both and checks that they answer with the same values.
func (s *stage) pair(ctx context.Context, database string, size dataset.Size, only []string) (p *pair, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}

	p = &pair{}
	if p.postgres, err = postmaster(ctx, database); err != nil {
		return nil, err
	}

	if p.server, err = s.serve(ctx, database, false); err != nil {
		return nil, err
	}

	if p.limit, err = start(ctx, nil, self, "limit", "-database", database); err != nil {
		return nil, errors.Join(err, p.server.stop())
	}

	if p.queries, err = prepare(ctx, size, p.server.address, p.limit.address, only); err != nil {
		return nil, errors.Join(err, p.stop())
	}

	return p, nil
}

func (p *pair) stop() error { return errors.Join(p.server.stop(), p.limit.stop()) }

// comparison compares by hand, on a database that fill made.
func comparison(ctx context.Context, args []string) (err error) {
	flags := flag.NewFlagSet("compare", flag.ContinueOnError)
	s := &stage{options: &options{}, section: "compare"}
	flags.StringVar(&s.program.path, "program", "bin/shiplog", "the built shiplog")
	flags.StringVar(&s.program.profiles, "profiles", "", "a folder for profiles of the server")
	flags.StringVar(&s.dir, "dir", os.TempDir(), "folder for the server's files")

	database := flags.String("database", "", "sqlite:PATH or postgres://…, filled")
	total := flags.Int("deployments", 0, "as given to fill")
	full := flags.Bool("full", false, "as given to fill")
	only := flags.String("only", "", "some queries, such as Q1,Q4")
	rounds := flags.Int("rounds", 7, "slices of each side")
	length := flags.Duration("slice", time.Second, "length of a slice")
	conns := flags.Int("conns", 16, "connections")

	if err := flags.Parse(args); err != nil {
		return err
	}

	size := dataset.Small()
	if *total > 0 {
		size = dataset.Of(*total)
	} else if *full {
		size = dataset.Full()
	}

	var wanted []string
	if *only != "" {
		wanted = strings.Split(*only, ",")
	}

	p, err := s.pair(ctx, *database, size, wanted)
	if err != nil {
		return err
	}

	defer func() { err = errors.Join(err, p.stop()) }()

	for _, q := range p.queries {
		c, err := compare(ctx, q, p.server, p.limit, p.postgres, *conns, *rounds, *length)
		if err != nil {
			return err
		}

		fmt.Printf("%-8s %2d conns  %7.0f/s  ratio %.2f ± %.2f (cpu × %.1f)  p50 %s p99 %s  cpu/request %s, database %s  load %s\n", q.name, c.conns,
			c.ours.perSecond, c.ratio, c.spread, c.cpuRatio, c.ours.p50.Round(time.Microsecond*10), c.ours.p99.Round(time.Microsecond*10),
			c.ours.cpu.Round(time.Microsecond), c.ours.database.Round(time.Microsecond), load())
	}

	return nil
}
