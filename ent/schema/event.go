package schema

import (
	"time"

	"entgo.io/ent"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
)

// Event is one entry of the append-only journal.
type Event struct{ ent.Schema }

// Mixin of the event.
func (Event) Mixin() []ent.Mixin { return []ent.Mixin{identified{}, acted{}} }

// Fields of the event.
func (Event) Fields() []ent.Field {
	return []ent.Field{
		field.Int64("seq").Immutable().Unique().Comment("place in the journal: commit order without holes"),
		field.Time("time").Immutable().Comment("when"),
		field.String("type").Immutable().Comment("such as deployment.status"),
		field.String("source").Immutable().Comment("through what it came"),
		field.String("subject").Immutable().Comment("id of what it is about"),
		field.String("service_id").Optional().Nillable().Immutable().Comment("service that it is about, for filters; outside the chain"),
		field.String("message").Immutable().Comment("for people; outside the chain"),
		field.String("payload_digest").Immutable().Comment("SHA-256 of the payload's canonical form"),
		field.String("prev").Immutable().Comment("hash of the entry before"),
		field.String("hash").Immutable().Comment("SHA-256 of the entry's canonical form"),
	}
}

// Indexes of the event.
func (Event) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("subject", "seq"),
		index.Fields("service_id", "seq"),
		index.Fields("type", "seq"),
		index.Fields("time"),
	}
}

// Payload is what an event carries: before, after, claims. A redaction may
// replace it by a tombstone without breaking the chain.
type Payload struct{ ent.Schema }

// Fields of the payload.
func (Payload) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").Immutable().MaxLen(80).Comment("id of the event"),
		field.Text("content").Optional().Nillable().Comment("canonical JSON; null once it is redacted"),
	}
}

// JournalHead is the one row that is locked, last, by whoever appends.
type JournalHead struct{ ent.Schema }

// Fields of the journal's head.
func (JournalHead) Fields() []ent.Field {
	return []ent.Field{
		field.Int("id").Immutable().Comment("always 1"),
		field.Int64("seq").Comment("seq of the newest event"),
		field.String("hash").Comment("hash of the newest event"),
	}
}

// Refusal is the access log: refused requests, counted by hour.
type Refusal struct{ ent.Schema }

// Fields of the refusal.
func (Refusal) Fields() []ent.Field {
	return []ent.Field{
		field.Time("hour").Immutable().Comment("beginning of the hour"),
		field.String("caller").Immutable().Comment("issuer and subject of the caller"),
		field.String("operation").Immutable().Comment("operation that was refused"),
		field.String("code").Immutable().Comment("code of the refusal"),
		field.Int64("count").Comment("how often"),
		field.Time("last_at").Default(time.Now).Comment("when last"),
	}
}

// Indexes of the refusal.
func (Refusal) Indexes() []ent.Index {
	return []ent.Index{index.Fields("hour", "caller", "operation", "code").Unique()}
}
