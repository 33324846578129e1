// Command withpostgres runs a command with SHIPLOG_TEST_POSTGRES set to a
// Postgres server that may be filled with throwaway databases:
//
//	go run ./test/withpostgres go test ./...
//
// A server named by SHIPLOG_TEST_POSTGRES is used as it is. Otherwise one is
// started (package test/postgres) and ended with the command.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/shiplog/shiplog/test/postgres"
)

const variable = "SHIPLOG_TEST_POSTGRES"

func main() {
	code, err := run(context.Background())
	if err != nil {
		fmt.Fprintln(os.Stderr, "withpostgres:", err)

		code = max(code, 1)
	}

	os.Exit(code)
}

func run(ctx context.Context) (code int, err error) {
	if len(os.Args) < 2 {
		return 2, errors.New("usage: withpostgres COMMAND [ARGUMENT …]")
	}

	// The command gets the terminal's signals itself; this process only has
	// to stay until it has ended, so that the server is ended too.
	signal.Ignore(os.Interrupt, syscall.SIGTERM)

	url := os.Getenv(variable)
	if url == "" {
		// Nothing here is to outlive the server.
		server, err := postgres.Start(ctx, "synchronous_commit=off")
		if err != nil {
			return 1, fmt.Errorf("%w (or set %s)", err, variable)
		}

		defer func() { err = errors.Join(err, server.Remove()) }()

		url = server.URL
	}

	command := exec.Command(os.Args[1], os.Args[2:]...)
	command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stdout, os.Stderr
	command.Env = append(os.Environ(), variable+"="+url)

	if err := command.Run(); err != nil {
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			return max(exit.ExitCode(), 1), nil
		}

		return 1, err
	}

	return 0, nil
}
