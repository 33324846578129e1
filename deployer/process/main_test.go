//go:build unix

package process

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/shiplog/shiplog/deployer"
	"github.com/shiplog/shiplog/deployer/deployertest"
	"github.com/shiplog/shiplog/internal/spec"
)

// The test binary is also the program that is executed again, and the
// application that is deployed.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		// Not os.Exit, before which the race detector waits for a second.
		switch os.Args[1] {
		case "process-shim":
			syscall.Exit(RunShim(os.Args[2:]))
		case "process-proxy":
			syscall.Exit(RunProxy(os.Args[2:]))
		case "test-app":
			syscall.Exit(runApp(os.Args[2], os.Args[3:]))
		case "test-server":
			fmt.Fprintln(os.Stderr, runServer(os.Args[2:]))
			syscall.Exit(1)
		}
	}

	goleak.VerifyTestMain(m)
}

// runApp is the application: what it does is its first argument.
func runApp(mode string, args []string) int {
	switch mode {
	case "serve":
		for i := range deployertest.StartLines {
			fmt.Printf("line %d\n", i+1)
		}

		return serve(args[0])
	case "crash":
		fmt.Fprintln(os.Stderr, "about to fail")

		return deployertest.CrashCode
	case "hang":
		fmt.Println("not listening")
	case "count":
		count(args[0])
	case "wild":
		fmt.Print("a\x00b\nc\xffd\n10%\r20%\ndos\r\n", strings.Repeat("x", 1<<20), "\nafter\nno newline")
	case "env":
		for _, line := range os.Environ() {
			fmt.Println(line)
		}

		for fd := range 20 {
			if to, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd)); err == nil {
				fmt.Println("fd=" + to)
			}
		}

		fmt.Println("end")
	case "clock":
		for range time.Tick(20 * time.Millisecond) {
			fmt.Println(time.Now().UnixMicro())
		}
	case "unwell":
		unwell := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusServiceUnavailable)
		})
		if err := http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), unwell); err != nil {
			return 1
		}
	case "family":
		// A child in the same group, and one in a session of its own.
		for _, attr := range []*syscall.SysProcAttr{{}, {Setsid: true}} {
			cmd := exec.Command(os.Args[0], "test-app", "hang")
			cmd.SysProcAttr, cmd.Stdout = attr, os.Stdout
			if err := cmd.Start(); err != nil {
				return 1
			}

			fmt.Println("child", cmd.Process.Pid)
		}
	case "stubborn":
		signal.Ignore(syscall.SIGTERM)
		fmt.Println("ignoring")
	}

	// Until a signal; a bare select would be a deadlock to the runtime.
	signals := make(chan os.Signal, 1)
	if mode != "stubborn" {
		signal.Notify(signals, syscall.SIGTERM)
	}

	for range signals {
		return 0
	}

	return 0
}

func serve(revision string) int {
	server := &http.Server{
		Addr: "127.0.0.1:" + os.Getenv("PORT"), ReadHeaderTimeout: time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, revision) }),
	}

	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer cancel()

	ended := make(chan error, 1)
	go func() { ended <- server.ListenAndServe() }()

	select {
	case err := <-ended:
		fmt.Fprintln(os.Stderr, err)

		return 1
	case <-ctx.Done():
	}

	if err := server.Shutdown(context.Background()); err != nil {
		return 1
	}

	return 0
}

// count writes numbered lines for ever, or as many as it is told.
func count(limit string) {
	n, err := strconv.Atoi(limit)
	if err != nil {
		return
	}

	out, pace := bufio.NewWriter(os.Stdout), time.Tick(time.Millisecond)
	for i := 1; n == 0 || i <= n; i++ {
		fmt.Fprintf(out, "number %d\n", i)

		if n == 0 || i == n {
			_ = out.Flush()
		}

		if n == 0 {
			<-pace
		}
	}
}

func testConfig(t *testing.T, dir string) Config {
	t.Helper()

	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}

	return Config{
		Dir: dir, Program: []string{exe}, Grace: 2 * time.Second, Drain: 100 * time.Millisecond,
		BackoffFirst: 20 * time.Millisecond, BackoffMax: 200 * time.Millisecond,
	}
}

