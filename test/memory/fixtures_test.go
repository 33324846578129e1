//go:build unix

package memory

import (
	"fmt"
	"strconv"
	"testing"
	"time"
)

// fixtures is what good inputs refer to, and how its ids are called in the
// golden file.
type fixtures struct {
	t     *testing.T
	names map[string]string

	archivedService, archivedEnvironment, deletedRule, released, failed, step, recorded string

	// worked is a deployment that did, before the current one; acting changes
	// an input so that it is done (states_test.go).
	worked string
	acting map[string]object
	made   int
}

// identified is a thing with an id.
type identified struct{ ID string }

// newFixtures makes a service with a version, an environment of each kind that
// can be had, what is archived and deleted, and a deployment that is over.
func newFixtures(t *testing.T, a *api) *fixtures {
	t.Helper()

	f := &fixtures{t: t, names: map[string]string{}}

	for _, name := range []string{"subject", "archived"} {
		ask[object](a, `mutation($n: String!) { createService(input: {name: $n}) { service { id } } }`, object{"n": name})
	}

	ask[object](a, `mutation { registerVersion(input: {service: "archived", version: "1.0.0", image: "registry.example/archived:1"}) { created } }`, nil)

	f.archivedService = f.name("SERVICE", ask[struct{ ArchiveService struct{ Service identified } }](a,
		`mutation { archiveService(input: {service: "archived"}) { service { id } } }`, nil).ArchiveService.Service.ID)

	for i, e := range []struct{ name, kind string }{{"here", "PROCESS"}, {"elsewhere", "EXTERNAL"}, {"archived", "EXTERNAL"}, {"changing", "EXTERNAL"}} {
		ask[object](a, `mutation($i: CreateEnvironmentInput!) { createEnvironment(input: $i) { environment { id } } }`, object{"i": object{
			"name": e.name, "tier": "TESTING", "rank": i, "target": object{"kind": e.kind},
		}})
	}

	f.archivedEnvironment = f.name("ENVIRONMENT", ask[struct {
		ArchiveEnvironment struct{ Environment identified }
	}](a, `mutation { archiveEnvironment(input: {environment: "archived"}) { environment { id } } }`, nil).ArchiveEnvironment.Environment.ID)

	f.deletedRule = f.name("RULE", ask[struct{ PutRule struct{ Rule identified } }](a,
		`mutation { putRule(input: {name: "deleted", trigger: VERSION_REGISTERED, targetEnvironment: "elsewhere"}) { rule { id } } }`, nil).PutRule.Rule.ID)
	ask[object](a, `mutation { deleteRule(input: {rule: "deleted"}) { changed } }`, nil)

	ask[object](a, `mutation($w: JSON!) { registerVersion(input: {service: "subject", version: "1.0.0", builtAt: "2024-01-01T00:00:00Z", workload: {score: $w}}) { created } }`, object{"w": workload()})

	f.recorded = f.name("RECORDED", a.record(object{"service": "subject", "environment": "elsewhere", "version": "1.0.0", "finishedAt": "2024-01-01T00:00:00Z"}).RecordDeployment.Deployment.ID)
	if t.Failed() {
		t.FailNow()
	}

	f.deployAndWait(a)

	ask[object](a, `mutation { createEnvironment(input: {name: "lockable", tier: OTHER, rank: 9, target: {kind: EXTERNAL}}) { environment { id } } }`, nil)

	f.released = f.name("RELEASED", ask[struct{ CreateHold struct{ Hold identified } }](a,
		`mutation { createHold(input: {service: "subject", environment: "lockable", reason: "for the test"}) { hold { id } } }`, nil).CreateHold.Hold.ID)
	ask[object](a, `mutation($h: ID!) { releaseHold(input: {hold: $h}) { changed } }`, object{"h": f.released})

	return f
}

// workload is a program that is not there: its deployment fails at once.
func workload() object {
	return object{
		"apiVersion": "score.dev/v1b1",
		"metadata":   object{"name": "subject", "annotations": object{"shiplog.dev/startup-timeout": "1s"}},
		"containers": object{"main": object{"image": "subject", "command": []any{"/nonexistent/program"}}},
	}
}

