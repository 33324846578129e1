//go:build unix

package hostile

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/shiplog/shiplog/internal/store/storetest"
	"github.com/shiplog/shiplog/server"
)

// api is a running server.
type api struct {
	t   testing.TB
	url string
	// log is what it wrote.
	log *logbook
	// database is the URL of its database.
	database string
	// pid is its process.
	pid    int
	client *http.Client
}

func newAPI(t testing.TB, dialect string) *api {
	a := &api{t: t, log: &logbook{}, database: storetest.URL(t, dialect), client: &http.Client{Timeout: patience, Transport: &http.Transport{MaxIdleConnsPerHost: 100}}}
	t.Cleanup(a.client.CloseIdleConnections)

	return a
}

// of gives the same server for a subtest.
func (a *api) of(t testing.TB) *api {
	b := *a
	b.t = t

	return &b
}

// host is the address without the scheme.
func (a *api) host() string { return strings.TrimPrefix(a.url, "http://") }

// start runs the built program on a fresh database until the test ends.
// Variables are SHIPLOG_… settings; without any the server is a --dev one.
func start(t testing.TB, dialect string, variables ...string) *api {
	t.Helper()

	if len(variables) == 0 {
		variables = []string{"SHIPLOG_DEV=true"}
	}

	a := newAPI(t, dialect)
	a.log.watch = regexp.MustCompile(`serving on (http://[0-9.:]+)`)
	a.log.seen = make(chan string, 1)

	command := exec.Command(os.Getenv(programVariable), "serve", "--listen", "127.0.0.1:0", "--data", t.TempDir(), "--database", a.database, "--stop-processes")
	command.Env = append(os.Environ(), variables...)
	command.Stdout, command.Stderr = a.log, a.log
	command.WaitDelay = time.Second // what it deployed may hold its output open

	if err := command.Start(); err != nil {
		t.Fatal(err)
	}

	a.pid = command.Process.Pid
	ended := make(chan error, 1)

	go func() { ended <- command.Wait() }()

	t.Cleanup(func() {
		if err := command.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error("the server is gone: ", err)
		}

		if err := <-ended; err != nil {
			t.Errorf("the server ended: %v\n%s", err, a.log)
		}
	})

	select {
	case a.url = <-a.log.seen:
	case err := <-ended:
		ended <- err
		t.Fatalf("the server did not start: %v\n%s", err, a.log)
	case <-time.After(patience):
		t.Fatalf("the server did not start in time\n%s", a.log)
	}

	return a
}

// embed runs a server in this process until the test ends; hook is called
// after each of its statements.
func embed(t testing.TB, dialect string, hook func(ctx context.Context, query string)) *api {
	t.Helper()

	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}

	a := newAPI(t, dialect)
	a.pid = os.Getpid()
	config := server.Config{
		Listen: "127.0.0.1:0", Database: a.database, Data: t.TempDir(), Dev: true, StopProcesses: true,
		Program: []string{program}, Log: a.log, Version: "test",
		Statement: func(ctx context.Context, query string, _ time.Duration, _ error) { hook(ctx, query) },
	}

	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ready, ended := make(chan string, 1), make(chan error, 1)

	go func() { ended <- server.Run(ctx, config, func(url string) { ready <- url }) }()

	t.Cleanup(func() {
		a.client.CloseIdleConnections()
		stop()

		if err := <-ended; err != nil {
			t.Error("the server ended: ", err)
		}
	})

	select {
	case a.url = <-ready:
	case err := <-ended:
		ended <- err
		t.Fatal("the server did not start: ", err)
	}

	return a
}

// logbook takes what a server writes and looks for one thing in it.
type logbook struct {
	watch *regexp.Regexp
	seen  chan string

	mu   sync.Mutex
	text bytes.Buffer
}

// Write takes output.
func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()

	n, err := l.text.Write(p)

	if l.watch != nil {
		if found := l.watch.FindSubmatch(l.text.Bytes()); found != nil {
			l.watch = nil
			l.seen <- string(found[1])
		}
	}

	return n, err
}

// String gives all that was written.
func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()

	return l.text.String()
}

// eventually waits for the condition and says whether it came.
func eventually(condition func() bool) bool {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()

	for deadline := time.Now().Add(patience); !condition(); <-tick.C {
		if time.Now().After(deadline) {
			return false
		}
	}

	return true
}
