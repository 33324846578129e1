package schema

import (
	"encoding/json"

	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
)

// Deployment is the act of deploying.
type Deployment struct{ ent.Schema }

// Mixin of the deployment.
func (Deployment) Mixin() []ent.Mixin { return []ent.Mixin{identified{}, created{}, acted{}} }

// Fields of the deployment.
func (Deployment) Fields() []ent.Field {
	return []ent.Field{
		field.String("service_id").Immutable().Comment("what"),
		field.String("environment_id").Immutable().Comment("where"),
		field.String("version_id").Optional().Nillable().Immutable().Comment("which version; null for UNDEPLOY"),
		field.String("target_id").Immutable().Comment("where it went"),
		field.Enum("kind").Values("DEPLOY", "PROMOTE", "REDEPLOY", "ROLLBACK", "PATCH", "UNDEPLOY", "EXTERNAL").Immutable().Comment("what it does"),
		field.Enum("cause").Values("CI", "RULE", "USER", "EVENT").Immutable().Comment("why it was made"),
		field.Enum("status").Values("QUEUED", "WAITING", "RUNNING", "VERIFYING", "SUCCEEDED", "FAILED", "ERRORED", "CANCELLED", "REJECTED", "SUPERSEDED").Comment("where it stands"),
		field.String("status_reason").Optional().Nillable().Comment("the status in words"),
		field.String("reason").Optional().Nillable().Immutable().Comment("the caller's reason"),
		field.Time("occurred_at").Immutable().Comment("its place in the history"),
		field.Time("acted_at").Optional().Nillable().Comment("when it began to act"),
		field.Time("finished_at").Optional().Nillable().Comment("when it reached a final status"),
		field.Time("became_current_at").Optional().Nillable().Comment("when it became what is in place"),
		field.Int64("current_order").Optional().Nillable().Comment("order of the commits that changed the placement; breaks ties of became_current_at"),
		field.String("url").Optional().Nillable().Immutable().Comment("link of a recorded deployment"),
		field.Bool("backfill").Default(false).Immutable().Comment("recorded without rules or notices"),
		field.String("snapshot_id").Optional().Nillable().Comment("what was applied"),
		field.JSON("layers", map[string]string{}).Optional().Comment("revisions that its configuration was merged from, by scope"),
		field.String("base_id").Optional().Nillable().Immutable().Comment("what was current when it was made"),
		field.String("source_id").Optional().Nillable().Immutable().Comment("deployment that it repeats"),
		field.String("superseded_by_id").Optional().Nillable().Comment("newer candidate that took its place"),
		field.Bool("holds_slot").Default(false).Comment("whether it holds the slot of its service in its environment"),
		field.Time("stop_requested_at").Optional().Nillable().Comment("when somebody asked it to stop at its next safe point"),
		field.String("stop_reason").Optional().Nillable().Comment("who asked and why"),
		field.String("preempted_by_id").Optional().Nillable().Comment("deployment that made it stop"),
		field.String("override_reason").Optional().Nillable().Immutable().Comment("why a lock, hold or block was passed"),
		field.String("rules_event_id").Optional().Nillable().Comment("event of its success that the rules have not answered yet"),
		field.JSON("diagnosis", json.RawMessage{}).Optional().Comment("typed reason of a failure, at most a few KiB"),
		field.JSON("endpoints", map[string]string{}).Optional().Comment("where clients reach it, by port name"),
	}
}

// Edges of the deployment.
func (Deployment) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("service", Service.Type).Unique().Required().Field("service_id").Immutable(),
		edge.To("environment", Environment.Type).Unique().Required().Field("environment_id").Immutable(),
		edge.To("version", Version.Type).Unique().Field("version_id").Immutable(),
		edge.To("target", Target.Type).Unique().Required().Field("target_id").Immutable(),
		edge.To("snapshot", Snapshot.Type).Unique().Field("snapshot_id"),
	}
}

// Indexes of the deployment.
func (Deployment) Indexes() []ent.Index {
	return []ent.Index{
		// The slot: one acting deployment of a service in an environment.
		index.Fields("service_id", "environment_id").Unique().Annotations(entsql.IndexWhere("holds_slot")).StorageKey("deployment_slot"),
		// The memory, newest first, under its most used filters.
		index.Fields("occurred_at", "id"),
		index.Fields("service_id", "occurred_at", "id"),
		index.Fields("environment_id", "occurred_at", "id"),
		index.Fields("service_id", "environment_id", "occurred_at", "id"),
		index.Fields("version_id", "occurred_at", "id"),
		index.Fields("actor_subject", "occurred_at", "id"),
		// What was in place, or acted, at a moment.
		index.Fields("service_id", "environment_id", "became_current_at", "current_order").Annotations(entsql.IndexWhere("became_current_at IS NOT NULL")).StorageKey("deployment_current"),
		index.Fields("service_id", "environment_id", "acted_at").Annotations(entsql.IndexWhere("acted_at IS NOT NULL")).StorageKey("deployment_acted"),
		// What the rules still have to answer.
		index.Fields("rules_event_id").Annotations(entsql.IndexWhere("rules_event_id IS NOT NULL")).StorageKey("deployment_rules_due"),
		// What is unfinished.
		index.Fields("service_id", "environment_id", "id").Annotations(entsql.IndexWhere("finished_at IS NULL")).StorageKey("deployment_unfinished"),
	}
}

// Step is a recorded part of a deployment.
type Step struct{ ent.Schema }

// Mixin of the step.
func (Step) Mixin() []ent.Mixin { return []ent.Mixin{identified{}} }

// Fields of the step.
func (Step) Fields() []ent.Field {
	return []ent.Field{
		field.String("deployment_id").Immutable().Comment("the deployment"),
		field.Int("index").Immutable().Comment("place among the deployment's steps, from 0"),
		field.Enum("kind").Values("PLAN", "APPLY", "ROLLOUT").Immutable().Comment("what it does"),
		field.String("name").Immutable().Comment("name for people"),
		field.Enum("status").Values("PENDING", "RUNNING", "WAITING", "SUCCEEDED", "FAILED", "SKIPPED", "CANCELLED", "UNKNOWN").Comment("where it stands"),
		field.Int("attempt").Default(0).Comment("how often it was begun"),
		field.String("message").Optional().Nillable().Comment("what it did, waits for, or failed with"),
		field.Int64("epoch").Default(0).Comment("fencing epoch of the owner that began it"),
		field.Time("started_at").Optional().Nillable().Comment("when it was begun"),
		field.Time("finished_at").Optional().Nillable().Comment("when it ended"),
	}
}

// Edges of the step.
func (Step) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("deployment", Deployment.Type).Unique().Required().Field("deployment_id").Immutable(),
	}
}

// Indexes of the step.
func (Step) Indexes() []ent.Index {
	return []ent.Index{index.Fields("deployment_id", "index").Unique()}
}