func (f *fixtures) name(name, id string) string {
	f.names[id] = name

	return id
}

// deployAndWait makes a deployment that fails, with its snapshot and steps.
func (f *fixtures) deployAndWait(a *api) {
	f.t.Helper()

	f.failed = f.name("FAILED", ask[struct {
		Deploy struct{ Deployment identified }
	}](a,
		`mutation { deploy(input: {service: "subject", environment: "here", version: "1.0.0"}) { deployment { id } } }`, nil).Deploy.Deployment.ID)

	until(f.t, "the deployment fails", func() bool {
		d := ask[struct {
			Deployment struct {
				Status string
				Steps  []identified
			}
		}](a, `query($id: ID!) { deployment(id: $id) { status steps { id } } }`, object{"id": f.failed}).Deployment
		f.step = f.name("STEP", d.Steps[0].ID)

		return d.Status == "FAILED"
	})
}

// until waits for something to become true.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()

	deadline := time.NewTimer(patience)
	defer deadline.Stop()

	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()

	for !done() {
		select {
		case <-deadline.C:
			t.Fatal("in vain: ", what)
		case <-tick.C:
		}
	}
}

// input gives a good input of a mutation for the n-th case, which is about
// the field at path. What it makes differs from case to case; what acts is
// refused in the end, for a state that was expected.
func (f *fixtures) input(mutation, path string, n int) object {
	key := fmt.Sprintf("%s %d", mutation, n)
	labels := object{"team": "payments"}

	in, ok := map[string]object{
		"createService": {
			"name": fmt.Sprintf("made-%d", n), "title": "Made", "owner": "group:default/payments", "repositoryUrl": "https://example.com/repository",
			"labels": labels, "catalogRef": fmt.Sprintf("component:default/made-%d", n), "idempotencyKey": key,
		},
		"updateService": {
			"service": "subject", "title": "Subject", "owner": "group:default/payments", "repositoryUrl": "https://example.com/repository",
			"labels": labels, "catalogRef": "component:default/subject",
		},
		"archiveService": {"service": f.archivedService, "reason": "it is over"},
		"createEnvironment": {
			"name": fmt.Sprintf("made-%d", n), "title": "Made", "tier": "TESTING", "rank": 1, "owner": "group:default/payments", "labels": labels,
			"target": object{"kind": "KUBERNETES", "connection": "cluster", "namespace": "shop", "host": "shop.example", "allow": []any{"RBAC"}}, "idempotencyKey": key,
		},
		"updateEnvironment": {
			"environment": "changing", "title": "Changing", "tier": "TESTING", "rank": 1, "owner": "group:default/payments", "labels": labels,
			"target": object{"kind": "KUBERNETES", "connection": "cluster", "namespace": "shop", "host": "shop.example", "allow": []any{"RBAC"}},
		},
		"archiveEnvironment": {"environment": f.archivedEnvironment, "reason": "it is over"},
		"setConfiguration": {
			"service": "subject", "environment": "elsewhere", "content": object{"variables": object{"N": strconv.Itoa(n)}}, "reason": "for the test", "idempotencyKey": key,
		},
		"registerVersion": {
			"service": "subject", "version": fmt.Sprintf("2.0.%d", n), "image": "registry.example/subject:2", "digest": digest(), "commit": "0123456789abcdef",
			"images": []any{object{"name": "sidecar", "reference": "registry.example/sidecar:1", "digest": digest()}},
			"ref":    "main", "builtAt": "2024-02-01T00:00:00Z", "author": "Ann", "buildUrl": "https://ci.example.com/1", "notes": "New.",
			"workload": object{"score": workload()}, "labels": labels, "backfill": true, "idempotencyKey": key,
		},
		"reportCheck": {
			"service": "subject", "version": "1.0.0", "environment": "elsewhere", "name": "e2e", "result": "PASSED", "url": "https://ci.example.com/1",
			"summary": "Good.", "idempotencyKey": key,
		},
		"recordDeployment": {
			"service": "subject", "environment": "elsewhere", "version": "1.0.0", "status": "SUCCEEDED", "startedAt": "2024-03-01T00:00:00Z",
			"finishedAt": "2024-03-01T00:01:00Z", "actor": "Ann", "url": "https://ci.example.com/1", "backfill": true, "createMissing": false, "idempotencyKey": key,
		},
		"deploy": {
			"service": "subject", "environment": "here", "version": "1.0.0", "reason": "for the test", "dryRun": true, "preempt": false,
			"override": object{"reason": "for the test"}, "idempotencyKey": key,
		},
		"redeploy": {
			"deployment": f.failed, "configuration": "THEN", "dryRun": false, "reason": "for the test", "preempt": false, "override": object{"reason": "for the test"},
			"expectedCurrent": f.recorded, "idempotencyKey": key,
		},
		"rollback": {
			"service": "subject", "environment": "here", "to": f.failed, "hold": false, "dryRun": false, "reason": "for the test", "preempt": false, "override": object{"reason": "for the test"},
			"expectedCurrent": f.recorded, "idempotencyKey": key,
		},
		"promote": {
			"service": "subject", "from": "elsewhere", "to": "here", "reason": "for the test", "dryRun": false, "preempt": false,
			"override": object{"reason": "for the test"}, "expectedCurrent": f.recorded, "idempotencyKey": key,
		},
		"promoteEnvironment": {
			"from": "elsewhere", "to": "lockable", "services": []any{"subject"}, "expected": "sha256:0", "dryRun": false, "reason": "for the test",
			"preempt": false, "override": object{"reason": "for the test"}, "idempotencyKey": key,
		},
		"undeploy": {
			"service": "subject", "environment": "here", "dryRun": false, "reason": "for the test", "preempt": false, "override": object{"reason": "for the test"},
			"expectedCurrent": f.recorded, "idempotencyKey": key,
		},
		"cancelDeployment": {"deployment": f.failed, "reason": "for the test"},
		"resolveStep":      {"step": f.step, "outcome": "SUCCEEDED", "reason": "for the test"},
		"putRule": {
			"name": "rule", "enabled": false, "trigger": "DEPLOYMENT_SUCCEEDED", "sourceEnvironment": "elsewhere", "kinds": []any{"PROMOTE"},
			"selector":  object{"names": []any{"nothing-*"}, "labels": labels, "owners": []any{"group:default/payments"}},
			"condition": "true", "targetEnvironment": "here", "idempotencyKey": key,
		},
		"deleteRule": {"rule": f.deletedRule},
		// What is held, locked and blocked is nobody else's.
		"createHold":        {"service": "subject", "environment": "changing", "reason": "for the test", "idempotencyKey": key},
		"releaseHold":       {"hold": f.released, "reason": "for the test"},
		"lockEnvironment":   {"environment": "lockable", "reason": "for the test"},
		"unlockEnvironment": {"environment": "lockable", "reason": "for the test"},
		"blockVersion":      {"service": "subject", "version": "1.0.0", "reason": "for the test"},
		"unblockVersion":    {"service": "subject", "version": "1.0.0", "reason": "for the test"},
	}[mutation]
	if !ok {
		f.t.Fatalf("there is no good input for %s yet: write one", mutation)
	}

	switch mutation + " " + path {
	case "registerVersion workload.manifests":
		in["workload"] = object{}
	case "deploy dryRun":
		in["environment"] = "elsewhere" // which refuses to be acted on
	case "redeploy expectedCurrent":
		in["deployment"] = f.recorded
	case "promote expectedCurrent":
		in["to"] = "lockable" // somebody else deploys there
	case "undeploy expectedCurrent":
		in["environment"] = "elsewhere"
	case "rollback expectedCurrent":
		in["environment"] = "elsewhere"
		in["to"] = f.recorded
	}

	return clone(in)
}

func digest() string {
	return "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
}
