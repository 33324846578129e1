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

// Observation is what an observer saw of a placement, from one change to the
// next: the history of the placement's observed side.
type Observation struct{ ent.Schema }

// Fields of the observation.
func (Observation) Fields() []ent.Field {
	return []ent.Field{
		field.Int64("id").Immutable().Comment("place in the order of commits, by the head's counter"),
		field.String("placement_id").Immutable().Comment("of what"),
		field.Time("at").Immutable().Comment("since when"),
		field.JSON("observed", json.RawMessage{}).Optional().Immutable().Comment("what ran, by version"),
		field.Time("observed_at").Optional().Nillable().Immutable().Comment("when it was last seen so: earlier than at when the target could not be asked"),
		field.Enum("drift").Values("IN_SYNC", "ROLLING", "VERSION_DIFFERS", "CONFIG_DIFFERS", "MISSING", "UNKNOWN_VERSION", "UNREACHABLE").Optional().Nillable().Immutable().Comment("how it differed from what was applied"),
	}
}

// Edges of the observation.
func (Observation) Edges() []ent.Edge {
	return []ent.Edge{edge.To("placement", Placement.Type).Unique().Required().Field("placement_id").Immutable()}
}

// Indexes of the observation.
func (Observation) Indexes() []ent.Index {
	return []ent.Index{index.Fields("placement_id", "at", "id")}
}

// ObservationHead is the one row that gives observations their places.
type ObservationHead struct{ ent.Schema }

// Fields of the observations' head.
func (ObservationHead) Fields() []ent.Field {
	return []ent.Field{
		field.Int("id").Immutable().Comment("always 1"),
		field.Int64("seq").Comment("id of the newest observation"),
	}
}
