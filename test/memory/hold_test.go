//go:build unix

package memory

import (
	"database/sql"
	"strings"
	"testing"
)

// TestHoldsAndLocksKeepRulesWaiting lets a rule on deployments meet a lock and a
// hold at once: it goes on when both are gone, with what it was about.
func TestHoldsAndLocksKeepRulesWaiting(t *testing.T) {
	each(t, func(t *testing.T, a *api) {
		b := newBoard(t, a)
		b.follow()

		ask[object](a, `mutation { lockEnvironment(input: {environment: "there", reason: "the sale is on"}) { changed } }`, nil)

		first := b.worked(b.act("deploy", object{"service": "app", "environment": "here", "version": "1"}))
		b.decided(map[string]int{"HOLD": 1})

		hold := ask[struct{ CreateHold struct{ Hold identified } }](a,
			`mutation { createHold(input: {service: "app", environment: "there", reason: "we look into it"}) { hold { id } } }`, nil).CreateHold.Hold.ID

		b.refused("promote", object{"service": "app", "from": "here", "to": "there"}, "LOCKED", "to")
		ask[object](a, `mutation { unlockEnvironment(input: {environment: "there"}) { changed } }`, nil)
		b.refused("promote", object{"service": "app", "from": "here", "to": "there"}, "HELD", "to")
		b.decided(map[string]int{"HOLD": 1})

		type released struct {
			ReleaseHold struct {
				Changed   bool
				Decisions []struct{ Deployment *identified }
			}
		}

		const release = `mutation($h: ID!) { releaseHold(input: {hold: $h}) { changed decisions { deployment { id } } } }`

		got := ask[released](a, release, object{"h": hold}).ReleaseHold
		if !got.Changed || len(got.Decisions) != 1 || got.Decisions[0].Deployment == nil {
			t.Fatalf("released, it was decided %+v", got)
		}

		there := b.worked(got.Decisions[0].Deployment.ID)
		if there.Kind != "PROMOTE" || there.Source == nil || there.Source.ID != first.ID {
			t.Errorf("the rule made %+v", there)
		}

		if got := ask[released](a, release, object{"h": hold}).ReleaseHold; got.Changed || len(got.Decisions) > 0 {
			t.Errorf("released again: %+v", got)
		}

		// What an unlocking has to decide again is decided by a job.
		ask[object](a, `mutation { lockEnvironment(input: {environment: "there", reason: "the sale is on"}) { changed } }`, nil)
		b.register("2", forever())
		b.worked(b.act("deploy", object{"service": "app", "environment": "here", "version": "2"}))
		b.decided(map[string]int{"HOLD": 2, "DEPLOY": 1})
		ask[object](a, `mutation { unlockEnvironment(input: {environment: "there"}) { changed } }`, nil)
		b.decided(map[string]int{"HOLD": 2, "DEPLOY": 2})
	})
}

// TestALostJobOfAnUnlockingIsRepeated unlocks as if the server had ended
// between the unlocking and its job: what was held is decided all the same.
func TestALostJobOfAnUnlockingIsRepeated(t *testing.T) {
	each(t, func(t *testing.T, a *api) {
		b := newBoard(t, a)
		b.follow()

		ask[object](a, `mutation { lockEnvironment(input: {environment: "there", reason: "the sale is on"}) { changed } }`, nil)
		b.worked(b.act("deploy", object{"service": "app", "environment": "here", "version": "1"}))
		b.decided(map[string]int{"HOLD": 1})

		driver, dsn := "postgres", a.database
		if path, ok := strings.CutPrefix(dsn, "sqlite:"); ok {
			driver, dsn = "sqlite", "file:"+path+"?_pragma=busy_timeout(10000)"
		}

		pool, err := sql.Open(driver, dsn)
		if err != nil {
			t.Fatal(err)
		}
		defer pool.Close()

		if _, err := pool.ExecContext(t.Context(), "UPDATE environments SET locked_reason = NULL WHERE name = 'there'"); err != nil {
			t.Fatal(err)
		}

		b.decided(map[string]int{"HOLD": 1, "DEPLOY": 1})
	})
}

