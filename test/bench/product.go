package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"time"

	"github.com/shiplog/shiplog/server"
)

// product is how a server is started: as the built program, or, with profiles,
// in this one.
type product struct{ path, profiles string }

func (p *product) start(ctx context.Context, name string, args ...string) (*program, error) {
	environment := []string{"SHIPLOG_TOKEN=" + token}
	if p.profiles == "" {
		return start(ctx, environment, p.path, args...)
	}

	self, err := os.Executable()
	if err != nil {
		return nil, err
	}

	return start(ctx, environment, self, append(args, "-profile", filepath.Join(p.profiles, name))...)
}

// serveProfiled is the product's server in this program. It leaves a profile
// of the CPU from its start to its end, and one of the heap when it was
// largest.
func serveProfiled(ctx context.Context, args []string) (err error) {
	config := server.Config{Token: token}
	flags := flag.NewFlagSet("serve", flag.ContinueOnError)
	profile := flags.String("profile", "", "path of the profiles, which end in .cpu and .heap")

	flags.StringVar(&config.Listen, "listen", "127.0.0.1:0", "where to listen")
	flags.StringVar(&config.Database, "database", "", "sqlite:PATH or postgres://…")
	flags.StringVar(&config.Data, "data", "", "folder of the server's files")
	flags.BoolVar(&config.Dev, "dev", false, "deploy processes")
	flags.BoolVar(&config.StopProcesses, "stop-processes", false, "end them at the end")

	if err := flags.Parse(args); err != nil {
		return err
	}

	file, err := os.Create(*profile + ".cpu")
	if err != nil {
		return err
	}

	defer func() { err = errors.Join(err, file.Close()) }()

	if err := pprof.StartCPUProfile(file); err != nil {
		return err
	}
	defer pprof.StopCPUProfile()

	watching, stop := context.WithCancel(ctx)
	watched := make(chan error, 1)

	go func() { watched <- keepHeap(watching, *profile+".heap") }()

	err = server.Run(ctx, config, func(url string) { fmt.Fprintf(os.Stderr, "serving on %s \n", url) })

	stop()

	return errors.Join(err, <-watched)
}

// keepHeap writes a profile of the heap whenever it is the largest so far.
func keepHeap(ctx context.Context, path string) error {
	var (
		tick  = time.NewTicker(time.Second)
		most  uint64
		stats runtime.MemStats
	)

	defer tick.Stop()

	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}

		runtime.ReadMemStats(&stats)

		if held := stats.HeapInuse + stats.StackInuse; held > most {
			most = held

			if err := writeHeap(path); err != nil {
				return err
			}
		}
	}
}

func writeHeap(path string) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}

	return errors.Join(pprof.Lookup("heap").WriteTo(file, 0), file.Close())
}
