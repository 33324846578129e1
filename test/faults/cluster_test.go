//go:build kubernetes

package faults

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shiplog/shiplog/internal/store/storetest"
	"github.com/shiplog/shiplog/test/apiproxy"
	"github.com/shiplog/shiplog/test/cluster"
)

// contents is what every ConfigMap of a namespace was seen to say, in order.
type contents struct {
	path      string
	namespace string
}

// observeContents writes down what changes in the namespace, until the test
// ends.
func observeContents(t *testing.T, c *cluster.Cluster, namespace string) *contents {
	t.Helper()

	seen := &contents{path: filepath.Join(t.TempDir(), "contents"), namespace: namespace}

	out, err := os.Create(seen.path)
	if err != nil {
		t.Fatal(err)
	}

	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	command := exec.CommandContext(ctx, c.Kubectl, "--kubeconfig", c.Kubeconfig, "get", "configmaps", "-n", namespace, "--watch",
		"-l", "shiplog.dev/service,shiplog.dev/anchor!=true", "-o", `jsonpath={.metadata.name} {.data.version}{"\n"}`)
	command.Stdout = out

	if err := command.Start(); err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() {
		cancel()

		_ = command.Wait() // it is killed

		if err := out.Close(); err != nil {
			t.Error(err)
		}
	})

	return seen
}

// by gives what was seen, by ConfigMap.
func (c *contents) by(t *testing.T) map[string][]string {
	t.Helper()

	raw, err := os.ReadFile(c.path)
	if err != nil {
		t.Fatal(err)
	}

	all := map[string][]string{}

	for line := range strings.Lines(string(raw)) {
		if name, version, ok := strings.Cut(strings.TrimSpace(line), " "); ok && strings.HasSuffix(line, "\n") {
			all[name] = append(all[name], version)
		}
	}

	return all
}

// parts is how many objects a version has.
const parts = 8

func manifests(service, version string) string {
	var all strings.Builder
	for n := range parts {
		fmt.Fprintf(&all, "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s-%d}\ndata: {version: %q}\n", service, n, version)
	}

	return all.String()
}

// clusterClient registers and deploys one version after the other.
func (k *killing) clusterClient(ctx context.Context, service string, dice *rand.Rand) error {
	for i := 0; k.pace.begin(ctx); i++ {
		version := fmt.Sprintf("1.0.%d", i)

		if err := k.mutate(ctx, "registerVersion", "version { id }", map[string]any{
			"service": service, "version": version, "builtAt": time.Now().UTC().Format(time.RFC3339Nano),
			"workload": map[string]any{"manifests": manifests(service, version)},
		}, nil); err != nil {
			return err
		}

		d, err := k.deploy(ctx, service, version, nil)
		if err != nil {
			return err
		}

		k.write(d, true)

		if dice.IntN(3) == 0 {
			continue // the next one will find this one under way
		}

		if _, err := k.await(ctx, d.ID, 2*time.Minute, deployment.final); err != nil {
			return err
		}
	}

	return ctx.Err()
}

// TestKillsOnACluster kills one of two replicas at random while clients deploy
// to a real cluster: every deployment comes to its right end, what was applied
// arrives once, and the other replica goes on in time.
func TestKillsOnACluster(t *testing.T) {
	c, err := cluster.Connect()
	if err != nil {
		t.Fatal(err)
	}

	namespace := fmt.Sprintf("kills-%d", time.Now().UnixNano())
	if _, err := c.Run(t.Context(), nil, "create", "namespace", namespace); err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()

		if _, err := c.Run(ctx, nil, "delete", "namespace", namespace, "--wait=false"); err != nil {
			t.Error(err)
		}
	})

	// So that a deployment takes half a second, and kills come in the middle.
	p := apiproxy.New(t, c)
	p.Slow(25 * time.Millisecond)
	t.Setenv("SHIPLOG_CONNECTIONS", "test="+p.Kubeconfig(t, ""))

	s := shared(t)
	w := emptyWorld(t, "postgres")
	w.add(newReplica(t, w.data, w.database))
	w.add(newReplica(t, w.data, w.database))

	if err := w.mutate(t.Context(), "createEnvironment", "environment { id }", map[string]any{
		"name": place, "tier": "PRODUCTION", "rank": 10, "target": map[string]any{"kind": "KUBERNETES", "connection": "test", "namespace": namespace},
	}, nil); err != nil {
		t.Fatal(err)
	}

	k := &killing{world: w, deployments: s.size(36, 500), kills: s.size(8, 150)}
	k.work, k.watch = k.clusterClient, storetest.OpenURL(t, k.database, nil)
	seen := observeContents(t, c, namespace)
	k.run(t)

	wanted := k.checkEnds(t)
	k.checkContents(t, seen, wanted)
	k.takeovers(t, k.checkRecord(t))
}

// checkEnds checks every deployment's end and gives the versions that
// succeeded, by service and in order.
func (k *killing) checkEnds(t *testing.T) map[string][]string {
	t.Helper()

	ends, wanted := map[string]int{}, map[string][]string{}

	for _, one := range k.told {
		d, err := k.await(t.Context(), one.ID, 90*time.Second, deployment.final)
		if err != nil {
			t.Fatal(err)
		}

		ends[d.Status]++
		k.checkEnd(t, one, d)

		if d.Status == "SUCCEEDED" {
			wanted[d.Service.Name] = append(wanted[d.Service.Name], d.Version.Name)
		}
	}

	t.Logf("%d acknowledged deployments ended: %v", len(k.told), ends)

	return wanted
}

// checkContents: every ConfigMap said what succeeded, each once, in this order,
// and nothing else.
func (k *killing) checkContents(t *testing.T, seen *contents, wanted map[string][]string) {
	t.Helper()

	want := map[string][]string{}

	for service, versions := range wanted {
		for n := range parts {
			want[fmt.Sprintf("%s-%d", service, n)] = versions
		}
	}

	for until := time.Now().Add(20 * time.Second); ; {
		got := seen.by(t)
		if maps.EqualFunc(got, want, slices.Equal[[]string]) {
			return
		}

		if time.Now().After(until) {
			for name := range want {
				if !slices.Equal(got[name], want[name]) {
					t.Errorf("%s said %v, want %v", name, got[name], want[name])
				}
			}

			if len(got) != len(want) {
				t.Errorf("%d ConfigMaps were seen, want %d", len(got), len(want))
			}

			return
		}

		select {
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
}
