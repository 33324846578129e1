// Package migrations holds the versioned, forward-only migrations of both
// databases. They are written by "make migration NAME=…" from ent/schema and
// read once more by a person before they are committed.
package migrations

import "embed"

// FS holds one folder a dialect: postgres and sqlite.
//
//go:embed postgres/*.sql sqlite/*.sql
var FS embed.FS
