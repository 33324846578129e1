package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
)

// Hold pins a service in an environment against rules, until it is released.
type Hold struct{ ent.Schema }

// Mixin of the hold.
func (Hold) Mixin() []ent.Mixin { return []ent.Mixin{identified{}, created{}, acted{}} }

// Fields of the hold.
func (Hold) Fields() []ent.Field {
	return []ent.Field{
		field.String("service_id").Immutable().Comment("what"),
		field.String("environment_id").Immutable().Comment("where"),
		field.String("placement_id").Immutable().Comment("both"),
		field.String("reason").Immutable().Comment("why"),
		field.String("deployment_id").Optional().Nillable().Immutable().Comment("rollback that made it"),
		field.Time("released_at").Optional().Nillable().Comment("when it was released"),
		field.String("release_reason").Optional().Nillable().Comment("why it was released"),
		field.String("released_by_kind").Optional().Nillable().Comment("what the one is who released it"),
		field.String("released_by_issuer").Optional().Nillable().Comment("who vouches for them"),
		field.String("released_by_subject").Optional().Nillable().Comment("their stable name at the issuer"),
		field.String("released_by_display").Optional().Nillable().Comment("their name for people"),
	}
}

// Edges of the hold.
func (Hold) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("service", Service.Type).Unique().Required().Field("service_id").Immutable(),
		edge.To("environment", Environment.Type).Unique().Required().Field("environment_id").Immutable(),
		edge.To("placement", Placement.Type).Unique().Required().Field("placement_id").Immutable(),
		edge.To("deployment", Deployment.Type).Unique().Field("deployment_id").Immutable(),
	}
}

// Indexes of the hold.
func (Hold) Indexes() []ent.Index {
	return []ent.Index{
		// One at a time.
		index.Fields("placement_id").Unique().Annotations(entsql.IndexWhere("released_at IS NULL")).StorageKey("hold_standing"),
		index.Fields("created_at", "id"),
		index.Fields("service_id", "environment_id", "created_at", "id"),
		index.Fields("environment_id", "created_at", "id"),
	}
}
