package schema

import (
	"encoding/json"

	"entgo.io/ent"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
)

// Placement is a service in an environment: what is recorded, applied and
// observed there now. Its row is the lock under which the slot, the queue and
// the current deployment change.
type Placement struct{ ent.Schema }

// Mixin of the placement.
func (Placement) Mixin() []ent.Mixin { return []ent.Mixin{identified{}, created{}} }

// Fields of the placement.
func (Placement) Fields() []ent.Field {
	return []ent.Field{
		field.String("service_id").Immutable().Comment("what"),
		field.String("environment_id").Immutable().Comment("where"),
		field.String("recorded_id").Optional().Nillable().Comment("last deployment that succeeded"),
		field.String("recorded_version_id").Optional().Nillable().Comment("its version"),
		field.String("applied_id").Optional().Nillable().Comment("last deployment that began to act"),
		field.Int64("current_order").Default(0).Comment("counts the commits that made something current"),
		field.JSON("observed", json.RawMessage{}).Optional().Comment("what runs, by version"),
		field.Time("observed_at").Optional().Nillable().Comment("when it was last seen so"),
		field.Enum("drift").Values("IN_SYNC", "ROLLING", "VERSION_DIFFERS", "CONFIG_DIFFERS", "MISSING", "UNKNOWN_VERSION", "UNREACHABLE").Optional().Nillable().Comment("how what runs differs from what was applied"),
	}
}

// Edges of the placement.
func (Placement) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("service", Service.Type).Unique().Required().Field("service_id").Immutable(),
		edge.To("environment", Environment.Type).Unique().Required().Field("environment_id").Immutable(),
		edge.To("recorded", Deployment.Type).Unique().Field("recorded_id"),
		edge.To("applied", Deployment.Type).Unique().Field("applied_id"),
	}
}

// Indexes of the placement.
func (Placement) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("service_id", "environment_id").Unique(),
		index.Fields("environment_id", "service_id"),
		index.Fields("recorded_version_id"),
	}
}
