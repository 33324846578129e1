//go:build unix

package memory

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"
)

// TestUndeploy takes a service away and brings it back, and asks in between
// everything that the memory answers about what is in place.
func TestUndeploy(t *testing.T) {
	each(t, func(t *testing.T, a *api) {
		b := newBoard(t, a)
		b.follow()

		first := b.worked(b.act("deploy", object{"service": "app", "environment": "here", "version": "1"}))
		b.refused("undeploy", object{"service": "app", "environment": "nowhere"}, "CONFLICT", "environment")
		b.refused("undeploy", object{"service": "app", "environment": "here", "expectedCurrent": ""}, "STALE", "expectedCurrent")

		input := object{"service": "app", "environment": "here", "expectedCurrent": first.ID, "reason": "it is over", "idempotencyKey": "once"}
		gone := b.worked(b.act("undeploy", input))

		if again := b.act("undeploy", input); again != gone.ID {
			t.Errorf("the same key makes %s, then %s", gone.ID, again)
		}

		b.isGone(first, gone)
		b.journey(first, gone)
		b.cannotRepeat(gone)
		b.refused("undeploy", object{"service": "app", "environment": "here"}, "CONFLICT", "environment")

		back := b.worked(b.act("rollback", object{"service": "app", "environment": "here", "hold": false}))
		b.isBack(back, "ROLLBACK", first)

		b.worked(b.act("undeploy", object{"service": "app", "environment": "here"}))
		b.isBack(b.worked(b.act("redeploy", object{"deployment": first.ID})), "REDEPLOY", first)

		b.worked(b.act("undeploy", object{"service": "app", "environment": "here"}))
		b.isBack(b.worked(b.act("redeploy", object{"deployment": first.ID, "configuration": "LATEST"})), "REDEPLOY", first)

		// The rule follows what was deployed, and not what was taken away.
		b.decided(map[string]int{"DEPLOY": 1, "SKIP": 3})
	})
}

// TestUndeployWaitsItsTurn lets undeploy meet what is under way.
func TestUndeployWaitsItsTurn(t *testing.T) {
	each(t, func(t *testing.T, a *api) {
		b := newBoard(t, a)
		where := object{"service": "app", "environment": "here"}

		b.register("never", never())

		holder := b.act("deploy", object{"service": "app", "environment": "here", "version": "never"})
		b.until(holder, "VERIFYING")

		waiting := b.act("undeploy", where)
		b.until(waiting, "QUEUED")

		// A newer one of whatever kind takes the place of what has not acted.
		newer := b.act("deploy", object{"service": "app", "environment": "here", "version": "1"})
		b.until(waiting, "SUPERSEDED")

		last := b.act("undeploy", object{"service": "app", "environment": "here", "preempt": true})
		b.until(newer, "SUPERSEDED")
		b.until(holder, "CANCELLED")

		gone := b.worked(last)
		if p := b.placement(); p.Recorded == nil || p.Recorded.ID != gone.ID || p.Applied.ID != gone.ID {
			t.Errorf("recorded is %+v, applied %+v; want %s", p.Recorded, p.Applied, gone.ID)
		}

		// What failed may have left something: it may be taken away too.
		b.register("missing", workload())
		b.until(b.act("deploy", object{"service": "app", "environment": "here", "version": "missing"}), "FAILED")
		b.worked(b.act("undeploy", where))
		b.refused("undeploy", where, "CONFLICT", "environment")
	})
}

// TestUndeployWhereTheTargetHasChanged does not say that it took away what runs
// somewhere else.
func TestUndeployWhereTheTargetHasChanged(t *testing.T) {
	each(t, func(t *testing.T, a *api) {
		b := newBoard(t, a)
		where := object{"service": "app", "environment": "here"}
		move := func(kind string) {
			ask[object](a, `mutation($k: TargetKind!) { updateEnvironment(input: {environment: "here", target: {kind: $k}}) { environment { id } } }`, object{"k": kind})
		}

		b.worked(b.act("deploy", object{"service": "app", "environment": "here", "version": "1"}))
		move("EXTERNAL")
		b.refused("undeploy", where, "INVALID_INPUT", "environment")
		move("PROCESS")
		b.refused("undeploy", where, "CONFLICT", "environment")

		b.worked(b.act("deploy", object{"service": "app", "environment": "here", "version": "1"}))
		b.worked(b.act("undeploy", where))
	})
}

