// Package spec is pure: it turns a version's workload and the layers of
// configuration into a snapshot (rendered objects, canonical form, digest).
// It knows neither database nor GraphQL nor cluster.
package spec
