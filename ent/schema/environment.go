package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
)

// Environment is a place that services are deployed to.
type Environment struct{ ent.Schema }

// Mixin of the environment.
func (Environment) Mixin() []ent.Mixin { return []ent.Mixin{identified{}, created{}, labelled{}} }

// Fields of the environment.
func (Environment) Fields() []ent.Field {
	return []ent.Field{
		field.String("name").Immutable().Comment("DNS label, unique among the unarchived"),
		field.String("title").Comment("name for people"),
		field.Enum("tier").Values("DEVELOPMENT", "TESTING", "STAGING", "PRODUCTION", "OTHER").Comment("which kind of place"),
		field.Int("rank").Comment("order of promotion, smallest first"),
		field.String("owner").Optional().Nillable().Comment("entity ref of who answers for it"),
		field.String("target_id").Comment("where it really is now"),
		field.String("locked_reason").Optional().Nillable().Comment("why it is locked"),
		field.Time("archived_at").Optional().Nillable().Comment("when it was archived"),
	}
}

// Edges of the environment.
func (Environment) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("target", Target.Type).Unique().Required().Field("target_id"),
	}
}

// Indexes of the environment.
func (Environment) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("name").Unique().Annotations(entsql.IndexWhere("archived_at IS NULL")).StorageKey("environment_name_unarchived"),
		index.Fields("rank", "name", "id"),
	}
}

// Target is where an environment really is; a row never changes.
type Target struct{ ent.Schema }

// Mixin of the target.
func (Target) Mixin() []ent.Mixin { return []ent.Mixin{identified{}, created{}} }

// Fields of the target.
func (Target) Fields() []ent.Field {
	return []ent.Field{
		field.Enum("kind").Values("PROCESS", "KUBERNETES", "EXTERNAL").Immutable().Comment("which kind"),
		field.String("connection").Optional().Nillable().Immutable().Comment("name of the connection, for KUBERNETES"),
		field.String("namespace").Optional().Nillable().Immutable().Comment("namespace, for KUBERNETES"),
		field.String("host").Optional().Nillable().Immutable().Comment("DNS name from outside, for KUBERNETES"),
		field.Strings("allow").Optional().Immutable().Comment("what may be made beyond the namespace's objects, sorted"),
	}
}
