package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
)

// Document is a large value, kept once however often it is used.
type Document struct{ ent.Schema }

// Fields of the document.
func (Document) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").Immutable().MaxLen(80).Comment("sha256:… of the content"),
		field.Text("content").Immutable().Comment("the content, UTF-8"),
	}
}

// Snapshot is everything that is needed to repeat a deployment.
type Snapshot struct{ ent.Schema }

// Mixin of the snapshot.
func (Snapshot) Mixin() []ent.Mixin { return []ent.Mixin{identified{}, created{}} }

// Fields of the snapshot.
func (Snapshot) Fields() []ent.Field {
	return []ent.Field{
		field.String("digest").Immutable().Comment("SHA-256 of the canonical form"),
		field.String("content_digest").Immutable().Comment("document that holds the snapshot as JSON"),
		field.String("renderer").Immutable().Comment("rules of rendering"),
		field.Enum("target").Values("PROCESS", "KUBERNETES", "EXTERNAL").Immutable().Comment("kind of target that it was rendered for"),
	}
}

// Edges of the snapshot.
func (Snapshot) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("document", Document.Type).Unique().Required().Field("content_digest").Immutable(),
	}
}

// Indexes of the snapshot.
func (Snapshot) Indexes() []ent.Index {
	return []ent.Index{index.Fields("digest").Unique()}
}
