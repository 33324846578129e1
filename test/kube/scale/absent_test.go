package scale

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/shiplog/shiplog/test/apiproxy"
)

// TestUnreachableCluster deploys to two clusters while one of them does not
// answer: its deployments wait and say so, those of the other take no longer,
// and go on when it is back.
func TestUnreachableCluster(t *testing.T) {
	t.Parallel()

	c := connect(t)
	p := apiproxy.New(t, c)
	a := serve(t, "sqlite", map[string]string{"near": c.Kubeconfig, "far": p.Kubeconfig(t, "")})
	near, far := namespace(t, c), namespace(t, c)
	a.environment(t, near, "near", "{environment}")
	a.environment(t, far, "far", "{environment}")

	const services = 12

	for i := range services {
		if err := a.service(t.Context(), fmt.Sprintf("s%d", i)); err != nil {
			t.Fatal(err)
		}
	}

	first := a.round(t, near, "1.0.0", services)
	a.round(t, far, "1.0.0", services)
	a.drift(t, far, "IN_SYNC", services)

	p.Silence()

	var waiting []string

	// More than may wait at once beside those that need not.
	const waits = 110

	for i := range waits {
		name := fmt.Sprintf("s%d", i)

		if i >= services {
			if err := a.service(t.Context(), name); err != nil {
				t.Fatal(err)
			}
		}

		if _, err := a.register(t.Context(), name, "2.0.0"); err != nil {
			t.Fatal(err)
		}

		id, err := a.deploy(t.Context(), name, far, "2.0.0")
		if err != nil {
			t.Fatal(err)
		}

		waiting = append(waiting, id)
	}

	for _, id := range waiting {
		a.until(t, id, "says that it waits", deployment.waits)
	}

	a.drift(t, far, "UNREACHABLE", waits)
	a.drift(t, near, "IN_SYNC", services)

	second := a.round(t, near, "2.0.0", services)
	a.drift(t, near, "IN_SYNC", services)
	t.Logf("while all is well %s, while the other cluster is gone %s", first, second)

	if most := 3*first + 2*time.Second; second > most {
		t.Errorf("the others took %s, and %s before", second, first)
	}

	for _, id := range waiting {
		if d := a.find(t, id); d.Status != "RUNNING" {
			t.Errorf("does not wait any more: %+v", d)
		}
	}

	p.Answer()

	for _, id := range waiting {
		a.until(t, id, "succeeds", ended("SUCCEEDED"))
	}

	a.drift(t, far, "IN_SYNC", waits)
}

// round deploys a version of every service, one after the other, and says how
// long the median took.
func (a *app) round(t *testing.T, environment, version string, services int) time.Duration {
	t.Helper()

	var took []time.Duration

	for i := range services {
		name := fmt.Sprintf("s%d", i)
		if _, err := a.register(t.Context(), name, version); err != nil {
			t.Fatal(err)
		}

		began := time.Now()

		id, err := a.deploy(t.Context(), name, environment, version)
		if err != nil {
			t.Fatal(err)
		}

		a.until(t, id, "succeeds", ended("SUCCEEDED"))

		took = append(took, time.Since(began))
	}

	slices.Sort(took)

	return took[len(took)/2]
}

// drift waits until all placements of an environment have it.
func (a *app) drift(t *testing.T, environment, want string, many int) {
	t.Helper()

	for began := time.Now(); ; {
		var seen struct {
			Placements struct {
				Nodes []struct{ Drift *string }
			}
		}

		a.must(t, `query($e: ID!) { placements(filter: {environment: $e}, first: 500) { nodes { drift } } }`, object{"e": environment}, &seen)

		right := 0

		for _, n := range seen.Placements.Nodes {
			if n.Drift != nil && *n.Drift == want {
				right++
			}
		}

		if right == many {
			t.Logf("%d are %s after %s", many, want, time.Since(began).Round(10*time.Millisecond))

			return
		}

		if time.Since(began) > time.Minute {
			t.Fatalf("%d of %d are %s: %+v", right, many, want, seen)
		}

		<-time.After(100 * time.Millisecond)
	}
}
