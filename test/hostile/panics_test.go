//go:build unix

package hostile

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/99designs/gqlgen/graphql"
)

// bomb makes the code that serves a request panic where it asks the database.
type bomb struct {
	// table whose statements do it, "" for none.
	table atomic.Pointer[string]
	went  atomic.Int64
}

func newBomb() *bomb {
	b := &bomb{}
	b.arm("")

	return b
}

func (b *bomb) arm(table string) { b.table.Store(&table) }

// secret is what the panic says: no caller may see it.
const secret = "SELECT secret FROM /home/somebody"

func (b *bomb) hook(ctx context.Context, query string) {
	if table := *b.table.Load(); table != "" && graphql.HasOperationContext(ctx) && strings.Contains(query, table) {
		b.went.Add(1)
		panic(secret)
	}
}

// What panics is told as INTERNAL with a request id, which finds it and its
// stack in the log; the process lives and works on, and its writer is free.
func TestPanicsInTheServersCode(t *testing.T) { //nolint:paralleltest // it counts goroutines of this process
	for _, dialect := range []string{"sqlite", "postgres"} {
		t.Run(dialect, func(t *testing.T) {
			b := newBomb()
			a := embed(t, dialect, b.hook)

			a.ask(`mutation { createService(input: {name: "subject"}) { service { id } } }`, nil, nil)
			a.ask(`mutation { registerVersion(input: {service: "subject", version: "1", image: "registry.example/subject:1"}) { created } }`, nil, nil)
			a.ask(`mutation { createEnvironment(input: {name: "there", tier: TESTING, rank: 1, target: {kind: EXTERNAL}}) { environment { id } } }`, nil, nil)

			var made struct {
				RecordDeployment struct{ Deployment struct{ ID string } }
			}

			start := a.position()

			a.ask(`mutation { recordDeployment(input: {service: "subject", environment: "there", version: "1"}) { deployment { id } } }`, nil, &made)
			a.calm()

			for name, c := range map[string]struct{ table, document string }{
				"the field of a query":       {"services", `{ service(name: "subject") { id } }`},
				"a list":                     {"services", `{ services(first: 1) { nodes { id } } }`},
				"what a list fetches ahead":  {"images", `{ service(name: "subject") { versions(first: 1) { nodes { images { name } } } } }`},
				"what fields gather":         {"environments", `{ deployment(id: "` + made.RecordDeployment.Deployment.ID + `") { environment { name } } }`},
				"a mutation's transaction":   {"services", `mutation { createService(input: {name: "never"}) { service { id } } }`},
				"its event":                  {"events", `mutation { createService(input: {name: "never"}) { service { id } } }`},
				"the start of a stream":      {"deployments", `subscription { deploymentLogs(deployment: "` + made.RecordDeployment.Deployment.ID + `") { complete } }`},
				"a stream's own goroutine":   {"events", `subscription { events(after: "` + a.position() + `") { cursor } }`},
				"a stream that is encoded":   {"log_heads", `subscription { deploymentLogs(deployment: "` + made.RecordDeployment.Deployment.ID + `") { complete } }`},
				"a stream that is executed":  {"log_heads", `subscription { a: deploymentLogs(deployment: "` + made.RecordDeployment.Deployment.ID + `") { complete lines @skip(if: false) { text } } }`},
				"a stream's changes fetched": {"deployments", `subscription { deploymentChanged(after: "` + start + `") { cursor } }`},
			} {
				t.Run(name, func(t *testing.T) { panicking(t, a.of(t), b, c.table, c.document) })
			}
		})
	}
}

func panicking(t *testing.T, a *api, b *bomb, table, document string) {
	before := a.position()
	accept := "application/graphql-response+json"

	if strings.HasPrefix(document, "subscription") {
		accept = "text/event-stream"
	}

	for transport, send := range map[string]func() answer{
		"http":      func() answer { return a.post(document, nil, "Accept", accept) },
		"websocket": func() answer { return a.connect().once("1", document, nil) },
	} {
		went := b.went.Load()
		b.arm(table)
		got := send()
		b.arm("")

		if b.went.Load() == went {
			t.Fatalf("%s: nothing panicked: %s", transport, got.raw)
		}

		if got.code() != "INTERNAL" || got.Errors[0].Extensions.RequestID == "" {
			t.Errorf("%s: %d %s", transport, got.status, got.raw)

			continue
		}

		for _, word := range []string{"SELECT", "secret", "/home", ".go", "goroutine", "panic"} {
			if strings.Contains(got.raw, word) {
				t.Errorf("%s: the answer shows %q: %s", transport, word, got.raw)
			}
		}

		found := ""

		for line := range strings.Lines(a.log.String()) {
			if strings.Contains(line, got.Errors[0].Extensions.RequestID) {
				found = line
			}
		}

		if !strings.Contains(found, secret) || !strings.Contains(found, "panics_test.go") {
			t.Errorf("%s: the log does not say what happened and where: %q", transport, found)
		}
	}

	// Whoever comes next is served, and may write.
	if after := a.position(); after != before {
		t.Errorf("the journal moved from %s to %s", before, after)
	}

	a.ask(`mutation { updateService(input: {service: "subject", title: "Once more"}) { changed } }`, nil, nil)
	a.ask(`mutation { updateService(input: {service: "subject", title: "Subject"}) { changed } }`, nil, nil)
}
