// Command all runs Go tests and fails on a skip too: a test that does not run
// proves nothing. It prints a line a package, the output of what failed, and
// closes with "N passed, N failed, N skipped".
//
//	go run ./test/all -race ./...
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// event is one line of go test -json.
type event struct {
	Action  string
	Package string
	Test    string
	Output  string
	Elapsed float64
	// ImportPath names what did not build.
	ImportPath string
}

// key names a test.
type key struct{ pkg, test string }

// run is what was seen of a run.
type run struct {
	passed, failed, skipped int
	output                  map[key]*strings.Builder
}

func main() {
	ok, err := tests(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "all:", err)
	}

	if err != nil || !ok {
		os.Exit(1)
	}
}

func tests(args []string) (bool, error) {
	command := exec.Command("go", append([]string{"test", "-json"}, args...)...)
	command.Stderr = os.Stderr

	out, err := command.StdoutPipe()
	if err != nil {
		return false, err
	}

	if err := command.Start(); err != nil {
		return false, err
	}

	r := &run{output: map[key]*strings.Builder{}}
	readErr := r.read(out)
	waitErr := command.Wait()

	fmt.Printf("%d passed, %d failed, %d skipped\n", r.passed, r.failed, r.skipped)

	if exit, ok := errors.AsType[*exec.ExitError](waitErr); ok {
		waitErr = nil // told by what failed

		if r.failed == 0 {
			waitErr = fmt.Errorf("go test ended with exit code %d", exit.ExitCode())
		}
	}

	return r.passed > 0 && r.failed == 0 && r.skipped == 0, errors.Join(readErr, waitErr)
}

func (r *run) read(out io.Reader) error {
	reader := bufio.NewReader(out)

	for {
		line, err := reader.ReadBytes('\n')
		if len(line) > 0 {
			var e event
			if json.Unmarshal(line, &e) != nil {
				fmt.Print(string(line)) // not of the test runner: a build's words
			} else {
				r.take(e)
			}
		}

		if errors.Is(err, io.EOF) {
			return nil
		}

		if err != nil {
			return err
		}
	}
}

func (r *run) take(e event) {
	k := key{e.Package, e.Test}

	switch e.Action {
	case "output":
		if r.output[k] == nil {
			r.output[k] = &strings.Builder{}
		}

		r.output[k].WriteString(e.Output)
	case "build-output":
		fmt.Print(e.Output)
	case "pass", "fail", "skip":
		r.ended(e, k)
	}
}

func (r *run) ended(e event, k key) {
	if e.Test == "" {
		// A package; without tests it is skipped, which is no test's skip.
		if e.Action != "skip" {
			fmt.Printf("%-4s %7.1fs  %s\n", e.Action, e.Elapsed, e.Package)
		}

		if e.Action == "fail" && r.output[k] != nil {
			fmt.Print(r.output[k])
		}

		return
	}

	switch e.Action {
	case "pass":
		r.passed++
	case "fail":
		r.failed++
	case "skip":
		r.skipped++
	}

	if e.Action != "pass" {
		fmt.Printf("--- %s: %s %s\n", e.Action, e.Package, e.Test)

		if r.output[k] != nil {
			fmt.Print(r.output[k])
		}
	}

	delete(r.output, k)
}
