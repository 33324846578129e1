package schema

import (
	"encoding/json"

	"entgo.io/ent"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
)

// IdempotencyKey remembers what a keyed mutation answered; kept for ever.
type IdempotencyKey struct{ ent.Schema }

// Mixin of the key.
func (IdempotencyKey) Mixin() []ent.Mixin { return []ent.Mixin{created{}} }

// Fields of the key.
func (IdempotencyKey) Fields() []ent.Field {
	return []ent.Field{
		field.String("caller").Immutable().Comment("issuer and subject of the caller"),
		field.String("mutation").Immutable().Comment("name of the mutation"),
		field.String("key").Immutable().Comment("the caller's key"),
		field.String("input_digest").Immutable().Comment("SHA-256 of the input's canonical form without the key"),
		field.JSON("result", json.RawMessage{}).Comment("what makes the same answer again: ids and flags"),
	}
}

// Indexes of the key.
func (IdempotencyKey) Indexes() []ent.Index {
	return []ent.Index{index.Fields("caller", "mutation", "key").Unique()}
}

// Lease says who owns something for now.
type Lease struct{ ent.Schema }

// Fields of the lease.
func (Lease) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").Immutable().MaxLen(120).Comment("what is owned: unit/…, target/…"),
		field.String("owner").Comment("replica that owns it, empty when nobody does"),
		field.Int64("epoch").Comment("fencing epoch: grows with every take"),
		field.Int64("beat").Comment("grows with every renewal"),
		field.Time("until").Comment("when it ends unless it is renewed, by the database's clock"),
	}
}

// LogHead is the state of a deployment's log, locked by whoever appends.
type LogHead struct{ ent.Schema }

// Fields of the log's head.
func (LogHead) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").Immutable().MaxLen(80).Comment("id of the deployment"),
		field.Int64("last_seq").Comment("seq of the newest line"),
		field.Int64("bytes").Comment("bytes of text so far, against the limit"),
		field.JSON("sources", map[string]int64{}).Comment("position up to which each source was taken"),
		field.Int64("outcome_seq").Optional().Nillable().Comment("seq of the last line up to the outcome, once the collector has flushed"),
		field.Bool("closed").Default(false).Comment("nothing will be appended any more"),
	}
}

// LogChunk is a run of lines of a deployment's log.
type LogChunk struct{ ent.Schema }

// Fields of the chunk.
func (LogChunk) Fields() []ent.Field {
	return []ent.Field{
		field.String("deployment_id").Immutable().Comment("the deployment"),
		field.Int64("first_seq").Immutable().Comment("seq of the first line"),
		field.Int64("last_seq").Immutable().Comment("seq of the last line"),
		field.Time("first_time").Immutable().Comment("time of the first line"),
		field.Time("last_time").Immutable().Comment("time of the last line"),
		field.Int("raw_bytes").Immutable().Comment("size before compression"),
		field.Bytes("data").Immutable().Comment("the lines, zstd"),
	}
}

// Indexes of the chunk.
func (LogChunk) Indexes() []ent.Index {
	return []ent.Index{index.Fields("deployment_id", "first_seq").Unique(), index.Fields("deployment_id", "last_seq")}
}
