//go:build unix

package plans

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// explainer asks a database for plans, and knows which tables are large.
type explainer struct {
	conn  *sql.Conn
	large map[string]bool
	// plan gives the lines of a statement's plan.
	plan func(ctx context.Context, statement string) ([]step, error)
}

// step is a node of a plan: how deep it stands and what it does; the table that
// it reads, if it does, and whether from the beginning to the end.
type step struct {
	depth int
	text  string
	reads string
	whole bool
}

// largeRows is from how many rows on a table is large. What is smaller (the
// environments, the services) is read as a whole for good reasons.
const largeRows = 1_000

// count finds the large ones among the tables of the catalogue.
func (e *explainer) count(ctx context.Context, catalogue string) error {
	tables, err := e.conn.QueryContext(ctx, catalogue)
	if err != nil {
		return err
	}

	var names []string

	for tables.Next() {
		var name string
		if err := tables.Scan(&name); err != nil {
			return errors.Join(err, tables.Close()) //nolint:sqlclosecheck // the one connection is needed below
		}

		names = append(names, name)
	}

	if err := errors.Join(tables.Err(), tables.Close()); err != nil {
		return err
	}

	e.large = map[string]bool{}

	for _, name := range names {
		var rows int
		if err := e.conn.QueryRowContext(ctx, `SELECT COUNT(*) FROM "`+name+`"`).Scan(&rows); err != nil {
			return err
		}

		e.large[name] = rows >= largeRows
	}

	return nil
}

// sqlitePlan is that of EXPLAIN QUERY PLAN: rows of a node, its parent, and
// what it does.
func sqlitePlan(conn *sql.Conn) func(ctx context.Context, statement string) ([]step, error) {
	return func(ctx context.Context, statement string) ([]step, error) {
		// SQLite plans without the values.
		args := make([]any, strings.Count(statement, "?"))

		rows, err := conn.QueryContext(ctx, "EXPLAIN QUERY PLAN "+statement, args...)
		if err != nil {
			return nil, err
		}
		defer rows.Close()

		depths := map[int]int{0: -1}
		aliases := aliasesOf(statement)

		var steps []step

		for rows.Next() {
			var (
				node, parent, unused int
				detail               string
			)

			if err := rows.Scan(&node, &parent, &unused, &detail); err != nil {
				return nil, err
			}

			depths[node] = depths[parent] + 1
			one := step{depth: depths[node], text: conditions.ReplaceAllString(detail, "")}

			if words := strings.Fields(detail); len(words) > 1 && (words[0] == "SCAN" || words[0] == "SEARCH") {
				one.reads = aliases[words[1]]
				one.whole = words[0] == "SCAN" && !strings.Contains(detail, " USING ")
			}

			steps = append(steps, one)
		}

		return steps, rows.Err()
	}
}

var (
	// conditions are the columns that an index is used for.
	conditions = regexp.MustCompile(` \([^)]*\)$`)
	// table finds the tables of a statement and what they are called in it.
	table = regexp.MustCompile("(?i)(?:FROM|JOIN) [`\"]?([a-z_]+)[`\"]?(?: AS)?(?: [`\"]?([a-z_0-9]+)[`\"]?)?")
	// placeholder of Postgres.
	placeholder = regexp.MustCompile(`\$(\d+)`)
)

// aliasesOf gives the table of each name.
func aliasesOf(statement string) map[string]string {
	names := map[string]string{}

	for _, found := range table.FindAllStringSubmatch(statement, -1) {
		names[found[1]] = found[1]
		if found[2] != "" {
			names[found[2]] = found[1]
		}
	}

	return names
}

// postgresNode is a node of EXPLAIN (FORMAT JSON).
type postgresNode struct {
	Type     string `json:"Node Type"`
	Relation string `json:"Relation Name"`
	Index    string `json:"Index Name"`
	Join     string `json:"Join Type"`
	Plans    []postgresNode
}

// postgresPlan is the generic one: that of a prepared statement for whatever
// values.
func postgresPlan(ctx context.Context, conn *sql.Conn) (func(ctx context.Context, statement string) ([]step, error), error) {
	if _, err := conn.ExecContext(ctx, "SET plan_cache_mode = force_generic_plan"); err != nil {
		return nil, err
	}

	return func(ctx context.Context, statement string) ([]step, error) {
		if _, err := conn.ExecContext(ctx, "PREPARE one AS "+statement); err != nil {
			return nil, err
		}

		execute := "EXPLAIN (COSTS OFF, FORMAT JSON) EXECUTE one"
		if n := parameters(statement); n > 0 {
			execute += "(NULL" + strings.Repeat(", NULL", n-1) + ")"
		}

		var (
			raw  []byte
			plan []struct{ Plan postgresNode }
		)

		if err := conn.QueryRowContext(ctx, execute).Scan(&raw); err != nil {
			return nil, err
		}

		if _, err := conn.ExecContext(ctx, "DEALLOCATE one"); err != nil {
			return nil, err
		}

		if err := json.Unmarshal(raw, &plan); err != nil {
			return nil, err
		}

		return plan[0].Plan.steps(0), nil
	}, nil
}

func parameters(statement string) (n int) {
	for _, found := range placeholder.FindAllStringSubmatch(statement, -1) {
		if number, err := strconv.Atoi(found[1]); err == nil {
			n = max(n, number)
		}
	}

	return n
}

func (n *postgresNode) steps(depth int) []step {
	text := n.Type
	if n.Join != "" && n.Join != "Inner" {
		text += " " + n.Join
	}

	if n.Index != "" {
		text += " using " + n.Index
	}

	if n.Relation != "" {
		text += " on " + n.Relation
	}

	all := []step{{depth: depth, text: text, reads: n.Relation, whole: n.Type == "Seq Scan"}}
	for i := range n.Plans {
		all = append(all, n.Plans[i].steps(depth+1)...)
	}

	return all
}

// shape writes a plan, and gives the large tables that it reads whole. How a
// small table is read is left open: often one way is as good as another, and
// which it is depends on chance.
func (e *explainer) shape(ctx context.Context, out *strings.Builder, statement string) (whole []string, err error) {
	steps, err := e.plan(ctx, statement)
	if err != nil {
		return nil, fmt.Errorf("%w:\n%s", err, statement)
	}

	small := -1 // how deep the small table stands whose reading is left out

	for _, s := range steps {
		if small >= 0 && s.depth > small {
			continue
		}

		if small = -1; s.reads != "" && !e.large[s.reads] {
			small, s.text = s.depth, "("+s.reads+")"
		}

		fmt.Fprintf(out, "    %s%s\n", strings.Repeat("  ", s.depth), s.text)

		if s.whole && e.large[s.reads] {
			whole = append(whole, s.reads)
		}
	}

	return whole, nil
}
