//go:build unix

package memory

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"
)

// counter counts the statements of requests; those of the background have no
// operation in their context.
type counter struct {
	lock    sync.Mutex
	queries []string
}

func (c *counter) statement(ctx context.Context, query string, _ time.Duration, _ error) {
	if !graphql.HasOperationContext(ctx) {
		return
	}

	c.lock.Lock()
	defer c.lock.Unlock()

	c.queries = append(c.queries, query)
}

// of gives the statements of one request.
func (c *counter) of(a *api, document string, variables object) []string {
	c.lock.Lock()
	c.queries = nil
	c.lock.Unlock()

	ask[object](a, document, variables)

	c.lock.Lock()
	defer c.lock.Unlock()

	return c.queries
}

// tries bounds how often a request is counted: its fields are resolved at once,
// and which of two needs a row first decides whether the other asks again, so a
// count may differ by one or two. What grows with the rows always does.
const tries = 20

// compare counts the statements of a page over few rows and over many, until
// some count was seen for both; last are the last statements over many.
func (c *counter) compare(a *api, p page) (few, many int, last []string) {
	seenFew, seenMany := map[int]bool{}, map[int]bool{}

	for range tries {
		few, last = len(c.of(a, p.document, p.small)), c.of(a, p.document, p.large)
		many = len(last)
		seenFew[few], seenMany[many] = true, true

		switch {
		case seenMany[few]:
			return few, few, last
		case seenFew[many]:
			return many, many, last
		}
	}

	return few, many, last
}

// TestStatementsDoNotGrow counts the statements of the large portal queries
// over little and over much.
func TestStatementsDoNotGrow(t *testing.T) {
	t.Parallel()

	for _, dialect := range []string{"sqlite", "postgres"} {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()

			var c counter

			a := serve(t, dialect, c.statement)
			a.fill(50, 10)

			for _, page := range pages() {
				few, many, last := c.compare(a, page)
				t.Logf("%s: %d statements for %s, %d for %s", page.name, few, page.fewRows, many, page.manyRows)

				if few != many || few > page.most {
					t.Errorf("%s: %d statements for %s and %d for %s, want the same and at most %d:\n%s",
						page.name, few, page.fewRows, many, page.manyRows, page.most, strings.Join(last, "\n"))
				}
			}
		})
	}
}

// page is a query that a portal's page sends, over few rows and over many.
type page struct {
	name, document    string
	small, large      object
	fewRows, manyRows string
	most              int
}

const deploymentFields = `id status kind cause occurredAt service { name } environment { name target { kind } } version { name images { reference } }
	actor { display } base { id } source { id } steps { name status } decision { effect rule { name } } checks { result } snapshot { digest } canRollback { allowed } viewerCan { cancel }`

