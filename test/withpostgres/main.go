// Command withpostgres runs a command with SHIPLOG_TEST_POSTGRES set to a
// Postgres server that may be filled with throwaway databases:
//
//	go run ./test/withpostgres go test ./...
//
// A server named by SHIPLOG_TEST_POSTGRES is used as it is. Otherwise one is
// started (package test/postgres) and ended with the command.
//
// With -durable as its first argument the server that is started keeps what it
// acknowledged, as a real one does, and has room to keep all in memory: for
// figures that are to mean something.
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
	command, settings := os.Args[1:], throwaway()
	if len(command) > 0 && command[0] == "-durable" {
		command, settings = command[1:], durable()
	}

	if len(command) == 0 {
		return 2, errors.New("usage: withpostgres [-durable] COMMAND [ARGUMENT …]")
	}

	// The command gets the terminal's signals itself; this process only has
	// to stay until it has ended, so that the server is ended too.
	signal.Ignore(os.Interrupt, syscall.SIGTERM)

	url := os.Getenv(variable)
	if url == "" {
		server, err := postgres.Start(ctx, settings...)
		if err != nil {
			return 1, fmt.Errorf("%w (or set %s)", err, variable)
		}

		defer func() { err = errors.Join(err, server.Remove()) }()

		url = server.URL
	}

	child := exec.CommandContext(ctx, command[0], command[1:]...)
	child.Stdin, child.Stdout, child.Stderr = os.Stdin, os.Stdout, os.Stderr
	child.Env = append(os.Environ(), variable+"="+url)

	if err := child.Run(); err != nil {
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			return max(exit.ExitCode(), 1), nil
		}

		return 1, err
	}

	return 0, nil
}

// throwaway settings are for data that nobody misses after a crash.
func throwaway() []string { return []string{"synchronous_commit=off"} }

// durable settings keep what was acknowledged; a large history stays in
// memory, and no checkpoint of the filling falls into what is measured.
func durable() []string {
	return []string{
		"fsync=on", "full_page_writes=on", "synchronous_commit=on",
		"shared_buffers=1GB", "max_wal_size=8GB", "checkpoint_timeout=30min",
	}
}
