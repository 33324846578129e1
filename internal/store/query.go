package store

import (
	"context"
	"database/sql"
	"strconv"
	"strings"

	"github.com/shiplog/shiplog/ent/db"
)

// Query builds hand-written SQL for the hot reads. Its text is the same on
// both dialects but for the placeholders.
type Query struct {
	postgres bool
	text     strings.Builder
	args     []any
}

// NewQuery begins a query for this database.
func (s *Store) NewQuery(text string, args ...any) *Query {
	q := &Query{postgres: !s.Embedded()}

	return q.Add(text, args...)
}

// Add appends text with a ? for each argument.
func (q *Query) Add(text string, args ...any) *Query {
	for i, part := range strings.Split(text, "?") {
		if i > 0 {
			q.args = append(q.args, args[i-1]) //nolint:gosec // there is an argument for each ?

			if q.postgres {
				q.text.WriteString("$" + strconv.Itoa(len(q.args)))
			} else {
				q.text.WriteByte('?')
			}
		}

		q.text.WriteString(part)
	}

	return q
}

// In appends a test that the column holds one of the values; no values match
// nothing. Its text is the same for any number of values.
func (q *Query) In(column string, values []string) *Query {
	text, arg := anyOf(q.postgres, values)

	return q.Add(column+text, arg)
}

// Labels appends a test that the JSON column holds all labels.
func (q *Query) Labels(column, key, value string) *Query {
	if q.postgres {
		return q.Add(column+" ->> ? = ?", key, value)
	}

	return q.Add("json_extract("+column+", ?) = ?", `$."`+key+`"`, value)
}

// Rows runs the query on a client and calls scan for every row.
func (q *Query) Rows(ctx context.Context, client *db.Client, scan func(rows *sql.Rows) error) error {
	rows, err := client.QueryContext(ctx, q.text.String(), q.args...)
	if err != nil {
		return Classify(err)
	}
	defer rows.Close()

	for rows.Next() {
		if err := scan(rows); err != nil {
			return Classify(err)
		}
	}

	return Classify(rows.Err())
}
