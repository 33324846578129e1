//go:build unix

package process

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shiplog/shiplog/deployer"
	"github.com/shiplog/shiplog/internal/spec"
)

func TestReplaceUnderLoad(t *testing.T) {
	t.Parallel()

	d := open(t, target(t))
	two := func(p *spec.Process) {
		withPort(p)
		p.Replicas = 2
	}

	first := actOf(t, "d1", 1, app(t, two, "serve", "r1"))

	applied, err := d.Apply(t.Context(), first)
	if err != nil {
		t.Fatal(err)
	}

	settleReady(t, d, first)

	endpoint := applied.Endpoints["http"]
	ctx, cancel := context.WithCancel(t.Context())

	var (
		asking sync.WaitGroup
		asked  atomic.Int64
	)

	for range 4 {
		asking.Go(func() {
			for ctx.Err() == nil {
				got, err := reach(context.WithoutCancel(ctx), endpoint)
				if err != nil || !strings.HasPrefix(got, "r") {
					t.Errorf("answer %q: %v", got, err)

					return
				}

				asked.Add(1)
			}
		})
	}

	for n := 2; n <= 6; n++ {
		mode := "serve"
		if n == 4 {
			mode = "crash"
		}

		act := actOf(t, "d"+strconv.Itoa(n), int64(n), app(t, two, mode, "r"+strconv.Itoa(n)))

		p := settle(t, d, act)
		if n != 4 {
			if p.Verdict != deployer.Ready {
				t.Errorf("verdict %s: %+v", p.Verdict, p.Diagnosis)
			}

			// New connections go to the new content from the verdict on.
			if got, err := reach(t.Context(), endpoint); err != nil || got != "r"+strconv.Itoa(n) {
				t.Errorf("%q (%v) after r%d became ready", got, err, n)
			}

			continue
		}

		if _, err := d.Abandon(t.Context(), act); err != nil {
			t.Error(err)
		}
	}

	cancel()
	asking.Wait()
	t.Logf("%d answers, no error", asked.Load())
}

func TestUnchangedKeepsProcesses(t *testing.T) {
	t.Parallel()

	d := open(t, target(t))
	s := app(t, withPort, "serve", "a")

	pids := func() map[string]int {
		u, err := d.unitDir(actOf(t, "", 0, nil).Unit)
		if err != nil {
			t.Fatal(err)
		}

		runs, err := u.list()
		if err != nil {
			t.Fatal(err)
		}

		found := map[string]int{}
		for _, r := range runs {
			found[string(r)] = r.readState().Process
		}

		return found
	}

	settleReady(t, d, actOf(t, "d1", 1, s))
	before := pids()
	settleReady(t, d, actOf(t, "d2", 2, s))

	if after := pids(); fmt.Sprint(before) != fmt.Sprint(after) || len(after) != 1 {
		t.Errorf("processes %v, want the same as before: %v", after, before)
	}
}

