package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/shiplog/shiplog/internal/client"
	"github.com/shiplog/shiplog/internal/fault"
)

// run carries out a command line and gives what it printed.
func run(t *testing.T, args ...string) (code int, out, errors string) {
	t.Helper()

	var stdout, stderr bytes.Buffer

	code = Run(t.Context(), args, Streams{In: strings.NewReader(""), Out: &stdout, Err: &stderr}, Program{
		Version: "test",
		Now:     func() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) },
		Shim:    func(args []string) int { return 40 + len(args) },
		Proxy:   func(args []string) int { return 50 + len(args) },
	})

	return code, stdout.String(), stderr.String()
}

func TestProcessHelpersComeBeforeEverything(t *testing.T) {
	t.Parallel()

	if code, _, _ := run(t, "process-shim", "--help", "-x"); code != 42 {
		t.Errorf("process-shim ended with %d", code)
	}

	if code, _, _ := run(t, "process-proxy"); code != 50 {
		t.Errorf("process-proxy ended with %d", code)
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()

	cases := map[string][]string{
		"an unknown command":        {"fly"},
		"a missing argument":        {"deploy", "hello"},
		"an unknown flag":           {"where", "--moon"},
		"a value that is no choice": {"check", "report", "hello", "1.0.0", "e2e", "splendid"},
		"a server that is no URL":   {"--server", "127.0.0.1", "where"},
		"a layer without a name":    {"config", "set", "--var", "A=B"},
		"a layer without content":   {"config", "set", "--service", "hello"},
		"a moment that is none":     {"where", "--at", "yesterday-ish"},
		"a file that is not there":  {"version", "register", "hello", "1.0.0", "--score", "/nowhere/score.yaml"},
	}
	for name, args := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			code, out, errors := run(t, args...)
			if code != exitUsage || out != "" || strings.Count(errors, "\n") != 1 || !strings.HasPrefix(errors, "shiplog: ") {
				t.Errorf("ended with %d, out %q, errors %q", code, out, errors)
			}
		})
	}
}

func TestHelpTeaches(t *testing.T) {
	t.Parallel()

	first, _, _ := strings.Cut(exitHelp, "\n")
	for _, args := range [][]string{{}, {"--help"}} {
		code, out, _ := run(t, args...)
		if code != exitOK || !strings.Contains(out, first) {
			t.Errorf("%v ended with %d:\n%s", args, code, out)
		}

		for code := range []int{exitOK, exitFailed, exitUsage, exitRefused, exitUnreachable, exitTimeout, exitNotDone} {
			if !strings.Contains(out, fmt.Sprintf("\n    %d ", code)) {
				t.Errorf("--help does not explain the exit code %d", code)
			}
		}
	}

	for _, args := range [][]string{
		{"serve"},
		{"demo"},
		{"migrate"},
		{"service", "create"},
		{"environment", "create"},
		{"rule", "put"},
		{"config", "set"},
		{"config", "show"},
		{"version", "register"},
		{"check", "report"},
		{"deploy"},
		{"redeploy"},
		{"rollback"},
		{"undeploy"},
		{"cancel"},
		{"resolve"},
		{"where"},
		{"matrix"},
		{"deployments"},
		{"deployment", "show"},
		{"logs"},
		{"wait"},
		{"record"},
		{"events"},
	} {
		code, out, _ := run(t, append(args, "--help")...)
		if code != exitOK || !strings.Contains(out, "shiplog "+strings.Join(args, " ")) ||
			!strings.Contains(out, "Examples:") {
			t.Errorf("%v --help ended with %d, without an example:\n%s", args, code, out)
		}
	}
}

func TestExitCodes(t *testing.T) {
	t.Parallel()

	cases := map[string]struct {
		err  error
		code int
	}{
		"nothing":           {nil, exitOK},
		"failed":            {&outcomeError{status: "FAILED"}, exitFailed},
		"errored":           {&outcomeError{status: "ERRORED"}, exitFailed},
		"cancelled":         {&outcomeError{status: "CANCELLED"}, exitNotDone},
		"rejected":          {&outcomeError{status: "REJECTED"}, exitNotDone},
		"superseded":        {&outcomeError{status: "SUPERSEDED"}, exitNotDone},
		"usage":             {usage("no"), exitUsage},
		"refused":           {fmt.Errorf("a: %w", &client.Error{Code: fault.Locked}), exitRefused},
		"unreachable":       {&client.Unreachable{Cause: io.EOF}, exitUnreachable},
		"timed out":         {fmt.Errorf("%w after 3s", errTimedOut), exitTimeout},
		"interrupted":       {fmt.Errorf("a: %w", context.Canceled), exitInterrupted},
		"a missed claim":    {&missError{}, exitFailed},
		"anything else":     {errors.New("odd"), exitFailed},
		"no server, at all": {errors.Join(&client.Unreachable{Cause: io.EOF}, errors.New("x")), exitUnreachable},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			if got := exitCode(tc.err); got != tc.code {
				t.Errorf("%v gives %d, want %d", tc.err, got, tc.code)
			}
		})
	}
}

var update = flag.Bool("update", false, "write the golden files anew")

// TestTables prints canned answers as tables; testdata/NAME.json is the answer,
// testdata/NAME.txt the table.
func TestTables(t *testing.T) {
	t.Parallel()

	cases := map[string][]string{
		"services":         {"service", "list"},
		"environments":     {"environment", "list"},
		"rules":            {"rule", "list"},
		"evaluateRules":    {"rule", "test", "hello", "1.1.0"},
		"registerVersion":  {"version", "register", "hello", "1.1.0"},
		"version":          {"version", "show", "hello", "1.1.0"},
		"placements":       {"where"},
		"matrix":           {"matrix"},
		"deployments":      {"deployments"},
		"deployment":       {"deployment", "show", "deployment_01k"},
		"eventsPage":       {"events"},
		"lastLogs":         {"logs", "deployment_01k", "--last", "10"},
		"refused":          {"deploy", "hello", "1.1.0", "production"},
		"setConfiguration": {"config", "set", "--service", "hello", "--replicas", "2"},
		"deployPlan":       {"deploy", "hello", "1.1.0", "production", "--dry-run"},
	}
	for name, args := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			answer, err := os.ReadFile(filepath.Join("testdata", name+".json"))
			if err != nil {
				t.Fatal(err)
			}

			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if _, err := w.Write(answer); err != nil {
					t.Error(err)
				}
			}))
			defer server.Close()

			code, out, errors := run(t, append([]string{"--server", server.URL}, args...)...)
			golden(t, name+".txt", fmt.Sprintf("%s%sexit %d\n", out, errors, code))

			if code != exitOK {
				return
			}

			var want struct{ Data json.RawMessage }
			if err := json.Unmarshal(answer, &want); err != nil {
				t.Fatal(err)
			}

			_, out, _ = run(t, append([]string{"--server", server.URL, "-o", "json"}, args...)...)

			var got, data any
			if json.Unmarshal([]byte(out), &got) != nil || json.Unmarshal(want.Data, &data) != nil ||
				fmt.Sprint(got) != fmt.Sprint(data) {
				t.Errorf("-o json printed %s", out)
			}
		})
	}
}

// golden compares with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()

	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}

	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}

	if got != string(want) {
		t.Errorf("%s is\n%s\nwant\n%s\n(go test -update writes it anew)", path, got, want)
	}
}