// board is a service with a version and environments to put it in.
type board struct {
	*api

	t *testing.T
}

// deployed is what the tests look at of a deployment.
type deployed struct {
	ID, Kind, Status, Reason string
	BecameCurrentAt          time.Time
	Version                  *struct{ Name string }
	Snapshot                 *struct{ Digest string }
	Base, Source             *identified
	Steps                    []struct{ Kind, Status string }
	CanRollback              struct {
		Allowed bool
		Code    string
	}
	ViewerCan struct{ Redeploy, Rollback bool }
}

const deployedFields = ` id kind status reason becameCurrentAt version { name } snapshot { digest } base { id } source { id } steps { kind status }
	canRollback { allowed code } viewerCan { redeploy rollback } `

// placed is a placement.
type placed struct {
	Environment                struct{ Name string }
	Recorded, Applied, Pending *deployed
	Drift                      string
	PendingConfiguration       bool
	Observed                   *struct {
		Versions []struct {
			Version *struct{ Name string }
		}
	}
}

const placedFields = ` environment { name } recorded {` + deployedFields + `} applied {` + deployedFields + `} pending { id } drift pendingConfiguration observed { versions { version { name } } } `

func newBoard(t *testing.T, a *api) *board {
	t.Helper()

	b := &board{a, t}

	ask[object](a, `mutation {
		createService(input: {name: "app"}) { service { id } }
		here: createEnvironment(input: {name: "here", tier: TESTING, rank: 1, target: {kind: PROCESS}}) { environment { id } }
		there: createEnvironment(input: {name: "there", tier: STAGING, rank: 2, target: {kind: PROCESS}}) { environment { id } }
		nowhere: createEnvironment(input: {name: "nowhere", tier: STAGING, rank: 3, target: {kind: PROCESS}}) { environment { id } }
	}`, nil)
	b.register("1", forever())

	if t.Failed() {
		t.FailNow()
	}

	return b
}

func (b *board) register(version string, score object) {
	b.t.Helper()

	ask[object](b.api, `mutation($v: String!, $w: JSON!) { registerVersion(input: {service: "app", version: $v, workload: {score: $w}}) { created } }`,
		object{"v": version, "w": score})
}

// document of an act.
func document(mutation string) string {
	input := string(mutation[0]-'a'+'A') + mutation[1:] + "Input!"

	return fmt.Sprintf("mutation($input: %s) { act: %s(input: $input) { deployment { id } } }", input, mutation)
}

// act makes a deployment.
func (b *board) act(mutation string, input object) string {
	b.t.Helper()

	made := ask[struct {
		Act struct{ Deployment identified }
	}](b.api, document(mutation), object{"input": input}).Act.Deployment.ID
	if b.t.Failed() {
		b.t.FailNow()
	}

	return made
}

// refused sends an act that must be refused, and make nothing.
func (b *board) refused(mutation string, input object, code, field string) {
	b.t.Helper()

	before := b.count()

	got, err := b.post(document(mutation), object{"input": input})
	if err != nil || got.code() != code || got.field() != field {
		b.t.Errorf("%s %v: %v %+v, want %s of %s", mutation, input, err, got.Errors, code, field)
	}

	if after := b.count(); after != before {
		b.t.Errorf("%s %v is refused and has made a deployment", mutation, input)
	}
}

// count counts the deployments that the test made itself.
func (b *board) count() int {
	b.t.Helper()

	return ask[struct{ Deployments struct{ TotalCount int } }](b.api, `{ deployments(filter: {service: "app", cause: [USER]}) { totalCount } }`, nil).Deployments.TotalCount
}

