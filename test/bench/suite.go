package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// section measures one thing and adds its rows.
type section struct {
	name, what string
	run        func(ctx context.Context, s *stage) error
}

func sections() []section {
	return []section{
		{"acting", "from a registered version to its first line", acting},
		{"fanout", "a log to many viewers", fanOut},
		{"ingest", "lines into the store", ingest},
		{"pages", "a log of 1,000,000 lines", pages},
		{"portal", "the portal's queries beside hand-written ones", ratios},
		{"growth", "the same over histories of other sizes", growth},
		{"start", "start and idle memory", startup},
	}
}

// suite measures everything that was asked for and prints one table.
func suite(ctx context.Context, args []string) (err error) {
	var options options

	only, databases, err := options.parse(args)
	if err != nil {
		return err
	}

	if options.program.profiles != "" {
		if err := os.MkdirAll(options.program.profiles, 0o750); err != nil {
			return err
		}
	}

	if options.dir, err = os.MkdirTemp("", "shiplog-bench-"); err != nil {
		return err
	}

	defer func() { err = errors.Join(err, os.RemoveAll(options.dir)) }()

	var (
		rows  []row
		errs  []error
		began = time.Now()
	)

	for _, database := range databases {
		measured, err := measure(ctx, &options, database, only)
		rows, errs = append(rows, measured...), append(errs, err)
	}

	progress("done in %s", time.Since(began).Round(time.Second))

	return errors.Join(append(errs, render(os.Stdout, rows))...)
}

// measure measures on one database. What fails is told, and the rest measured.
func measure(ctx context.Context, o *options, database string, only []string) (rows []row, err error) {
	s, err := newStage(ctx, o, database)
	if err != nil {
		return nil, err
	}

	defer func() { err = errors.Join(err, s.close(ctx)) }()

	progress("%s on %d cores, load %s", s.title, runtime.NumCPU(), load())

	var errs []error

	for _, one := range sections() {
		if !slices.Contains(only, one.name) {
			continue
		}

		progress("%s: %s: %s", database, one.name, one.what)

		s.section = one.name
		if failed := one.run(ctx, s); failed != nil {
			errs = append(errs, fmt.Errorf("%s: %s: %w", database, one.name, failed))
		}

		if ctx.Err() != nil {
			break
		}
	}

	return s.rows, errors.Join(errs...)
}

// options are the settings of a run.
type options struct {
	program product
	// producer is what is deployed, dir a folder that goes away.
	producer, dir string
	long          bool
}

func (o *options) parse(args []string) (only, databases []string, err error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.StringVar(&o.program.path, "program", "bin/shiplog", "the built shiplog")
	flags.StringVar(&o.producer, "producer", "bin/bench/produce", "the built test/bench/produce")
	flags.StringVar(&o.program.profiles, "profiles", "", "a folder for CPU and heap profiles of the servers, which then run in this program")
	flags.BoolVar(&o.long, "long", false, "the full data set and the long series; takes an hour")

	var names []string
	for _, one := range sections() {
		names = append(names, one.name)
	}

	onlyFlag := flags.String("only", strings.Join(names, ","), "which rows")
	databasesFlag := flags.String("databases", "sqlite,postgres", "which databases")

	if err := flags.Parse(args); err != nil {
		return nil, nil, err
	}

	only, databases = strings.Split(*onlyFlag, ","), strings.Split(*databasesFlag, ",")

	for _, name := range only {
		if !slices.Contains(names, name) {
			return nil, nil, fmt.Errorf("-only: want some of %s, not %q", strings.Join(names, ","), name)
		}
	}

	for _, path := range []*string{&o.program.path, &o.producer} {
		if *path, err = filepath.Abs(*path); err != nil {
			return nil, nil, err
		}

		if _, err := os.Stat(*path); err != nil {
			return nil, nil, fmt.Errorf("%w: run make bench, which builds it", err)
		}
	}

	return only, databases, nil
}

// either gives the size of the ordinary run or of the long one.
func either[T any](o *options, short, long T) T {
	if o.long {
		return long
	}

	return short
}

// progress tells people what is being done.
func progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, time.Now().Format("15:04:05")+" "+format+"\n", args...)
}
