// Package schema is the model of Shiplog, written by hand: the nouns of
// ARCHITECTURE.md and the tables that serve them. The code in ent/db and the
// migrations in ent/migrations are generated from it by "make generate" and
// "make migration". It imports nothing of ours.
//
// Rules. Ids are TypeIDs made before the write. Times are UTC in microseconds.
// Rows of the graph stay small: whatever can be large is a document of its
// own, found by its digest.
package schema
