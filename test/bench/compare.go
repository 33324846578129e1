package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
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

// newPair starts both and checks that they answer with the same values.
func newPair(ctx context.Context, product, database string, size dataset.Size, dir string, only []string) (p *pair, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}

	p = &pair{}
	if p.postgres, err = postmaster(ctx, database); err != nil {
		return nil, err
	}

	command := []string{product, "serve", "--listen", "127.0.0.1:0", "--database", database, "--data", dir}
	if product == "" { // with a profile
		command = []string{self, "serve", "-database", database, "-data", dir, "-profile", filepath.Join(dir, "cpu.pprof")}
	}

	if p.server, err = start(ctx, []string{"SHIPLOG_TOKEN=" + token}, command[0], command[1:]...); err != nil {
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
	product := flags.String("program", "", "the built shiplog; without it this program's own server, with a profile in -dir")
	database := flags.String("database", "", "sqlite:PATH or postgres://…, filled")
	total := flags.Int("deployments", 0, "as given to fill")
	full := flags.Bool("full", false, "as given to fill")
	only := flags.String("only", "", "some queries, such as Q1,Q4")
	rounds := flags.Int("rounds", 7, "slices of each side")
	length := flags.Duration("slice", time.Second, "length of a slice")
	conns := flags.Int("conns", 16, "connections")
	dir := flags.String("dir", os.TempDir(), "folder for the server's files and the profile")

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

	p, err := newPair(ctx, *product, *database, size, *dir, wanted)
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
