// Package life tests the cluster for tests itself, on one of its own beside the
// one that others use: that it comes and goes, and leaves nothing.
package life

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/shiplog/shiplog/test/cluster"
	"github.com/shiplog/shiplog/test/cluster/node"
)

// TestClusterComesAndGoes is one story, as starts take seconds: up, up again,
// its processes killed one way and the other, down, up with what it remembers,
// wiped.
func TestClusterComesAndGoes(t *testing.T) {
	l := newLife(t, "")

	found := l.up(t, "first")
	l.deploy(t, found)

	if took := l.timed(t, "when it is up"); took > time.Second {
		t.Errorf("up when it is up took %s, want less than 1 s", took)
	}

	// A component that dies comes back.
	l.kill(t, "kube-apiserver")
	l.podRuns(t, found)

	// The node's first process: all that is inside goes, and host with it.
	l.killed(t, "process 1", l.pid(t, "init.pid"))
	l.up(t, "after process 1 was killed")

	// The process outside: what is inside goes.
	host, err := node.Running(l.run())
	if err != nil || host == 0 {
		t.Fatalf("process %d outside: %v", host, err)
	}

	l.killed(t, "the process outside", host)

	before := l.up(t, "after the process outside was killed")
	l.podRuns(t, before)

	left := l.leftovers(t)
	start := time.Now()

	if err := cluster.Down(t.Context(), l.config, false); err != nil {
		t.Fatal(err)
	}

	t.Logf("down took %s", time.Since(start).Round(time.Millisecond))
	left.areGone(t)

	after := l.up(t, "with what it remembers")
	if *after != *before {
		t.Errorf("reached by %+v, before by %+v", *after, *before)
	}

	l.podRuns(t, after)

	left = l.leftovers(t)

	if err := cluster.Down(t.Context(), l.config, true); err != nil {
		t.Fatal(err)
	}

	left.areGone(t)

	// Down when it is down is nothing; wiped, only empty folders and locks stay.
	if err := cluster.Down(t.Context(), l.config, true); err != nil {
		t.Fatal(err)
	}

	kept, err := os.ReadDir(l.config.Dir)
	if err != nil || len(kept) != 1 || kept[0].Name() != "lock" {
		t.Errorf("%v is left in the folder, want the lock alone (%v)", kept, err)
	}
}

type life struct{ config cluster.Config }

// newLife prepares a cluster of the test's own; kubelet are further settings.
func newLife(t *testing.T, kubelet string) *life {
	t.Helper()

	shared, err := cluster.Connect()
	if err != nil {
		t.Fatal(err)
	}

	l := &life{cluster.Config{Dir: t.TempDir(), Built: filepath.Dir(shared.App), Kubelet: kubelet, Progress: t.Output()}}

	t.Cleanup(func() {
		if err := cluster.Down(context.Background(), l.config, true); err != nil {
			t.Error(err)
		}
	})

	return l
}

func (l *life) run() string { return filepath.Join(l.config.Dir, "run") }

func (l *life) up(t *testing.T, which string) *cluster.Cluster {
	t.Helper()

	start := time.Now()

	found, err := cluster.Up(t.Context(), l.config)
	if err != nil {
		t.Fatal(err)
	}

	t.Logf("up %s took %s", which, time.Since(start).Round(time.Millisecond))

	return found
}

func (l *life) timed(t *testing.T, which string) time.Duration {
	t.Helper()

	start := time.Now()
	l.up(t, which)

	return time.Since(start)
}

// pid reads a process id that the node left in a file.
func (l *life) pid(t *testing.T, file string) int {
	t.Helper()

	text, err := os.ReadFile(filepath.Join(l.run(), file))
	if err != nil {
		t.Fatal(err)
	}

	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}

	return pid
}

// killed kills a process and waits until the cluster does not run.
func (l *life) killed(t *testing.T, which string, pid int) {
	t.Helper()

	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}

	eventually(t, "the end after "+which+" was killed", func() bool {
		running, err := node.Running(l.run())

		return err == nil && running == 0
	})
}

// kill kills a component, found by its program in this cluster's node.
func (l *life) kill(t *testing.T, component string) {
	t.Helper()

	inside := namespaceOf(t, l.pid(t, "init.pid"))

	for _, p := range processes(t) {
		if strings.HasSuffix(p.program, "/"+component) && p.network == inside {
			if err := syscall.Kill(p.pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}

			return
		}
	}

	t.Fatalf("%s does not run", component)
}

const pod = `{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {
 "selector": {"matchLabels": {"app": "web"}}, "template": {"metadata": {"labels": {"app": "web"}},
 "spec": {"containers": [{"name": "app", "image": "IMAGE"}]}}}}`

func (l *life) deploy(t *testing.T, c *cluster.Cluster) {
	t.Helper()

	ref, err := c.PushApp(t.Context(), "life", "1.0.0", nil)
	if err != nil {
		t.Fatal(err)
	}

	if _, err := c.Run(t.Context(), []byte(strings.Replace(pod, "IMAGE", ref, 1)), "apply", "-f", "-"); err != nil {
		t.Fatal(err)
	}

	l.podRuns(t, c)
}

// podRuns waits until the pod answers: not what its status says, which may be
// of an earlier life.
func (l *life) podRuns(t *testing.T, c *cluster.Cluster) {
	t.Helper()

	eventually(t, "an answer of the pod", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()

		name, err := c.Run(ctx, nil, "get", "pods", "--output", "jsonpath={.items[0].metadata.name}")
		if err != nil {
			return false
		}

		answer, err := c.Run(ctx, nil, "get", "--raw", "/api/v1/namespaces/default/pods/"+string(name)+":8080/proxy/")

		return err == nil && strings.Contains(string(answer), "version 1.0.0")
	})
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()

	start := time.Now()

	for !is() {
		if time.Since(start) > time.Minute {
			t.Fatalf("not within a minute: %s", what)
		}

		<-time.After(50 * time.Millisecond)
	}

	t.Logf("%s after %s", what, time.Since(start).Round(10*time.Millisecond))
}
