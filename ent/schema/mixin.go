package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/mixin"
)

// identified gives an entity its TypeID.
type identified struct{ mixin.Schema }

func (identified) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").Immutable().MaxLen(80).Comment("TypeID, made before the write"),
	}
}

// acted gives an entity the one who made it.
type acted struct{ mixin.Schema }

func (acted) Fields() []ent.Field {
	return []ent.Field{
		field.Enum("actor_kind").Values("USER", "CI", "RULE", "SYSTEM", "EXTERNAL").Immutable().Comment("what the actor is"),
		field.String("actor_issuer").Immutable().Comment("who vouches for the actor"),
		field.String("actor_subject").Immutable().Comment("the actor's stable name at the issuer"),
		field.String("actor_display").Immutable().Comment("the actor's name for people"),
	}
}

// created gives an entity the moment of its making.
type created struct{ mixin.Schema }

func (created) Fields() []ent.Field {
	return []ent.Field{
		field.Time("created_at").Immutable().Comment("when the row was made"),
	}
}

// labelled gives an entity its labels.
type labelled struct{ mixin.Schema }

func (labelled) Fields() []ent.Field {
	return []ent.Field{
		field.JSON("labels", map[string]string{}).Comment("labels by key"),
	}
}
