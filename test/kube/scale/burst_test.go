package scale

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/shiplog/shiplog/test/apiproxy"
)

// cpu is what this process has used: server, clients and all.
func cpu(t *testing.T) time.Duration {
	t.Helper()

	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		t.Fatal(err)
	}

	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// TestBurst registers versions of many services at once, which a rule deploys:
// all of them arrive, and the chain of the journal holds.
func TestBurst(t *testing.T) {
	c := connect(t)

	for _, dialect := range []string{"sqlite", "postgres"} {
		t.Run(dialect, func(t *testing.T) {
			kubeconfig := c.Kubeconfig

			var p *apiproxy.Proxy
			if !long() { // it costs time, too
				p = apiproxy.New(t, c)
				kubeconfig = p.Kubeconfig(t, "")
			}

			a, many := serve(t, dialect, map[string]string{"test": kubeconfig}), size(40, 1000)
			place := namespace(t, c)
			a.environment(t, place, "test", "{environment}")
			a.must(t, `mutation($in: PutRuleInput!) { putRule(input: $in) { rule { id } } }`, object{"in": object{
				"name": "all", "trigger": "VERSION_REGISTERED", "targetEnvironment": place,
			}}, nil)

			work, ctx := errgroup.WithContext(t.Context())
			work.SetLimit(8)

			for i := range many {
				work.Go(func() error { return a.service(ctx, fmt.Sprintf("s%d", i)) })
			}

			if err := work.Wait(); err != nil {
				t.Fatal(err)
			}

			if p != nil {
				p.Forget()
			}

			began, used := time.Now(), cpu(t)
			work, ctx = errgroup.WithContext(t.Context())
			work.SetLimit(8)

			for i := range many {
				work.Go(func() error {
					decided, err := a.register(ctx, fmt.Sprintf("s%d", i), "1.0.0")
					if err == nil && len(decided) != 1 {
						err = fmt.Errorf("%d decisions to deploy", len(decided))
					}

					return err
				})
			}

			if err := work.Wait(); err != nil {
				t.Fatal(err)
			}

			registered := time.Since(began)

			a.count(t, place, many)

			took, spent := time.Since(began), cpu(t)-used

			var requests int

			if p != nil {
				for _, r := range p.Requests() {
					if strings.Contains(r.Path, place) {
						requests++
					}
				}

				// Read and claim the anchor, try, make, look, say that it is so.
				if most := 8 * many; requests > most {
					t.Errorf("%d requests for %d deployments, want at most %d", requests, many, most)
				}
			}

			entries, verified := a.verify(t)
			t.Logf("%s: %d deployments: registered in %s, succeeded in %s, %d entries verified in %s, %s CPU of this process, %s a deployment, %d requests",
				dialect, many, registered.Round(time.Millisecond), took.Round(time.Millisecond), entries, verified.Round(time.Millisecond),
				spent.Round(time.Millisecond), (spent / time.Duration(many)).Round(10*time.Microsecond), requests)

			if limit := 30 * time.Second; took+verified > limit {
				t.Errorf("%s, want %s", took+verified, limit)
			}
		})
	}
}

// count waits until so many have succeeded.
func (a *app) count(t *testing.T, environment string, many int) {
	t.Helper()

	for began := time.Now(); ; {
		var seen struct {
			Succeeded, All struct{ TotalCount int }
		}

		a.must(t, `query($e: ID!) {
			succeeded: deployments(filter: {environment: $e, status: SUCCEEDED}) { totalCount }
			all: deployments(filter: {environment: $e}) { totalCount } }`, object{"e": environment}, &seen)

		if seen.Succeeded.TotalCount == many {
			return
		}

		if time.Since(began) > 3*time.Minute {
			t.Fatalf("%d of %d (%d) have succeeded", seen.Succeeded.TotalCount, many, seen.All.TotalCount)
		}

		<-time.After(100 * time.Millisecond)
	}
}
