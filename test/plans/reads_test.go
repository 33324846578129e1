//go:build unix

package plans

import "github.com/shiplog/shiplog/test/bench/dataset"

// history is large enough that a planner has a choice, and small enough that
// the statistics are made of all rows and not of a sample: the same plans each
// time.
var history = dataset.Size{Services: 150, Versions: 8, Environments: 20, Deployments: 2, Events: 1_500, Logs: 1_200, LogLines: 10}

// read is a document of the portal.
type read struct {
	name, document string
	variables      object
}

const (
	deploymentList = `nodes { id version { name } environment { name } actor { display } status occurredAt } pageInfo { endCursor hasNextPage }`
	placementList  = `nodes { service { name } environment { name target { connection } } recorded { version { name } becameCurrentAt actor { display } } }`
)

// reads are those of the portal's pages. The deployment is one with a log, the
// cursor one of the deployments' list.
func reads(deployment, cursor string) []read {
	service, version, owner := history.Service(3), history.Running(3, 5), history.Owner(1)
	in := object{"s": service, "v": version, "o": owner, "d": deployment, "e": history.Environment(2), "a": cursor}
	at := object{"s": service, "v": version, "o": owner, "at": "2025-02-01T00:00:00Z"}

	return []read{
		{"placements of a version", `query ($s: ID!, $v: ID!) { version(service: $s, name: $v) { name placements { environment { name target { connection } } recorded { becameCurrentAt actor { display } } } } }`, in},
		{"placements of a version at a moment", `query ($s: ID!, $v: ID!, $at: Time) { version(service: $s, name: $v) { placements(at: $at) { environment { name } recorded { becameCurrentAt } } } }`, at},
		{"placements of a service", `query ($s: ID!) { service(name: $s) { placements { environment { name } recorded { version { name } } applied { id } pending { id } pendingConfiguration } } }`, in},
		{"placements of an environment", `query ($e: ID!) { environment(name: $e) { placements(first: 50) { ` + placementList + ` } } }`, in},
		{"placements", `{ placements(first: 50) { ` + placementList + ` } }`, nil},
		{"placements of an owner", `query ($o: String!) { placements(first: 50, filter: {owner: $o}) { ` + placementList + ` } }`, in},
		{"placements at a moment", `query ($o: String!, $at: Time) { placements(first: 50, at: $at, filter: {owner: $o}) { ` + placementList + ` } }`, at},
		{"matrix", `query ($o: String!) { matrix(owner: $o, first: 50) { environments { name } rows { service { name } placements { recorded { version { name } becameCurrentAt } } } } }`, in},
		{"matrix at a moment", `query ($o: String!, $at: Time) { matrix(owner: $o, first: 50, at: $at) { environments { name } rows { service { name } placements { recorded { version { name } } } } } }`, at},
		{"journey", `query ($s: ID!, $v: ID!) { version(service: $s, name: $v) { name journey { environment { name rank } currentSince currentUntil deployments { actor { display } status occurredAt } checks { name result createdAt } } } }`, in},
		{"deployments", `{ deployments(first: 50) { ` + deploymentList + ` } }`, nil},
		{"deployments after a cursor", `query ($a: Cursor) { deployments(first: 50, after: $a) { ` + deploymentList + ` } }`, in},
		{"deployments of a service", `query ($s: ID!) { service(name: $s) { deployments(first: 50) { ` + deploymentList + ` } } }`, in},
		{"deployments of an environment", `query ($e: ID!) { environment(name: $e) { deployments(first: 50) { ` + deploymentList + ` } } }`, in},
		{"deployments of a version", `query ($s: ID!, $v: ID!) { version(service: $s, name: $v) { deployments(first: 50) { ` + deploymentList + ` } } }`, in},
		{"deployments that failed", `{ deployments(first: 50, filter: {status: [FAILED]}) { ` + deploymentList + ` } }`, nil},
		{"deployments under way", `{ deployments(first: 50, filter: {status: [QUEUED, WAITING, RUNNING, VERIFYING]}) { ` + deploymentList + ` } }`, nil},
		{"deployments of an owner in an environment", `query ($o: String!, $e: ID!) { deployments(first: 50, filter: {owner: $o, environment: $e}) { ` + deploymentList + ` } }`, in},
		{"a deployment", `query ($d: ID!) { deployment(id: $d) { status service { name } version { name images { reference } } base { id } steps { name } timeline { message } checks { name } events(first: 10) { nodes { type } } canRollback { allowed } } }`, in},
		{"the end of a log", `query ($d: ID!) { deployment(id: $d) { logs(last: 100) { nodes { text } } } }`, in},
		{"the beginning of a log", `query ($d: ID!) { deployment(id: $d) { logs(first: 100) { nodes { text } } } }`, in},
		{"versions of a service", `query ($s: ID!) { service(name: $s) { versions(first: 50) { nodes { name images { reference } checks { name } placements { environment { name } } } } } }`, in},
		{"events", `{ events(last: 50) { nodes { seq type message payload } } }`, nil},
		{"events of a deployment", `query ($d: ID!) { events(last: 50, filter: {subject: $d}) { nodes { seq type message } } }`, in},
		{"events of a service", `query ($s: ID!) { events(last: 50, filter: {service: $s}) { nodes { seq type message } } }`, in},
	}
}
