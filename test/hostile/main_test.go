//go:build unix

// Package hostile sends a whole server what nobody should: documents that are
// made to cost, bodies without end, broken messages, foreign forms, every kind
// of bad value, and faults of its own code. Each is refused with its code,
// within its time and memory, without an internal word, and afterwards the
// server has as many goroutines and descriptors as before.
//
// The server is the built program, measured from outside by its metrics, except
// where the fault has to be inside of it: then it runs in the test's process.
package hostile

import (
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/shiplog/shiplog/deployer/process"
)

// patience bounds what is waited for.
const patience = 30 * time.Second

const programVariable = "SHIPLOG_HOSTILE_PROGRAM"

// TestMain builds the program. The test binary is also what the process
// deployer executes, of a server in the test's process.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "process-shim":
			syscall.Exit(process.RunShim(os.Args[2:]))
		case "process-proxy":
			syscall.Exit(process.RunProxy(os.Args[2:]))
		}
	}

	os.Exit(buildAndRun(m))
}

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "shiplog-hostile-")
	if err != nil {
		log.Print(err)

		return 1
	}
	defer os.RemoveAll(dir)

	program := filepath.Join(dir, "shiplog")
	if out, err := exec.Command("go", "build", "-o", program, "../..").CombinedOutput(); err != nil {
		log.Printf("go build: %v\n%s", err, out)

		return 1
	}

	if err := os.Setenv(programVariable, program); err != nil {
		log.Print(err)

		return 1
	}

	return m.Run()
}
