package dataset

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"iter"
	"time"

	"github.com/shiplog/shiplog/internal/id"
)

// began is when the history begins.
var began = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)

// table is a table's name, the columns that are written, and their rows. A
// row is valid until the next one is asked for.
type table struct {
	name    string
	columns []string
	rows    iter.Seq[[]any]
}

// identifier makes well-formed identifiers that sort by n, as those of one
// process do.
func identifier(kind id.Kind, n int) string { return fmt.Sprintf("%s_01j%023d", kind, n) }

// Names of the made-up things; s, e and v count from 1.
func (Size) serviceID(s int) string     { return identifier(id.Service, s) }
func (Size) environmentID(e int) string { return identifier(id.Environment, e) }
func (z Size) versionID(s, v int) string {
	return identifier(id.Version, (s-1)*z.Versions+v)
}

// Service is the name of service s, from 1.
func (Size) Service(s int) string { return fmt.Sprintf("svc-%05d", s) }

// Version is the name of version v, from 1.
func (Size) Version(v int) string { return fmt.Sprintf("1.%d.0", v) }

// Environment is the name of environment e, from 1.
func (z Size) Environment(e int) string {
	if e <= z.tested() {
		return fmt.Sprintf("stage-%02d", e)
	}

	return fmt.Sprintf("prod-%02d", e)
}

// Owner is the owner of service s.
func (Size) Owner(s int) string { return fmt.Sprintf("group:default/team-%03d", (s-1)/team) }

// Teams is the number of owners.
func (z Size) Teams() int { return (z.Services + team - 1) / team }

// act is deployment k (from 0) of service s in environment e.
type act struct {
	number  int
	version int
	at      time.Time
	failed  bool
}

// deployed gives act k: versions advance with every one, and the later
// environments lag. The last one always succeeds.
func (z Size) deployed(s, e, k int) act {
	step := z.Versions / z.Deployments
	version := step*k + 1 + (s+e+k)%2 - (e*s)%4

	return act{
		number:  (k*z.Environments+e-1)*z.Services + s,
		version: min(max(version, 1), z.Versions),
		at:      began.Add(time.Duration(k)*96*time.Hour + time.Duration(e)*3*time.Hour + time.Duration(s%2000)*time.Minute),
		failed:  k < z.Deployments-1 && (s*31+e*17+k*13)%16 == 0,
	}
}

// Running is a version that is recorded for service s in environment e.
func (z Size) Running(s, e int) string { return z.Version(z.deployed(s, e, z.Deployments-1).version) }

// Actor is who made deployment k, from 0, of service s in environment e.
func (Size) Actor(s, e, k int) string {
	return fmt.Sprintf("user-%03d", (s*7919+e*104729+k*31)%512)
}

func (z Size) tables() []table {
	deployments, placements := z.deployments, z.placements

	if z.Eventful {
		e := z.eventful()
		deployments, placements = e.deployments, e.placements
	}

	return []table{
		{"targets", []string{"id", "created_at", "kind", "connection", "namespace"}, z.targets},
		{"environments", []string{"id", "created_at", "labels", "name", "title", "tier", "rank", "target_id"}, z.environments},
		{"services", []string{"id", "created_at", "labels", "name", "title", "owner", "catalog_ref", "last_ordinal"}, z.services},
		{"versions", []string{
			"id", "created_at", "labels", "actor_kind", "actor_issuer", "actor_subject", "actor_display", "name", "ordinal", "commit", "ref",
			"built_at", "author", "build_url", "workload_kind", "content_digest", "backfill", "service_id",
		}, z.versions},
		{"images", []string{"name", "reference", "digest", "version_id"}, z.images},
		{"deployments", []string{
			"id", "created_at", "actor_kind", "actor_issuer", "actor_subject", "actor_display", "kind", "cause", "status", "status_reason",
			"occurred_at", "acted_at", "finished_at", "became_current_at", "current_order", "url", "backfill", "base_id", "holds_slot",
			"service_id", "environment_id", "version_id", "target_id", "source_id",
		}, deployments},
		{"placements", []string{
			"id", "created_at", "recorded_version_id", "current_order", "service_id", "environment_id", "recorded_id", "applied_id",
		}, placements},
		{"checks", []string{
			"id", "created_at", "actor_kind", "actor_issuer", "actor_subject", "actor_display", "name", "result", "url", "version_id", "environment_id",
		}, z.checks},
	}
}

func (z Size) targets(yield func([]any) bool) {
	for e := 1; e <= z.Environments; e++ {
		if !yield([]any{identifier(id.Target, e), began, "EXTERNAL", fmt.Sprintf("cluster-%d", e%5), z.Environment(e)}) {
			return
		}
	}
}

