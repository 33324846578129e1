package deploy

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shiplog/shiplog/deployer/kubernetes"
)

// gate is a way to the API server that can be shut: whoever goes through it
// then stands still, as a stopped process does.
type gate struct {
	mu     sync.Mutex
	opened *sync.Cond
	shut   bool
	to     string
	wg     sync.WaitGroup
}

// through gives a kubeconfig file that leads through a gate.
func (b bench) through(t *testing.T) (string, *gate) {
	t.Helper()

	data, err := os.ReadFile(b.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}

	found := regexp.MustCompile(`server: "?(https://[^"\s]+)"?`).FindSubmatch(data)
	if found == nil {
		t.Fatal("the kubeconfig names no server")
	}

	server, err := url.Parse(string(found[1]))
	if err != nil {
		t.Fatal(err)
	}

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}

	g := &gate{to: server.Host}
	g.opened = sync.NewCond(&g.mu)

	ctx, cancel := context.WithCancel(t.Context())

	g.wg.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}

			g.wg.Go(func() { g.carry(ctx, conn) })
		}
	})

	t.Cleanup(func() {
		g.set(false)
		cancel()
		listener.Close()
		g.wg.Wait()
	})

	path := filepath.Join(t.TempDir(), "kubeconfig")
	changed := strings.Replace(string(data), server.Host, listener.Addr().String(), 1)

	if err := os.WriteFile(path, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}

	return path, g
}

func (g *gate) set(shut bool) {
	g.mu.Lock()
	defer g.mu.Unlock()

	g.shut = shut
	g.opened.Broadcast()
}

func (g *gate) carry(ctx context.Context, from net.Conn) {
	to, err := net.Dial("tcp", g.to)
	if err != nil {
		from.Close()

		return
	}

	stop := context.AfterFunc(ctx, func() {
		from.Close()
		to.Close()
	})
	defer stop()

	g.wg.Go(func() {
		_, _ = io.Copy(from, to)
		from.Close()
	})

	defer to.Close()

	part := make([]byte, 32<<10)

	for {
		n, err := from.Read(part)

		g.mu.Lock()
		for g.shut {
			g.opened.Wait()
		}
		g.mu.Unlock()

		if n > 0 {
			if _, err := to.Write(part[:n]); err != nil {
				return
			}
		}

		if err != nil {
			return
		}
	}
}

// TestPausedOwnerWritesNothing stops an owner in the middle of its writes until
// another one has deployed something else, and lets it go on.
func TestPausedOwnerWritesNothing(t *testing.T) {
	t.Parallel()

	const objects = 150

	s := newStage(t)
	kubeconfig, gate := s.through(t)

	paused, err := kubernetes.New(kubernetes.Config{Connections: map[string]kubernetes.Connection{"test": {Kubeconfig: kubeconfig}}})
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(paused.Close)

	content := func(value string, n int) (all []object) {
		for i := range n {
			all = append(all, configMap(fmt.Sprintf("map-%03d", i), value))
		}

		return all
	}

	s.ready(t, s.act(t, "d1", content("first", objects)...))

	// Half of them are there, the other half it would have to make.
	old, now := s.act(t, "d2", content("paused", 2*objects)...), s.act(t, "d3", content("newer", objects)...)

	ended := make(chan error, 1)

	go func() {
		_, err := paused.Apply(t.Context(), old)
		ended <- err
	}()

	for end := time.Now().Add(time.Minute); ; {
		if seen := s.kubectl(t, "get", "configmap", "map-000", "-n", s.namespace, "-o", "jsonpath={.data.a}"); seen == "paused" {
			break
		}

		if time.Now().After(end) {
			t.Fatal("it does not write")
		}
	}

	gate.set(true)

	values := func() map[string]int {
		count := map[string]int{}
		for v := range strings.FieldsSeq(s.kubectl(t, "get", "configmaps", "-n", s.namespace, "-o", "jsonpath={.items[*].data.a}")) {
			count[v]++
		}

		return count
	}

	t.Log("stopped at", values())
	s.ready(t, now)

	before := s.kubectl(t, "get", "configmaps", "-n", s.namespace, "-o", "jsonpath={.items[*].metadata.resourceVersion}")
	gate.set(false)

	err = <-ended
	if err == nil {
		t.Error("an owner who was replaced has applied")
	}

	t.Log("it says:", err)

	after := s.kubectl(t, "get", "configmaps", "-n", s.namespace, "-o", "jsonpath={.items[*].metadata.resourceVersion}")
	if after != before {
		t.Errorf("it has written: %v", values())
	}

	if left := values(); left["newer"] != objects || len(left) != 1 {
		t.Errorf("there are %v", left)
	}
}
