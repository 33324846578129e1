// Package resolvers answers fields: one call to a room and its answer. It
// holds no SQL, no rule and no state but per-request loaders. One file a type.
package resolvers
