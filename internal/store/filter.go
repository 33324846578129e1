package store

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"entgo.io/ent/dialect/sql/sqljson"
	"github.com/lib/pq"

	"github.com/shiplog/shiplog/internal/fault"
)

// maxSought is the most bytes of a text that is looked for: SQLite takes no
// pattern of more than 50,000.
const maxSought = 4096

// Sought refuses, with the field, a text that cannot be looked for in a
// database; nil looks for nothing.
func Sought(field string, text *string) error {
	switch {
	case text == nil:
		return nil
	case len(*text) > maxSought:
		return fault.Invalid(field, "has %d bytes; accepted are at most %d", len(*text), maxSought)
	case !utf8.ValidString(*text) || strings.ContainsFunc(*text, unicode.IsControl):
		return fault.Invalid(field, "want printable text")
	}

	return nil
}

// AnyOf is a predicate: the column holds one of the values. Unlike a list of
// parameters its text is the same for any number of values, so that it is
// prepared once.
func AnyOf(column string, values []string) func(*entsql.Selector) {
	return func(s *entsql.Selector) {
		text, arg := anyOf(s.Dialect() == dialect.Postgres, values)
		before, after, _ := strings.Cut(text, "?")

		s.Where(entsql.P(func(b *entsql.Builder) { b.Ident(s.C(column)).WriteString(before).Arg(arg).WriteString(after) }))
	}
}

// anyOf is the text that follows the column, with a ? for the one argument.
func anyOf(postgres bool, values []string) (text string, arg any) {
	if postgres {
		return " = ANY (?)", pq.StringArray(values)
	}

	raw, _ := json.Marshal(values) //nolint:errchkjson // identifiers and names are valid UTF-8: it always marshals

	return " IN (SELECT value FROM json_each(?))", string(raw)
}

// HasLabels is a predicate: the row's labels hold all of these.
func HasLabels(labels map[string]string) func(*entsql.Selector) {
	return func(s *entsql.Selector) {
		if len(labels) == 0 {
			return
		}

		if s.Dialect() == dialect.Postgres {
			// One containment test; a map of strings always marshals.
			raw, err := json.Marshal(labels)
			if err != nil {
				s.AddError(err)

				return
			}

			s.Where(entsql.P(func(b *entsql.Builder) {
				b.Ident(s.C("labels")).WriteString(" @> ").Arg(string(raw)).WriteString("::jsonb")
			}))

			return
		}

		for _, key := range slices.Sorted(maps.Keys(labels)) {
			s.Where(sqljson.ValueEQ(s.C("labels"), labels[key], sqljson.Path(`"`+key+`"`)))
		}
	}
}
