package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
)

// Configuration is an immutable revision of what a place adds to a workload.
type Configuration struct{ ent.Schema }

// Mixin of the configuration.
func (Configuration) Mixin() []ent.Mixin { return []ent.Mixin{identified{}, created{}, acted{}} }

// Fields of the configuration.
func (Configuration) Fields() []ent.Field {
	return []ent.Field{
		field.Enum("scope").Values("SERVICE", "ENVIRONMENT", "SERVICE_IN_ENVIRONMENT").Immutable().Comment("which layer"),
		field.String("layer").Immutable().Comment("identity of the layer: the ids of service and environment, joined by a slash"),
		field.String("service_id").Optional().Nillable().Immutable().Comment("the service"),
		field.String("environment_id").Optional().Nillable().Immutable().Comment("the environment"),
		field.Int("revision").Immutable().Comment("counts from 1 within the layer"),
		field.String("content_digest").Immutable().Comment("document that holds the content"),
		field.String("reason").Optional().Nillable().Immutable().Comment("why"),
	}
}

// Edges of the configuration.
func (Configuration) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("service", Service.Type).Unique().Field("service_id").Immutable(),
		edge.To("environment", Environment.Type).Unique().Field("environment_id").Immutable(),
	}
}

// Indexes of the configuration.
func (Configuration) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("layer", "revision").Unique(),
	}
}
