package store

import (
	"encoding/json"
	"maps"
	"slices"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"entgo.io/ent/dialect/sql/sqljson"
)

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
