package faults

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// replica is one process of the program, which can be ended and started again
// at the same address.
type replica struct {
	program, data, database, addr, log string

	mu   sync.Mutex
	cmd  *exec.Cmd
	gone chan struct{}
}

// newReplica makes a replica and starts it; it ends with the test.
func newReplica(t *testing.T, data, database string) *replica {
	t.Helper()

	addr := freeAddress(t)
	r := &replica{
		program: shared(t).program, data: data, database: database, addr: addr,
		log: filepath.Join(t.TempDir(), "server.log"),
	}

	t.Cleanup(func() {
		if err := r.kill(); err != nil {
			t.Error(err)
		}

		if t.Failed() {
			t.Logf("the end of the log of %s:\n%s", addr, tail(r.log, 8000))
		}
	})

	if err := r.start(t.Context()); err != nil {
		t.Fatal(err)
	}

	return r
}

// freeAddress is one that is free now and stays so while the replica is down:
// below the ports that outgoing connections are given, and beside those of
// what is deployed.
func freeAddress(t *testing.T) string {
	t.Helper()

	for range 100 {
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(10_000+rand.IntN(8_000)))

		listener, err := net.Listen("tcp", addr)
		if err != nil {
			continue
		}

		if err := listener.Close(); err != nil {
			t.Fatal(err)
		}

		return addr
	}

	t.Fatal("no port is free")

	return ""
}

func tail(path string, n int) string {
	content, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}

	return string(content[max(0, len(content)-n):])
}

// url is where GraphQL is.
func (r *replica) url() string { return "http://" + r.addr + "/graphql" }

// start starts the process and waits until it answers.
func (r *replica) start(ctx context.Context) error {
	log, err := os.OpenFile(r.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()

	cmd := exec.Command(r.program, "serve", "--dev", "--listen", r.addr, "--data", r.data, "--database", r.database)
	cmd.Stdout, cmd.Stderr = log, log

	if err := cmd.Start(); err != nil {
		return err
	}

	gone := make(chan struct{})

	go func() {
		_ = cmd.Wait() // it is killed more often than not
		close(gone)
	}()

	r.mu.Lock()
	r.cmd, r.gone = cmd, gone
	r.mu.Unlock()

	return r.ready(ctx, gone)
}

func (r *replica) ready(ctx context.Context, gone <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()

	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.addr+"/readyz", nil)
		if err != nil {
			return err
		}

		if answer, err := http.DefaultClient.Do(request); err == nil {
			status := answer.StatusCode
			if err := answer.Body.Close(); err != nil {
				return err
			}

			if status == http.StatusOK {
				return nil
			}
		}

		select {
		case <-gone:
			return fmt.Errorf("the server ended at its start:\n%s", tail(r.log, 4000))
		case <-ctx.Done():
			return fmt.Errorf("the server does not get ready:\n%s", tail(r.log, 4000))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (r *replica) process() (*os.Process, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()

	return r.cmd.Process, r.gone
}

func (r *replica) pid() int {
	p, _ := r.process()

	return p.Pid
}

// signal sends a signal; a process that has ended gets none.
func (r *replica) signal(s syscall.Signal) error {
	p, _ := r.process()
	if err := p.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}

	return nil
}

// kill kills the process, the way a crash does, and waits for its end.
func (r *replica) kill() error {
	if r.cmd == nil {
		return nil
	}

	if err := r.signal(syscall.SIGKILL); err != nil {
		return err
	}

	_, gone := r.process()
	<-gone

	return nil
}

// stop asks the process to end in order and says how long it took.
func (r *replica) stop() (time.Duration, error) {
	began := time.Now()

	if err := r.signal(syscall.SIGTERM); err != nil {
		return 0, err
	}

	_, gone := r.process()

	select {
	case <-gone:
	case <-time.After(time.Minute):
		return time.Since(began), errors.New("the server does not end")
	}

	r.mu.Lock()
	defer r.mu.Unlock()

	if code := r.cmd.ProcessState.ExitCode(); code != 0 {
		return time.Since(began), fmt.Errorf("the server ended with %d:\n%s", code, tail(r.log, 2000))
	}

	return time.Since(began), nil
}

// marked gives the environments of the living processes that have the mark.
func marked(mark string) ([]map[string]string, error) {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}

	var found []map[string]string

	for _, dir := range dirs {
		raw, err := os.ReadFile(filepath.Join(dir, "environ"))
		if err != nil || !strings.Contains(string(raw), markVariable+"="+mark+"\x00") {
			continue // ended a moment ago, or somebody else's
		}

		one := map[string]string{"pid": filepath.Base(dir)}

		for entry := range strings.SplitSeq(string(raw), "\x00") {
			if key, value, ok := strings.Cut(entry, "="); ok {
				one[key] = value
			}
		}

		found = append(found, one)
	}

	return found, nil
}
