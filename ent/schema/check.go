package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
)

// Check is a result reported for a version in an environment.
type Check struct{ ent.Schema }

// Mixin of the check.
func (Check) Mixin() []ent.Mixin { return []ent.Mixin{identified{}, created{}, acted{}} }

// Fields of the check.
func (Check) Fields() []ent.Field {
	return []ent.Field{
		field.String("version_id").Immutable().Comment("the version"),
		field.String("environment_id").Optional().Nillable().Immutable().Comment("where it ran"),
		field.String("name").Immutable().Comment("such as e2e"),
		field.Enum("result").Values("PASSED", "FAILED", "INCONCLUSIVE").Immutable().Comment("the result"),
		field.String("url").Optional().Nillable().Immutable().Comment("the report"),
		field.String("summary").Optional().Nillable().Immutable().Comment("in a few words, Markdown, at most 4 KiB"),
	}
}

// Edges of the check.
func (Check) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("version", Version.Type).Unique().Required().Field("version_id").Immutable(),
		edge.To("environment", Environment.Type).Unique().Field("environment_id").Immutable(),
	}
}

// Indexes of the check.
func (Check) Indexes() []ent.Index {
	return []ent.Index{index.Fields("version_id", "environment_id", "created_at", "id")}
}
