//go:build unix

package plans

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/shiplog/shiplog/internal/store/storetest"
	"github.com/shiplog/shiplog/test/bench/dataset"
)

func TestPlans(t *testing.T) {
	t.Parallel()

	for _, dialect := range []string{"sqlite", "postgres"} {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()

			database := storetest.URL(t, dialect)
			fill(t, database)

			r := &recorder{requests: map[string]bool{}, background: map[string]bool{}}
			a := serve(t, database, r)
			e := open(t, dialect, database)

			deployment, cursor := a.some()
			r.take()

			for _, one := range reads(deployment, cursor) {
				a.ask(one.document, one.variables)
				e.check(t, dialect, one.name, r.take())
			}

			e.refuse(t, r.unasked())
		})
	}
}

// fill makes the history and closes the database again.
func fill(t *testing.T, database string) {
	t.Helper()

	s := storetest.OpenURL(t, database, nil)
	if err := dataset.Fill(t.Context(), s, history); err != nil {
		t.Fatal(err)
	}

	// A server of its own opens it next; the test's end closes it twice.
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// open connects beside the server, only to ask for plans.
func open(t *testing.T, dialect, database string) *explainer {
	t.Helper()

	driver, source := "postgres", database
	if path, embedded := strings.CutPrefix(database, "sqlite:"); embedded {
		driver, source = "sqlite", "file:"+path+"?_pragma=query_only(1)&_pragma=busy_timeout(10000)"
	}

	pool, err := sql.Open(driver, source)
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() { pool.Close() })

	conn, err := pool.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	e := &explainer{conn: conn, plan: sqlitePlan(conn)}
	catalogue := "SELECT name FROM sqlite_master WHERE type = 'table'"

	if dialect == "postgres" {
		catalogue = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"

		if e.plan, err = postgresPlan(t.Context(), conn); err != nil {
			t.Fatal(err)
		}
	}

	if err := e.count(t.Context(), catalogue); err != nil {
		t.Fatal(err)
	}

	for _, table := range []string{"deployments", "versions", "checks", "placements", "events", "log_chunks"} {
		if !e.large[table] {
			t.Fatal("not large enough to choose how it is read:", table)
		}
	}

	return e
}

// some gives a deployment with a log, and the cursor of a place in the list.
func (a *api) some() (deployment, cursor string) {
	a.t.Helper()

	data := a.ask(`{ deployments(first: 300) { nodes { id } pageInfo { endCursor } } }`, nil)
	list, _ := data["deployments"].(object)
	nodes, _ := list["nodes"].([]any)
	first, _ := nodes[0].(object)
	info, _ := list["pageInfo"].(object)

	deployment, _ = first["id"].(string)
	cursor, _ = info["endCursor"].(string)

	return deployment, cursor
}

// columns of a statement, which plans do not depend on.
var columns = regexp.MustCompile(`^SELECT .*? FROM `)

// check compares the plans of a read's statements with the golden ones.
func (e *explainer) check(t *testing.T, dialect, name string, statements []string) {
	t.Helper()

	if len(statements) == 0 {
		t.Errorf("%s: no statement", name)
	}

	var out strings.Builder

	for _, statement := range statements {
		fmt.Fprintln(&out, columns.ReplaceAllString(statement, "SELECT … FROM "))

		whole, err := e.shape(t.Context(), &out, statement)
		if err != nil {
			t.Fatal(err)
		}

		for _, table := range whole {
			t.Errorf("%s: all of %s is read for\n%s", name, table, statement)
		}
	}

	path := filepath.Join("testdata", dialect, strings.ReplaceAll(name, " ", "-")+".golden")

	if *update {
		if err := os.WriteFile(path, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}

	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}

	if out.String() != string(want) {
		t.Errorf("%s: the plans have changed:\n%s\nwant (%s; -update takes the new ones):\n%s", name, out.String(), path, want)
	}
}

// refuse fails for statements that read a large table whole.
func (e *explainer) refuse(t *testing.T, statements []string) {
	t.Helper()

	if len(statements) == 0 {
		t.Error("the server did nothing by itself")
	}

	for _, statement := range statements {
		whole, err := e.shape(t.Context(), new(strings.Builder), statement)
		if err != nil {
			t.Fatal(err)
		}

		for _, table := range whole {
			t.Errorf("all of %s is read now and then, unasked, for\n%s", table, statement)
		}
	}
}
