package automation

import "time"

// Facts are what has happened, and what is there. Everything is a value: facts
// can be drawn up from a database, or from what somebody asks "what if".
type Facts struct {
	Trigger Trigger
	Version Version
	Service Service
	// Source is where the deployment succeeded, Kind what kind it was
	// (DEPLOYMENT_SUCCEEDED only).
	Source Environment
	Kind   Kind
	// Backfill: this is the past being written down.
	Backfill bool
	// Targets are the environments of the rules by id, with what is there of
	// the service.
	Targets map[string]Target
}

// Version is the version that it is about.
type Version struct {
	VersionRef

	Commit string
	Ref    string
	Author string
	Labels map[string]string
	// Images by name: their references.
	Images map[string]string
	// Blocked, and why.
	Blocked       bool
	BlockedReason string
	// RecordOnly: the version has no workload, so Shiplog cannot deploy it.
	RecordOnly bool
}

// VersionRef names a version and its place in the order of versions.
type VersionRef struct {
	ID      string
	Name    string
	BuiltAt time.Time
	// Ordinal is the commit order of the registration.
	Ordinal int64
}

// Newer reports whether v is newer than other: built later, or registered
// later where that is the same.
func (v VersionRef) Newer(other VersionRef) bool {
	if order := v.BuiltAt.Compare(other.BuiltAt); order != 0 {
		return order > 0
	}

	return v.Ordinal > other.Ordinal
}

// Service is the service that it is about.
type Service struct {
	ID     string
	Name   string
	Owner  string
	Labels map[string]string
}

// Environment is a place.
type Environment struct {
	ID     string
	Name   string
	Tier   string
	Rank   int
	Labels map[string]string
	// Locked, and why.
	Locked     bool
	LockReason string
	Archived   bool
	// External: somebody else deploys there.
	External bool
}

// Target is an environment and what is there of the service.
type Target struct {
	Environment Environment
	// Current is what is in place; nil for nothing.
	Current *VersionRef
	// Unfinished are the deployments under way or waiting to be.
	Unfinished []Candidate
	// Held, and why: the service is pinned there.
	Held       bool
	HoldReason string
}

// Candidate is an unfinished deployment of a version.
type Candidate struct {
	Deployment string
	Version    VersionRef
}