func pages() []page {
	firstServices := make([]string, 5)
	for i := range firstServices {
		firstServices[i] = serviceName(i)
	}

	return []page{
		{
			name: "matrix", most: 8, fewRows: "5 × 10", manyRows: "50 × 10",
			document: `query($services: [ID!], $at: Time) { matrix(services: $services, first: 100, at: $at) { environments { name } rows { service { name } placements {
				service { name } environment { name } recorded { id status version { name } } applied { id } pending { id } drift pendingConfiguration } } pageInfo { hasNextPage } position } }`,
			small: object{"services": firstServices}, large: object{},
		},
		{
			name: "matrix at a moment", most: 8, fewRows: "5 × 10", manyRows: "50 × 10",
			document: `query($services: [ID!], $at: Time) { matrix(services: $services, first: 100, at: $at) { environments { name } rows { service { name } placements {
				service { name } environment { name } recorded { id status version { name } } applied { id } pending { id } drift pendingConfiguration } } pageInfo { hasNextPage } position } }`,
			small: object{"services": firstServices, "at": "2024-06-01T00:00:00Z"}, large: object{"at": "2024-06-01T00:00:00Z"},
		},
		{
			name: "placements", most: 9, fewRows: "10", manyRows: "200",
			document: `query($first: Int!) { placements(first: $first) { nodes { id service { name owner } environment { name } recorded { id version { name } } applied { id } pending { id } drift pendingConfiguration observed { at } } totalCount position } }`,
			small:    object{"first": 10}, large: object{"first": 200},
		},
		{
			name: "deployments", most: 20, fewRows: "10", manyRows: "100",
			document: `query($first: Int!) { deployments(first: $first) { nodes { ` + deploymentFields + ` } totalCount position pageInfo { hasNextPage } } }`,
			small:    object{"first": 10}, large: object{"first": 100},
		},
		{
			name: "service", most: 25, fewRows: "a service in 1 place with 1 version", manyRows: "one in 10 with 30",
			document: `query($name: ID!) { service(name: $name) { name configuration { content }
				placements { recorded { version { name } } applied { id } environment { name } pending { id } observed { at } pendingConfiguration drift }
				versions(first: 50) { nodes { name images { reference } workload { digest } decisions { effect } } totalCount }
				deployments(first: 50) { nodes { ` + deploymentFields + ` } totalCount position } } }`,
			small: object{"name": "small"}, large: object{"name": serviceName(0)},
		},
		{
			name: "events", most: 5, fewRows: "10", manyRows: "500",
			document: `query($first: Int!) { events(first: $first) { nodes { seq type message actor { display } payload } totalCount position } }`,
			small:    object{"first": 10}, large: object{"first": 500},
		},
		{
			name: "journey", most: 12, fewRows: "1 stop", manyRows: "10 stops",
			document: `query($s: ID!, $v: ID!) { version(service: $s, name: $v) { name journey { environment { name } currentSince deployments { ` + deploymentFields + ` } checks { name } } } }`,
			small:    object{"s": "small", "v": "1.0.0"}, large: object{"s": serviceName(0), "v": "1.0.0"},
		},
		{
			name: "changes of configuration", most: 3, fewRows: "5", manyRows: "50",
			document: `query($first: Int!) { changes(between: {}, kinds: [CONFIGURATION], first: $first) { nodes { type subject { id } event { seq } } } }`,
			small:    object{"first": 5}, large: object{"first": 50},
		},
		{
			name: "holds", most: 3, fewRows: "5", manyRows: "50",
			document: `query($first: Int!) { changes(between: {}, kinds: [HOLD], first: $first) { nodes { type subject { id } event { seq } } } }`,
			small:    object{"first": 5}, large: object{"first": 50},
		},
		{
			name: "services with their placements", most: 8, fewRows: "5", manyRows: "50",
			document: `query($first: Int!) { services(first: $first) { nodes { name configuration { revision } placements { environment { name } recorded { version { name } } } } } }`,
			small:    object{"first": 5}, large: object{"first": 50},
		},
		{
			name: "versions with where they are and their checks", most: 12, fewRows: "5", manyRows: "30",
			document: `query($s: ID!, $first: Int!) { service(name: $s) { versions(first: $first) { nodes { name placements { environment { name } } checks { name } workloadFrom { name } } } } }`,
			small:    object{"s": serviceName(0), "first": 5}, large: object{"s": serviceName(0), "first": 30},
		},
	}
}

func serviceName(i int) string { return fmt.Sprintf("service-%02d", i) }

// fill makes services in environments: the first with many versions, and one,
// "small", in one place only. All with configuration and checks.
func (a *api) fill(services, environments int) {
	a.t.Helper()

	var names []string

	for i := range environments {
		name := fmt.Sprintf("environment-%02d", i)
		names = append(names, name)
		a.environment(name, i)
	}

	register := func(service, version string) {
		ask[object](a, `mutation($i: RegisterVersionInput!) { registerVersion(input: $i) { created } }`, object{"i": object{
			"service": service, "version": version, "images": []any{object{"name": "main", "reference": "registry.example/" + service + ":" + version}},
			"builtAt": "2024-01-01T00:00:00Z", "backfill": true,
		}})
	}

	create := func(service string) {
		ask[object](a, `mutation($n: String!) { createService(input: {name: $n, owner: "group:default/payments"}) { service { id } } }`, object{"n": service})
		ask[object](a, `mutation($n: ID!) { setConfiguration(input: {service: $n, content: {variables: {A: "b"}}}) { changed } }`, object{"n": service})
		register(service, "1.0.0")
	}

	create("small")
	a.record(object{"service": "small", "environment": names[0], "version": "1.0.0", "finishedAt": "2024-02-01T00:00:00Z"})

	var all []string
	for i := range services {
		all = append(all, serviceName(i))
	}

	together(all, func(service string) {
		create(service)

		for i, environment := range names {
			at := time.Date(2024, 2, 1+i, 0, 0, 0, 0, time.UTC)
			a.record(object{"service": service, "environment": environment, "version": "1.0.0", "startedAt": at.Add(-time.Minute), "finishedAt": at})
		}
	})

	for i := range 30 {
		register(serviceName(0), fmt.Sprintf("1.1.%d", i))
	}

	check := func(service, environment string) {
		ask[object](a, `mutation($s: ID!, $e: ID!) { reportCheck(input: {service: $s, version: "1.0.0", environment: $e, name: "e2e", result: PASSED}) { check { id } } }`, object{"s": service, "e": environment})
	}

	together(all, func(service string) {
		ask[object](a, `mutation($s: ID!, $e: ID!) { createHold(input: {service: $s, environment: $e, reason: "for the test"}) { hold { id } } }`, object{"s": service, "e": names[0]})
	})

	check("small", names[0])

	for _, environment := range names {
		check(serviceName(0), environment)
	}

	// What was deployed last has checks, so that every page of deployments has.
	together(all, func(service string) { check(service, names[len(names)-1]) })
}
