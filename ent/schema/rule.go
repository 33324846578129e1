package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
)

// Rule says: when this happens and that holds, deploy there.
type Rule struct{ ent.Schema }

// Mixin of the rule.
func (Rule) Mixin() []ent.Mixin { return []ent.Mixin{identified{}, created{}} }

// Fields of the rule.
func (Rule) Fields() []ent.Field {
	return []ent.Field{
		field.String("name").Immutable().Comment("DNS label, unique among the undeleted"),
		field.Int("revision").Comment("counts from 1; every change makes the next"),
		field.Bool("enabled").Comment("whether it decides anything"),
		field.Enum("trigger").Values("VERSION_REGISTERED", "DEPLOYMENT_SUCCEEDED").Comment("what starts it"),
		field.String("source_environment_id").Optional().Nillable().Comment("only of deployments to this environment"),
		field.Strings("kinds").Comment("kinds of deployments that start it"),
		field.Strings("service_names").Comment("names of services, * stands for any characters"),
		field.JSON("service_labels", map[string]string{}).Comment("labels that a service must have"),
		field.Strings("service_owners").Comment("owners of services"),
		field.String("condition").Optional().Nillable().Comment("CEL that gives a bool"),
		field.String("target_environment_id").Comment("where to"),
		field.Time("updated_at").Comment("when it was last changed"),
		field.Time("deleted_at").Optional().Nillable().Comment("when it was deleted"),
	}
}

// Edges of the rule.
func (Rule) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("source_environment", Environment.Type).Unique().Field("source_environment_id"),
		edge.To("target_environment", Environment.Type).Unique().Required().Field("target_environment_id"),
	}
}

// Indexes of the rule.
func (Rule) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("name").Unique().Annotations(entsql.IndexWhere("deleted_at IS NULL")).StorageKey("rule_name_undeleted"),
		index.Fields("trigger", "enabled"),
	}
}

// Decision is the stored answer of a rule for one event.
type Decision struct{ ent.Schema }

// Mixin of the decision.
func (Decision) Mixin() []ent.Mixin { return []ent.Mixin{identified{}, created{}} }

// Reason of a decision.
type Reason struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// Fields of the decision.
func (Decision) Fields() []ent.Field {
	return []ent.Field{
		field.String("rule_id").Immutable().Comment("the rule"),
		field.Int("rule_revision").Immutable().Comment("revision that decided"),
		field.String("event_id").Immutable().Comment("event that it answers"),
		field.String("version_id").Immutable().Comment("the version"),
		field.String("environment_id").Immutable().Comment("where to"),
		field.Enum("effect").Values("DEPLOY", "SKIP", "HOLD").Immutable().Comment("what was decided"),
		field.JSON("reasons", []Reason{}).Immutable().Comment("why"),
		field.String("deployment_id").Optional().Nillable().Immutable().Comment("deployment that it made"),
		field.String("source_id").Optional().Nillable().Immutable().Comment("deployment whose success it answers; null for a registration"),
		field.Bool("open").Default(false).Comment("it holds, and was not decided again since"),
	}
}

// Edges of the decision.
func (Decision) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("rule", Rule.Type).Unique().Required().Field("rule_id").Immutable(),
		edge.To("version", Version.Type).Unique().Required().Field("version_id").Immutable(),
		edge.To("environment", Environment.Type).Unique().Required().Field("environment_id").Immutable(),
		edge.To("deployment", Deployment.Type).Unique().Field("deployment_id").Immutable(),
		edge.To("source", Deployment.Type).Unique().Field("source_id").Immutable(),
	}
}

// Indexes of the decision.
func (Decision) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("rule_id", "event_id").Unique(),
		index.Fields("rule_id", "created_at", "id"),
		index.Fields("version_id", "created_at", "id"),
		index.Fields("deployment_id"),
		// What a lock or a hold keeps waiting.
		index.Fields("environment_id", "id").Annotations(entsql.IndexWhere("open")).StorageKey("decision_open"),
	}
}