func TestDiagnoses(t *testing.T) {
	t.Parallel()

	dir := t.TempDir()

	private := filepath.Join(dir, "private")
	if err := os.WriteFile(private, []byte("#!/bin/sh\n"), 0o600); err != nil {
		t.Fatal(err)
	}

	shell := func(script string) spec.ProcessContainer {
		return spec.ProcessContainer{Command: []string{"sh", "-c", script}}
	}

	for name, c := range map[string]struct {
		container spec.ProcessContainer
		ports     bool
		kind      deployer.DiagnosisKind
		summary   string
		exit      int
		signal    string
		last      string
	}{
		"exit code": {container: shell("echo last; exit 7"), kind: deployer.Crashed, summary: "exit code 7", exit: 7, last: "last"},
		"exit 0":    {container: shell("echo done"), kind: deployer.Crashed, summary: "exit code 0", exit: 0, last: "done"},
		"signal":    {container: shell("echo x; kill -9 $$"), kind: deployer.Crashed, summary: "SIGKILL", exit: -1, signal: "SIGKILL", last: "x"},
		"no newline at the end": {
			container: shell("printf unfinished; exit 1"), kind: deployer.Crashed, summary: "exit code 1", exit: 1, last: "unfinished",
		},
		"not found": {
			container: spec.ProcessContainer{Command: []string{"no-such-thing"}},
			kind:      deployer.StartFailed, summary: "not found", exit: -1,
		},
		"not executable": {
			container: spec.ProcessContainer{Command: []string{private}},
			kind:      deployer.StartFailed, summary: "may not be executed", exit: -1,
		},
		"not listening": {
			container: shell("echo up; exec sleep 60"), ports: true,
			kind: deployer.NotReady, summary: "connection refused", exit: -1, last: "up",
		},
		"answers 503": {
			container: spec.ProcessContainer{
				Command:   []string{os.Args[0], "test-app", "unwell"},
				Readiness: &spec.ReadinessProbe{Path: "/ready", TargetPort: 8080},
			},
			ports: true, kind: deployer.NotReady, summary: "503", exit: -1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			d := open(t, target(t))
			act := actOf(t, "d1", 1, app(t, func(p *spec.Process) {
				p.StartupSeconds = 2
				p.Containers["web"] = c.container

				if c.ports {
					withPort(p)
				}
			}, ""))

			p := settle(t, d, act)
			if p.Verdict != deployer.Failed {
				t.Fatalf("verdict %s", p.Verdict)
			}

			g := p.Diagnosis
			if g.Kind != c.kind || !strings.Contains(g.Summary, c.summary) || g.Signal != c.signal {
				t.Errorf("diagnosis %+v, want %s with %q", g, c.kind, c.summary)
			}

			if code := g.ExitCode; (c.exit < 0) != (code == nil) || code != nil && *code != c.exit {
				t.Errorf("exit code %v, want %d", code, c.exit)
			}

			if c.last != "" && (len(g.LastLines) == 0 || g.LastLines[len(g.LastLines)-1] != c.last) {
				t.Errorf("last lines %q, want %q at the end", g.LastLines, c.last)
			}

			if _, err := d.Abandon(t.Context(), act); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestCrashAfterReadyIsRestarted(t *testing.T) {
	t.Parallel()

	d := open(t, target(t))
	settleReady(t, d, actOf(t, "d1", 1, app(t, func(p *spec.Process) {
		p.Containers["web"] = spec.ProcessContainer{Command: []string{"sh", "-c", "echo start; sleep 1.5; exit 4"}}
	}, "")))

	within(t, 15*time.Second, func() error {
		attempts := 0
		for _, l := range texts(t, d) {
			attempts = max(attempts, l.Source.Attempt)
		}

		if attempts < 2 {
			return fmt.Errorf("%d attempts", attempts)
		}

		return nil
	})
}

func TestTakenPortGivesAnother(t *testing.T) {
	t.Parallel()

	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()

	_, text, err := net.SplitHostPort(taken.Addr().String())
	if err != nil {
		t.Fatal(err)
	}

	port, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}

	d := open(t, target(t))
	act := func(n int) deployer.Act {
		return actOf(t, "d"+strconv.Itoa(n), int64(n), app(t, func(p *spec.Process) {
			p.Ports = map[string]spec.ProcessPort{"http": {Port: port, TargetPort: 8080}}
		}, "serve", "r"+strconv.Itoa(n)))
	}

	first, err := d.Apply(t.Context(), act(1))
	if err != nil {
		t.Fatal(err)
	}

	if strings.HasSuffix(first.Endpoints["http"], ":"+text) {
		t.Fatalf("endpoint %s, want another port", first.Endpoints["http"])
	}

	settleReady(t, d, act(1))

	second, err := d.Apply(t.Context(), act(2))
	if err != nil || second.Endpoints["http"] != first.Endpoints["http"] {
		t.Errorf("endpoint %v (%v), want that it stays %v", second.Endpoints, err, first.Endpoints)
	}

	settleReady(t, d, act(2))

	if got, err := reach(t.Context(), second.Endpoints["http"]); err != nil || got != "r2" {
		t.Errorf("%q (%v)", got, err)
	}
}

func TestPortStolenFromTheProxy(t *testing.T) {
	t.Parallel()

	d := open(t, target(t))
	act := actOf(t, "d1", 1, app(t, withPort, "serve", "a"))

	applied, err := d.Apply(t.Context(), act)
	if err != nil {
		t.Fatal(err)
	}

	settleReady(t, d, act)

	if err := d.StopAll(t.Context()); err != nil {
		t.Fatal(err)
	}

	thief, err := net.Listen("tcp", strings.TrimPrefix(applied.Endpoints["http"], "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer thief.Close()

	again := actOf(t, "d2", 2, act.Snapshot)
	settleReady(t, d, again)

	seen, err := d.Observe(t.Context(), act.Unit)
	if err != nil {
		t.Fatal(err)
	}

	if got, err := reach(t.Context(), seen.Endpoints["http"]); err != nil || got != "a" {
		t.Errorf("%s answers %q (%v)", seen.Endpoints["http"], got, err)
	}
}

func TestProxyWithoutReadyInstanceClosesConnections(t *testing.T) {
	t.Parallel()

	d := open(t, target(t))
	act := actOf(t, "d1", 1, app(t, withPort, "hang"))

	applied, err := d.Apply(t.Context(), act)
	if err != nil {
		t.Fatal(err)
	}

	within(t, 10*time.Second, func() error {
		conn, err := net.Dial("tcp", strings.TrimPrefix(applied.Endpoints["http"], "http://"))
		if err != nil {
			return err
		}
		defer conn.Close()

		if _, err := conn.Read(make([]byte, 1)); err == nil {
			t.Error("somebody answers")
		}

		return nil
	})

	if _, err := http.Get(applied.Endpoints["http"]); err == nil {
		t.Error("somebody answers")
	}
}