// follow has a rule follow from here to there.
func (b *board) follow() {
	b.t.Helper()

	ask[object](b.api, `mutation { putRule(input: {
		name: "follow", trigger: DEPLOYMENT_SUCCEEDED, sourceEnvironment: "here", targetEnvironment: "there"
	}) { changed } }`, nil)
}

// decided waits for as many decisions of the rule and compares them.
func (b *board) decided(want map[string]int) {
	b.t.Helper()

	all := 0
	for _, n := range want {
		all += n
	}

	got := map[string]int{}

	until(b.t, fmt.Sprint(all, " decisions"), func() bool {
		decisions := ask[struct {
			Rule struct {
				Decisions struct{ Nodes []struct{ Effect string } }
			}
		}](b.api, `{ rule(name: "follow") { decisions { nodes { effect } } } }`, nil).Rule.Decisions.Nodes

		got = map[string]int{}
		for _, d := range decisions {
			got[d.Effect]++
		}

		return len(decisions) >= all || b.t.Failed()
	})

	if !maps.Equal(got, want) {
		b.t.Errorf("decided is %v, want %v", got, want)
	}
}

// until waits for a deployment's status.
func (b *board) until(deploymentID, status string) (d deployed) {
	b.t.Helper()

	until(b.t, deploymentID+" is "+status, func() bool {
		d = ask[struct{ Deployment deployed }](b.api, "query($id: ID!) { deployment(id: $id) {"+deployedFields+"} }", object{"id": deploymentID}).Deployment

		return d.Status == status || b.t.Failed()
	})

	return d
}

func (b *board) worked(deploymentID string) deployed {
	b.t.Helper()

	return b.until(deploymentID, "SUCCEEDED")
}

func (b *board) placement() placed {
	b.t.Helper()

	found := ask[struct{ Placements struct{ Nodes []placed } }](b.api,
		`{ placements(filter: {service: "app", environment: "here"}) { nodes {`+placedFields+`} } }`, nil).Placements.Nodes
	if len(found) != 1 {
		b.t.Fatalf("%d placements", len(found))
	}

	return found[0]
}

// settled waits for what is observed to be so, and in sync.
func (b *board) settled(versions ...string) placed {
	b.t.Helper()

	var p placed

	until(b.t, fmt.Sprint("what is observed is ", versions), func() bool {
		p = b.placement()

		var seen []string
		if p.Observed != nil {
			for _, v := range p.Observed.Versions {
				seen = append(seen, v.Version.Name)
			}
		}

		return p.Observed != nil && slices.Equal(seen, versions) && p.Drift == "IN_SYNC" || b.t.Failed()
	})

	return p
}