// TestABlockedVersionIsRejected blocks a version while a deployment of it waits
// its turn, and asks what can be done with one that was in place.
func TestABlockedVersionIsRejected(t *testing.T) {
	each(t, func(t *testing.T, a *api) {
		b := newBoard(t, a)
		b.register("2", forever())
		b.register("never", never())

		where := object{"service": "app", "environment": "here"}
		deploy := func(version string) string {
			return b.act("deploy", object{"service": "app", "environment": "here", "version": version})
		}

		first := b.worked(deploy("1"))
		b.worked(deploy("2"))

		holder := deploy("never")
		b.until(holder, "VERIFYING")

		waiting := deploy("1")

		ask[object](a, `mutation { blockVersion(input: {service: "app", version: "1", reason: "it loses orders"}) { changed } }`, nil)
		ask[object](a, `mutation($d: ID!) { cancelDeployment(input: {deployment: $d}) { deployment { id } } }`, object{"d": holder})
		b.until(waiting, "REJECTED")

		if now := b.until(first.ID, "SUCCEEDED"); now.CanRollback.Allowed || now.CanRollback.Code != "BLOCKED" || now.ViewerCan.Rollback {
			t.Errorf("of a blocked version: %+v", now)
		}

		b.refused("deploy", object{"service": "app", "environment": "here", "version": "1"}, "BLOCKED", "version")
		b.refused("redeploy", object{"deployment": first.ID}, "BLOCKED", "version")
		b.refused("rollback", object{"service": "app", "environment": "here", "to": first.ID}, "BLOCKED", "version")

		// The last good one is none of it.
		back := b.worked(b.act("rollback", where))
		if back.Version == nil || back.Version.Name != "2" {
			t.Errorf("back is %+v", back)
		}

		ask[object](a, `mutation { unblockVersion(input: {service: "app", version: "1"}) { changed } }`, nil)
		b.worked(b.act("rollback", object{"service": "app", "environment": "here", "to": first.ID}))
	})
}

// TestDryRunsAndStaleActs: a plan says what is there and what stands against it
// and changes nothing; a stale act is told what is there now.
func TestDryRunsAndStaleActs(t *testing.T) {
	each(t, func(t *testing.T, a *api) {
		b := newBoard(t, a)
		first := b.worked(b.act("deploy", object{"service": "app", "environment": "here", "version": "1"}))

		ask[object](a, `mutation { createHold(input: {service: "app", environment: "here", reason: "we look into it"}) { hold { id } } }`, nil)

		before := b.count()

		type planned struct {
			Act struct {
				Deployment *identified
				Plan       struct {
					Digest    *string
					Unchanged bool
					Current   *identified
					Unmet     []struct{ Code string }
				}
			}
		}

		for mutation, c := range map[string]struct {
			input     object
			digest    bool
			unchanged bool
			unmet     string
		}{
			"deploy":   {object{"service": "app", "environment": "here", "version": "1"}, true, true, "HELD"},
			"redeploy": {object{"deployment": first.ID}, true, true, "HELD"},
			"rollback": {object{"service": "app", "environment": "here", "to": first.ID}, true, true, ""},
			"undeploy": {object{"service": "app", "environment": "here"}, false, false, "HELD"},
		} {
			c.input["dryRun"] = true
			input := string(mutation[0]-'a'+'A') + mutation[1:] + "Input!"

			got := ask[planned](a, `mutation($input: `+input+`) { act: `+mutation+`(input: $input) {
				deployment { id } plan { digest unchanged current { id } unmet { code } } } }`, object{"input": c.input}).Act

			var unmet string
			if gates := got.Plan.Unmet; len(gates) == 1 {
				unmet = gates[0].Code
			} else if len(gates) > 1 {
				t.Errorf("%s would meet %+v", mutation, gates)
			}

			if got.Deployment != nil || (got.Plan.Digest != nil) != c.digest || got.Plan.Unchanged != c.unchanged || unmet != c.unmet ||
				got.Plan.Current == nil || got.Plan.Current.ID != first.ID {
				t.Errorf("%s would be %+v", mutation, got)
			}
		}

		if after := b.count(); after != before {
			t.Errorf("dry runs made %d deployments", after-before)
		}

		got, err := a.post(document("undeploy"), object{"input": object{"service": "app", "environment": "here", "expectedCurrent": ""}})
		if err != nil || got.code() != "STALE" {
			t.Fatal(err, got)
		}

		if now := got.Errors[0].Extensions.Current; now == nil || now.Deployment != first.ID || now.Version == "" {
			t.Errorf("what is there now: %+v", now)
		}
	})
}
