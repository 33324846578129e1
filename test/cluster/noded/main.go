// Command noded is the stages of a node; package node says what they are.
package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/shiplog/shiplog/test/cluster/node"
)

func main() {
	if err := stage(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "noded:", err)
		os.Exit(1)
	}
}

func stage(args []string) error {
	switch {
	case len(args) == 2 && args[0] == "start":
		return node.Start(args[1])
	case len(args) == 2 && args[0] == "host":
		return node.Host(args[1])
	case len(args) == 2 && args[0] == "init":
		return node.Init(args[1])
	case len(args) == 3 && args[0] == "run":
		return node.Run(args[1], args[2])
	default:
		return errors.New("usage: noded start DIR")
	}
}