func (z Size) environments(yield func([]any) bool) {
	for e := 1; e <= z.Environments; e++ {
		tier := "PRODUCTION"
		if e <= z.tested() {
			tier = "TESTING"
		}

		if !yield([]any{z.environmentID(e), began, "{}", z.Environment(e), z.Environment(e), tier, e, identifier(id.Target, e)}) {
			return
		}
	}
}

func (z Size) services(yield func([]any) bool) {
	for s := 1; s <= z.Services; s++ {
		name := z.Service(s)
		if !yield([]any{
			z.serviceID(s), began, fmt.Sprintf(`{"area": "area-%d"}`, s%7), name, "Service " + name, z.Owner(s), "component:default/" + name, z.Versions,
		}) {
			return
		}
	}
}

func (z Size) versions(yield func([]any) bool) {
	for s := 1; s <= z.Services; s++ {
		for v := 1; v <= z.Versions; v++ {
			key := fmt.Sprintf("%d/%d", s, v)
			commit, digest := sha1.Sum([]byte(key)), sha256.Sum256([]byte(key))
			built := began.Add(time.Duration(v)*48*time.Hour + time.Duration(s%2000)*time.Minute)

			if !yield([]any{
				z.versionID(s, v), built, "{}", "CI", "local", "ci", "CI", z.Version(v), v, hex.EncodeToString(commit[:]), "main",
				built, "Ada Lovelace", "https://ci.example.com/builds/" + key, "NONE", hex.EncodeToString(digest[:]), false, z.serviceID(s),
			}) {
				return
			}
		}
	}
}

func (z Size) images(yield func([]any) bool) {
	for s := 1; s <= z.Services; s++ {
		for v := 1; v <= z.Versions; v++ {
			digest := sha256.Sum256(fmt.Appendf(nil, "image %d/%d", s, v))
			if !yield([]any{
				"main", "registry.example.com/" + z.Service(s) + ":" + z.Version(v), "sha256:" + hex.EncodeToString(digest[:]), z.versionID(s, v),
			}) {
				return
			}
		}
	}
}

func (z Size) deployments(yield func([]any) bool) {
	// What is current and how often it changed, by service and environment.
	base, order := make([]any, z.Services*z.Environments), make([]int, z.Services*z.Environments)

	for k := range z.Deployments {
		for e := 1; e <= z.Environments; e++ {
			for s := 1; s <= z.Services; s++ {
				a, place := z.deployed(s, e, k), (e-1)*z.Services+s-1
				deploymentID, actor := identifier(id.Deployment, a.number), z.Actor(s, e, k)

				var current, currentOrder, because any

				before, status := base[place], "FAILED"
				if a.failed {
					because = "the smoke test failed"
				} else {
					order[place]++
					base[place], current, currentOrder, status = deploymentID, a.at.Add(took), order[place], "SUCCEEDED"
				}

				if !yield([]any{
					deploymentID, a.at, "USER", "https://id.example.com", actor, "User " + actor, "EXTERNAL", "CI", status, because,
					a.at, a.at, a.at.Add(took), current, currentOrder, fmt.Sprintf("https://ci.example.com/runs/%d", a.number), false, before, false,
					z.serviceID(s), z.environmentID(e), z.versionID(s, a.version), identifier(id.Target, e), nil,
				}) {
					return
				}
			}
		}
	}
}

func (z Size) placements(yield func([]any) bool) {
	for s := 1; s <= z.Services; s++ {
		for e := 1; e <= z.Environments; e++ {
			successes := 0

			for k := range z.Deployments {
				if !z.deployed(s, e, k).failed {
					successes++
				}
			}

			last := z.deployed(s, e, z.Deployments-1)
			deploymentID := identifier(id.Deployment, last.number)

			if !yield([]any{
				id.PlacementID(z.serviceID(s), z.environmentID(e)), began, z.versionID(s, last.version), successes,
				z.serviceID(s), z.environmentID(e), deploymentID, deploymentID,
			}) {
				return
			}
		}
	}
}

func (z Size) checks(yield func([]any) bool) {
	n := 0

	for k := range z.Deployments {
		for e := 1; e <= z.tested(); e++ {
			for s := 1; s <= z.Services; s++ {
				a := z.deployed(s, e, k)
				n++

				result := "PASSED"
				if a.failed {
					result = "FAILED"
				}

				if !yield([]any{
					identifier(id.Check, n), a.at.Add(14 * time.Minute), "CI", "local", "ci", "CI", "integration", result,
					fmt.Sprintf("https://ci.example.com/reports/%d", n), z.versionID(s, a.version), z.environmentID(e),
				}) {
					return
				}
			}
		}
	}
}

// Deployed is the version of deployment k, from 0, of service s in environment e.
func (z Size) Deployed(s, e, k int) string { return z.Version(z.deployed(s, e, k).version) }
