package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
)

// Version is one immutable build of a service.
type Version struct{ ent.Schema }

// Mixin of the version.
func (Version) Mixin() []ent.Mixin { return []ent.Mixin{identified{}, created{}, labelled{}, acted{}} }

// Fields of the version.
func (Version) Fields() []ent.Field {
	return []ent.Field{
		field.String("service_id").Immutable().Comment("the service"),
		field.String("name").Immutable().Comment("such as 1.4.2, unique within the service"),
		field.Int64("ordinal").Immutable().Comment("order of registration within the service, from 1"),
		field.String("commit").Optional().Nillable().Immutable().Comment("commit that it was built from"),
		field.String("ref").Optional().Nillable().Immutable().Comment("branch or tag"),
		field.Time("built_at").Immutable().Comment("when it was built; newer means later"),
		field.String("author").Optional().Nillable().Immutable().Comment("author of the commit"),
		field.String("build_url").Optional().Nillable().Immutable().Comment("the build"),
		field.String("notes_digest").Optional().Nillable().Immutable().Comment("document that holds the release notes"),
		field.Enum("workload_kind").Values("NONE", "SCORE", "MANIFESTS").Immutable().Comment("what the workload document is"),
		field.String("workload_digest").Optional().Nillable().Immutable().Comment("document that holds the workload"),
		field.String("workload_from_id").Optional().Nillable().Immutable().Comment("version that the workload was inherited from"),
		field.String("content_digest").Immutable().Comment("SHA-256 over images, workload and commit"),
		field.String("blocked_reason").Optional().Nillable().Comment("why it is blocked"),
		field.Bool("backfill").Default(false).Immutable().Comment("registered without rules or notices"),
	}
}

// Edges of the version.
func (Version) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("service", Service.Type).Unique().Required().Field("service_id").Immutable(),
		edge.To("images", Image.Type),
	}
}

// Indexes of the version.
func (Version) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("service_id", "name").Unique(),
		index.Fields("service_id", "ordinal").Unique(),
		index.Fields("service_id", "built_at", "id"),
		index.Fields("name"),
		index.Fields("commit"),
	}
}

// Image is an image of a version.
type Image struct{ ent.Schema }

// Fields of the image.
func (Image) Fields() []ent.Field {
	return []ent.Field{
		field.String("version_id").Immutable().Comment("the version"),
		field.String("name").Immutable().Comment("which of the version's images"),
		field.String("reference").Immutable().Comment("as CI named it"),
		field.String("digest").Optional().Nillable().Comment("sha256:…, set once when it is resolved"),
		field.Time("resolved_at").Optional().Nillable().Comment("when a registry gave the digest; null when it was registered with it"),
	}
}

// Edges of the image.
func (Image) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("version", Version.Type).Ref("images").Unique().Required().Field("version_id").Immutable(),
	}
}

// Indexes of the image.
func (Image) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("version_id", "name").Unique(),
		index.Fields("digest"),
		index.Fields("reference"),
	}
}

// ResolvedImage is what a registry said of an image that a version runs and
// that is not its own, such as a proxy beside it: asked once, for good.
type ResolvedImage struct{ ent.Schema }

// Mixin of the resolved image.
func (ResolvedImage) Mixin() []ent.Mixin { return []ent.Mixin{created{}} }

// Fields of the resolved image.
func (ResolvedImage) Fields() []ent.Field {
	return []ent.Field{
		field.String("version_id").Immutable().Comment("the version that runs it"),
		field.String("reference").Immutable().Comment("as workload or configuration names it"),
		field.String("digest").Immutable().Comment("sha256:…"),
	}
}

// Edges of the resolved image.
func (ResolvedImage) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("version", Version.Type).Unique().Required().Field("version_id").Immutable(),
	}
}

// Indexes of the resolved image.
func (ResolvedImage) Indexes() []ent.Index {
	return []ent.Index{index.Fields("version_id", "reference").Unique()}
}