// isGone asks all that is asked about what is in place, now and then.
func (b *board) isGone(first, gone deployed) {
	b.t.Helper()

	if gone.Kind != "UNDEPLOY" || gone.Version != nil || gone.Snapshot != nil || gone.Reason != "it is over" || gone.Base == nil || gone.Base.ID != first.ID {
		b.t.Errorf("it is %+v", gone)
	}

	for _, s := range gone.Steps {
		if s.Status != "SUCCEEDED" {
			b.t.Errorf("its step %s is %s", s.Kind, s.Status)
		}
	}

	p := b.settled()
	if p.Recorded == nil || p.Recorded.ID != gone.ID || p.Applied.ID != gone.ID || p.Pending != nil || p.PendingConfiguration {
		b.t.Errorf("the placement is %+v: recorded %+v, applied %+v", p, p.Recorded, p.Applied)
	}

	type found struct {
		Nodes []placed
	}

	answer := ask[struct {
		Version struct{ Placements []placed }
		Now     found
		Then    found
		Drifted found
		Matrix  struct {
			Rows []struct{ Placements []*placed }
		}
	}](b.api, `query($then: Time!) {
		version(service: "app", name: "1") { placements {`+placedFields+`} }
		now: placements(filter: {service: "app", version: "1", environment: "here"}) { nodes {`+placedFields+`} }
		then: placements(filter: {service: "app", version: "1", environment: "here"}, at: $then) { nodes {`+placedFields+`} }
		drifted: placements(filter: {service: "app", environment: "here", drift: [MISSING, UNKNOWN_VERSION, VERSION_DIFFERS]}) { nodes {`+placedFields+`} }
		matrix(services: ["app"], environments: ["here"]) { rows { placements {`+placedFields+`} } }
	}`, object{"then": first.BecameCurrentAt})

	// The rule has it there, or soon.
	elsewhere := func(p placed) bool { return p.Environment.Name != "here" }
	if rest := slices.DeleteFunc(answer.Version.Placements, elsewhere); len(rest)+len(answer.Now.Nodes)+len(answer.Drifted.Nodes) > 0 {
		b.t.Errorf("it is still here: %+v", answer)
	}

	if n := answer.Then.Nodes; len(n) != 1 || n[0].Recorded.ID != first.ID {
		b.t.Errorf("then it was %+v", n)
	}

	if rows := answer.Matrix.Rows; len(rows) != 1 || rows[0].Placements[0].Recorded.ID != gone.ID || rows[0].Placements[0].Recorded.Version != nil {
		b.t.Errorf("the matrix has %+v", rows)
	}
}

// journey: the version was there until it was taken away.
func (b *board) journey(first, gone deployed) {
	b.t.Helper()

	stops := ask[struct {
		Version struct {
			Journey []struct {
				IsCurrent                  bool
				CurrentSince, CurrentUntil time.Time
				Deployments                []identified
			}
		}
	}](b.api, `{ version(service: "app", name: "1") { journey { isCurrent currentSince currentUntil deployments { id } } } }`, nil).Version.Journey

	if len(stops) == 0 || stops[0].IsCurrent || !stops[0].CurrentSince.Equal(first.BecameCurrentAt) ||
		!stops[0].CurrentUntil.Equal(gone.BecameCurrentAt) || !slices.Equal(stops[0].Deployments, []identified{{first.ID}}) {
		b.t.Errorf("its journey is %+v", stops)
	}
}

// cannotRepeat: there is nothing to bring back in what took it away, and the
// memory says so beforehand.
func (b *board) cannotRepeat(gone deployed) {
	b.t.Helper()

	if gone.CanRollback.Allowed || gone.CanRollback.Code != "CONFLICT" || gone.ViewerCan.Redeploy || gone.ViewerCan.Rollback {
		b.t.Errorf("it can be repeated: %+v", gone)
	}

	b.refused("rollback", object{"service": "app", "environment": "here", "to": gone.ID}, "CONFLICT", "to")
	b.refused("redeploy", object{"deployment": gone.ID}, "CONFLICT", "deployment")
	b.refused("redeploy", object{"deployment": gone.ID, "configuration": "LATEST"}, "CONFLICT", "deployment")

	// Of what was there before it, the opposite is true.
	if first := b.until(gone.Base.ID, "SUCCEEDED"); !first.CanRollback.Allowed || !first.ViewerCan.Rollback || !first.ViewerCan.Redeploy {
		b.t.Errorf("it cannot be brought back: %+v", first)
	}
}

// isBack: the content of then is in place again.
func (b *board) isBack(back deployed, kind string, source deployed) {
	b.t.Helper()

	if back.Kind != kind || back.Source == nil || back.Source.ID != source.ID || back.Snapshot == nil || *back.Snapshot != *source.Snapshot {
		b.t.Errorf("back is %+v", back)
	}

	p := b.settled("1")
	if p.Recorded == nil || p.Recorded.ID != back.ID || p.Recorded.Version == nil || p.Recorded.CanRollback.Allowed {
		b.t.Errorf("recorded is %+v, want %s", p.Recorded, back.ID)
	}
}
