package cli

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// The answers of the server as far as the tables show them; the documents say
// what is asked for.

type named struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	// BlockedReason, of a version, where it is asked for.
	BlockedReason string `json:"blockedReason"`
}

type actor struct{ Kind, Display string }

type pageInfo struct {
	HasNextPage bool   `json:"hasNextPage"`
	EndCursor   string `json:"endCursor"`
}

type page[T any] struct {
	Nodes    []T
	PageInfo pageInfo
	Position string
}

type service struct {
	ID, Name, Title, Owner, RepositoryURL, CatalogRef string
	Labels                                            map[string]string
	CreatedAt, ArchivedAt                             time.Time
}

type environment struct {
	ID, Name, Title, Tier, Owner, LockedReason string
	Rank                                       int
	Labels                                     map[string]string
	Target                                     target
	CreatedAt, ArchivedAt                      time.Time
}

type target struct{ Kind, Connection, Namespace string }

type version struct {
	ID, Name, Commit, Ref, Author, BuildURL, Notes, ContentDigest, BlockedReason string
	BuiltAt, CreatedAt                                                           time.Time
	Backfill                                                                     bool
	Labels                                                                       map[string]string
	Service                                                                      named
	Images                                                                       []image
	WorkloadFrom                                                                 *named
}

type image struct{ Name, Reference, Digest string }

type deployment struct {
	ID, Kind, Cause, Status, StatusReason, Reason               string
	OccurredAt, CreatedAt, ActedAt, FinishedAt, BecameCurrentAt time.Time
	Service, Environment                                        named
	Version                                                     *named
	Actor                                                       actor
	Endpoints                                                   []endpoint
	Diagnosis                                                   *diagnosis
}

// versionName is "" for UNDEPLOY.
func (d deployment) versionName() string {
	if d.Version == nil {
		return ""
	}

	return d.Version.Name
}

// what names the service, and the version if there is one.
func (d deployment) what() string {
	return strings.TrimSpace(d.Service.Name + " " + d.versionName())
}

// leaves names what it leaves in place: its version, or nothing of the service.
func (d deployment) leaves() string {
	if d.Version == nil {
		return "removed"
	}

	return d.Version.Name
}

type endpoint struct{ Name, URL string }

type diagnosis struct {
	Kind, Summary, Advice, Container, Instance, Signal string
	ExitCode, Attempts                                 *int
	LastLines                                          []string
}

type reason struct{ Code, Message string }

type decision struct {
	ID, Effect           string
	Rule                 named
	RuleRevision         int
	Version, Environment named
	Reasons              []reason
	Deployment           *struct{ ID, Status string }
}

type rule struct {
	ID, Name, Trigger, Condition string
	Revision                     int
	Enabled                      bool
	Kinds                        []string
	SourceEnvironment            *named
	TargetEnvironment            named
	Selector                     struct {
		Names, Owners []string
		Labels        map[string]string
	}
	UpdatedAt, DeletedAt time.Time
}

type configuration struct {
	ID, Scope, Reason    string
	Revision             int
	Content              json.RawMessage
	Service, Environment *named
	Actor                actor
	CreatedAt            time.Time
}

type check struct {
	ID, Name, Result, URL, Summary string
	Version                        named
	Environment                    *named
	Actor                          actor
	CreatedAt                      time.Time
}

type placement struct {
	ID, Drift            string
	PendingConfiguration bool
	Service, Environment named
	Recorded             *deployment
	Applied, Pending     *deployment
	Observed             *observed
	Hold                 *hold
}

type hold struct {
	ID, Reason, ReleaseReason string
	CreatedAt, ReleasedAt     time.Time
	Service, Environment      named
	Actor                     actor
	ReleasedBy                *actor
}

type observed struct {
	At       time.Time
	Versions []observedVersion
}

// settled reports whether all that runs is ready.
func (o observed) settled() bool {
	return !slices.ContainsFunc(o.Versions, func(v observedVersion) bool { return v.Ready != v.Desired })
}

type observedVersion struct {
	Version        *named
	Image          string
	Ready, Desired int
}

type event struct {
	ID                             string
	Seq                            int64
	Time                           time.Time
	Type, Source, Subject, Message string
	Actor                          actor
}

type logLine struct {
	Cursor, Stream, Phase, Text string
	Time                        time.Time
	Truncated                   bool
	Source                      logSource
}

type logSource struct {
	Step, Container, Instance string
	Attempt                   int
}

type logGap struct {
	Reason string
	Lines  *int64
}

type logBatch struct {
	Cursor   string
	Complete bool
	Gap      *logGap
	Lines    []logLine
}
