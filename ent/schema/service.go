package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
)

// Service is what is deployed.
type Service struct{ ent.Schema }

// Mixin of the service.
func (Service) Mixin() []ent.Mixin { return []ent.Mixin{identified{}, created{}, labelled{}} }

// Fields of the service.
func (Service) Fields() []ent.Field {
	return []ent.Field{
		field.String("name").Immutable().Comment("DNS label, unique among the unarchived"),
		field.String("title").Comment("name for people"),
		field.String("owner").Optional().Nillable().Comment("entity ref of the owner"),
		field.String("repository_url").Optional().Nillable().Comment("where the source is"),
		field.String("catalog_ref").Optional().Nillable().Comment("entity of a catalogue, component:default/checkout"),
		field.Int64("last_ordinal").Default(0).Comment("ordinal of the newest registered version; locked while one is registered"),
		field.Time("archived_at").Optional().Nillable().Comment("when it was archived"),
	}
}

// Indexes of the service.
func (Service) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("name").Unique().Annotations(entsql.IndexWhere("archived_at IS NULL")).StorageKey("service_name_unarchived"),
		index.Fields("name", "id"),
		index.Fields("catalog_ref"),
		index.Fields("owner", "name"),
	}
}
