// Package ent holds the model (schema), its migrations and the generated
// client (db).
package ent

//go:generate go tool ent generate --target ./db --feature sql/lock,sql/upsert,sql/modifier,sql/execquery,sql/versioned-migration ./schema
