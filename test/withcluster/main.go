// Command withcluster brings up the Kubernetes cluster for tests, and runs a
// command with the variables that tell tests how to reach it:
//
//	go run ./test/withcluster go test ./test/kube/...
//	go run ./test/withcluster -up     bring it up, and say how to reach it
//	go run ./test/withcluster -down   end it (-wipe: and forget what it holds)
//
// The cluster stays up afterwards: the next command finds it in no time. A
// cluster that you have, named by SHIPLOG_TEST_KUBECONFIG and
// SHIPLOG_TEST_REGISTRY, is used as it is.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/shiplog/shiplog/test/cluster"
)

func main() {
	up := flag.Bool("up", false, "bring the cluster up and say how to reach it")
	down := flag.Bool("down", false, "end the cluster")
	wipe := flag.Bool("wipe", false, "with -down: forget what it holds; programs that were built stay")

	flag.Parse()

	code, err := run(*up, *down, *wipe, flag.Args())
	if err != nil {
		fmt.Fprintln(os.Stderr, "withcluster:", err)

		code = max(code, 1)
	}

	os.Exit(code)
}

func run(up, down, wipe bool, command []string) (int, error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	config := cluster.Config{Progress: os.Stderr}

	if down {
		return 0, cluster.Down(ctx, config, wipe)
	}

	if !up && len(command) == 0 {
		return 2, errors.New("usage: withcluster -up | -down [-wipe] | COMMAND [ARGUMENT …]")
	}

	found, err := cluster.Yours(ctx, config)
	if err == nil && found == nil {
		found, err = cluster.Up(ctx, config)
	}

	if err != nil {
		return 1, err
	}

	if up {
		fmt.Printf("export KUBECONFIG=%s\n", found.Kubeconfig)

		for _, variable := range found.Environment() {
			fmt.Printf("export %s\n", variable)
		}

		return 0, nil
	}

	return with(found, command)
}

func with(found *cluster.Cluster, command []string) (int, error) {
	// The command gets the terminal's signals itself.
	signal.Ignore(os.Interrupt, syscall.SIGTERM)

	child := exec.Command(command[0], command[1:]...)
	child.Stdin, child.Stdout, child.Stderr = os.Stdin, os.Stdout, os.Stderr
	child.Env = append(os.Environ(), found.Environment()...)

	if err := child.Run(); err != nil {
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			return max(exit.ExitCode(), 1), nil
		}

		return 1, err
	}

	return 0, nil
}
