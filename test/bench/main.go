// Command bench measures the whole product beside its goals and beside the
// limit of what this machine can do, on both databases:
//
//	make bench ARGS="[-long] [-only portal,…] [-databases postgres,sqlite] [-profiles DIR]"
//
// With -profiles the servers leave where their time and their memory went.
// Single parts can be had by hand: fill makes a database of a size, compare
// compares the portal's queries on it.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/shiplog/shiplog/deployer/process"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)

	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) > 0 {
		switch args[0] {
		case "limit":
			return serveLimit(ctx, args[1:])
		case "fan":
			return serveFan(ctx, args[1:])
		case "serve":
			return serveProfiled(ctx, args[1:])
		case "compare":
			return comparison(ctx, args[1:])
		case "fill":
			return fill(ctx, args[1:])
		case "process-shim":
			syscall.Exit(process.RunShim(args[1:]))
		case "process-proxy":
			syscall.Exit(process.RunProxy(args[1:]))
		}
	}

	return suite(ctx, args)
}
