//go:build unix

// Package memory asks a whole server, through its public API alone, whether it
// remembers rightly: a real release history, random ones, paging, statements,
// and refusals of bad input, on both databases.
package memory

import (
	"flag"
	"os"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"github.com/shiplog/shiplog/deployer/process"
)

// The test binary is also the program that the process deployer executes.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "process-shim":
			syscall.Exit(process.RunShim(os.Args[2:]))
		case "process-proxy":
			syscall.Exit(process.RunProxy(os.Args[2:]))
		}
	}

	flag.Parse()
	goleak.VerifyTestMain(m)
}
