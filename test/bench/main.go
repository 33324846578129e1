// Command bench measures the whole product beside its goals and beside the
// limit of what this machine can do, on both databases:
//
//	go run ./test/withpostgres go run ./test/bench [-long] [-only portal,…] [-databases postgres,sqlite]
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
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
		case "serve":
			return serveProfiled(ctx, args[1:])
		case "compare":
			return comparison(ctx, args[1:])
		case "fill":
			return fill(ctx, args[1:])
		}
	}

	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	if err := flags.Parse(args); err != nil {
		return err
	}

	return nil
}