// target is an empty directory that is left without a process.
func target(t *testing.T) string {
	t.Helper()

	dir := t.TempDir()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()

		if err := open(t, dir).StopAll(ctx); err != nil {
			t.Errorf("stop what the test started: %v", err)
		}

		if left := shims(t, dir); len(left) > 0 {
			t.Errorf("processes are left: %v", left)
		}

		ownLogs(t, dir)
	})

	return dir
}

// ownLogs checks that the detached processes met no race and did not panic.
func ownLogs(t *testing.T, dir string) {
	t.Helper()

	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".log") {
			return err
		}

		data, err := os.ReadFile(path)
		if strings.Contains(string(data), "DATA RACE") || strings.Contains(string(data), "goroutine ") {
			t.Errorf("%s says:\n%s", path, data)
		}

		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func open(t *testing.T, dir string) *Deployer {
	t.Helper()

	d, err := New(testConfig(t, dir))
	if err != nil {
		t.Fatal(err)
	}

	return d
}

// shims finds the detached processes of a directory, by their arguments.
func shims(t *testing.T, dir string) map[int]string {
	t.Helper()

	found := map[int]string{}

	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}

	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			continue // it has ended
		}

		args := strings.Split(strings.TrimRight(string(data), "\x00"), "\x00")
		if len(args) == 3 && strings.HasPrefix(args[1], "process-") && strings.HasPrefix(args[2], dir) {
			pid, err := strconv.Atoi(strings.Split(f, "/")[2])
			if err != nil {
				t.Fatal(err)
			}

			found[pid] = args[2]
		}
	}

	return found
}

// app is a snapshot that runs the test application.
func app(t *testing.T, change func(*spec.Process), mode string, args ...string) *spec.Snapshot {
	t.Helper()

	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}

	p := spec.Process{
		Kind: "Process", Name: "hello", Replicas: 1, StartupSeconds: 20,
		Containers: map[string]spec.ProcessContainer{
			"web": {Command: []string{exe, "test-app"}, Args: append([]string{mode}, args...)},
		},
	}
	if change != nil {
		change(&p)
	}

	raw, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}

	return &spec.Snapshot{
		Renderer: spec.RendererVersion, Target: spec.TargetProcess,
		Objects: map[string]json.RawMessage{"Process/hello": raw},
	}
}

func withPort(p *spec.Process) { p.Ports = map[string]spec.ProcessPort{"http": {TargetPort: 8080}} }

func actOf(t *testing.T, deployment string, epoch int64, s *spec.Snapshot) deployer.Act {
	t.Helper()

	act := deployer.Act{
		Unit: deployer.Unit{Service: "hello", Environment: "dev"}, Deployment: deployment, Epoch: epoch, Snapshot: s,
	}
	if s != nil {
		act.Digest = deployertest.DigestOf(t, s)
	}

	return act
}

// within polls until check holds.
func within(t *testing.T, limit time.Duration, check func() error) {
	t.Helper()

	for end := time.Now().Add(limit); ; {
		err := check()
		if err == nil {
			return
		}

		if time.Now().After(end) {
			t.Fatalf("not within %s: %v", limit, err)
		}

		<-time.After(5 * time.Millisecond)
	}
}

// settle applies the act and rolls it out to a verdict.
func settle(t *testing.T, d *Deployer, act deployer.Act) deployer.Progress {
	t.Helper()

	if _, err := d.Apply(t.Context(), act); err != nil {
		t.Fatal(err)
	}

	var p deployer.Progress

	within(t, 30*time.Second, func() error {
		var err error
		if p, err = d.Rollout(t.Context(), act); err == nil && p.Verdict == deployer.Progressing {
			err = errors.New(p.Message)
		}

		return err
	})

	return p
}

func settleReady(t *testing.T, d *Deployer, act deployer.Act) {
	t.Helper()

	if p := settle(t, d, act); p.Verdict != deployer.Ready {
		t.Fatalf("verdict %s: %+v", p.Verdict, p.Diagnosis)
	}
}

// texts reads all output of the unit and checks that positions are complete.
func texts(t *testing.T, d *Deployer) []deployer.Line {
	t.Helper()

	lines, err := d.Read(t.Context(), deployer.Unit{Service: "hello", Environment: "dev"}, nil, 1<<20)
	if err != nil {
		t.Fatal(err)
	}

	return lines
}
