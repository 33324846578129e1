// Shiplog: the memory of deployments and the engine that makes them.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/shiplog/shiplog/deployer/process"
	"github.com/shiplog/shiplog/internal/cli"
	"github.com/shiplog/shiplog/server"
)

// version is set at link time.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once

	os.Exit(cli.Run(ctx, os.Args[1:], cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}, cli.Program{
		Version: version, Now: time.Now, Shim: process.RunShim, Proxy: process.RunProxy,
		Serve: func(ctx context.Context, o cli.ServeOptions, ready func(url string)) error {
			return server.Run(ctx, config(o), ready)
		},
		Migrate: func(ctx context.Context, o cli.ServeOptions, out io.Writer) error {
			return server.Migrate(ctx, config(o), out)
		},
	}))
}

func config(o cli.ServeOptions) server.Config {
	return server.Config{
		Listen: o.Listen, Database: o.Database, Data: o.Data, Token: o.Token, Dev: o.Dev,
		StopProcesses: o.StopProcesses, Connections: o.Connections, PlainRegistries: o.PlainRegistries, Log: o.Log, Version: version,
	}
}
