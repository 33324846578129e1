package deploy

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

// TestRepeat repeats on a cluster: the first deployment again, exactly, after
// version and configuration have moved on; its snapshot in another environment;
// back, which holds against the rule; and released, the rule goes on.
func TestRepeat(t *testing.T) {
	t.Parallel()

	b, err := theBench()
	if err != nil {
		t.Fatal(err)
	}

	a, here, there := serve(t, b), b.namespace(t), b.namespace(t)

	a.must(`mutation { createService(input: {name: "hello"}) { service { id } } }`, nil, nil)

	for i, name := range []string{here, there} {
		a.must(`mutation($in: CreateEnvironmentInput!) { createEnvironment(input: $in) { environment { id } } }`, object{"in": object{
			"name": name, "tier": "STAGING", "rank": i, "target": object{"kind": "KUBERNETES", "connection": "test", "namespace": "{environment}"},
		}}, nil)
	}

	a.configure("morning", 2)
	a.register("1.0.0", b.image, object{"LINES": "3"})

	first := a.outcome(a.deploy("1.0.0", here).ID)
	was := b.owned(t, here)

	a.configure("evening", 1)
	a.register("2.0.0", b.image, object{"LINES": "5"})

	if second := a.outcome(a.deploy("2.0.0", here).ID); second.Snapshot.Digest == first.Snapshot.Digest || reflect.DeepEqual(b.owned(t, here), was) {
		t.Fatal("the second is no other than the first")
	}

	again := a.outcome(a.act("redeploy", "RedeployInput", object{"deployment": first.ID, "configuration": "THEN"}))
	if again.Snapshot != first.Snapshot {
		t.Errorf("repeated is %s, want %s", again.Snapshot, first.Snapshot)
	}

	if is := b.owned(t, here); !reflect.DeepEqual(is, was) {
		t.Errorf("what we own in the cluster is\n%s\nwant\n%s", text(t, is), text(t, was))
	}

	// Equal content is the same snapshot everywhere; only its place differs.
	a.configure("morning", 2)

	promoted := a.outcome(a.act("promote", "PromoteInput", object{"service": "hello", "from": here, "to": there}))
	if promoted.Kind != "PROMOTE" || promoted.Snapshot != first.Snapshot || promoted.Source == nil || promoted.Source.ID != again.ID {
		t.Errorf("promoted is %+v, want the snapshot of %+v", promoted, first)
	}

	if is := b.owned(t, there); !reflect.DeepEqual(placeless(t, is, there), placeless(t, was, here)) {
		t.Errorf("what we own there is\n%s\nwant\n%s", text(t, is), text(t, was))
	}

	a.must(`mutation($to: ID!) { putRule(input: {name: "everything", trigger: VERSION_REGISTERED, targetEnvironment: $to}) { changed } }`, object{"to": here}, nil)
	a.register("3.0.0", b.image, object{"LINES": "7"})

	if third := a.outcome(a.newest(here)); third.Kind != "DEPLOY" {
		t.Fatalf("the rule made %+v", third)
	}

	back := a.outcome(a.act("rollback", "RollbackInput", object{"service": "hello", "environment": here, "reason": "the third is wrong"}))
	if back.Snapshot != first.Snapshot {
		t.Errorf("back is %+v, want %+v", back, first)
	}

	a.register("4.0.0", b.image, object{"LINES": "9"})

	if got := a.newest(here); got != back.ID {
		t.Fatalf("the rule made %s under the hold", got)
	}

	a.drift("IN_SYNC", "1.0.0")

	if is := b.owned(t, here); !reflect.DeepEqual(is, was) {
		t.Errorf("held, what we own in the cluster is\n%s\nwant\n%s", text(t, is), text(t, was))
	}

	var held struct {
		Holds struct{ Nodes []struct{ ID, Reason string } }
	}

	a.must(`{ holds { nodes { id reason } } }`, nil, &held)

	if len(held.Holds.Nodes) != 1 || held.Holds.Nodes[0].Reason != "rolled back to 1.0.0: the third is wrong" {
		t.Fatalf("held by %+v", held)
	}

	var released struct {
		ReleaseHold struct {
			Decisions []struct {
				Effect     string
				Deployment *struct{ ID string }
			}
		}
	}

	a.must(`mutation($h: ID!) { releaseHold(input: {hold: $h}) { decisions { effect deployment { id } } } }`, object{"h": held.Holds.Nodes[0].ID}, &released)

	decided := released.ReleaseHold.Decisions
	if len(decided) != 1 || decided[0].Effect != "DEPLOY" || decided[0].Deployment == nil {
		t.Fatalf("released, it was decided %+v", decided)
	}

	a.outcome(decided[0].Deployment.ID)
	a.drift("IN_SYNC", "4.0.0")
}

// repeated is what this story looks at of a deployment.
type repeated struct {
	ID, Kind, Status, StatusReason string
	Snapshot                       struct{ Digest string }
	Source                         *struct{ ID string }
}

// outcome waits for a deployment, which must succeed.
func (a *api) outcome(id string) repeated {
	a.t.Helper()
	a.end(id)

	var d struct{ Deployment repeated }

	a.must(`query($id: ID!) { deployment(id: $id) { id kind status statusReason snapshot { digest } source { id } } }`, object{"id": id}, &d)

	if d.Deployment.Status != "SUCCEEDED" {
		a.t.Fatalf("%+v", d.Deployment)
	}

	return d.Deployment
}

// act sends a mutation that makes a deployment, and gives its id.
func (a *api) act(mutation, input string, in object) string {
	a.t.Helper()

	var made map[string]struct{ Deployment struct{ ID string } }

	a.must(`mutation($in: `+input+`!) { `+mutation+`(input: $in) { deployment { id } } }`, object{"in": in}, &made)

	return made[mutation].Deployment.ID
}

// newest gives the newest deployment to an environment.
func (a *api) newest(environment string) string {
	a.t.Helper()

	var d struct {
		Deployments struct{ Nodes []struct{ ID string } }
	}

	a.must(`query($e: ID!) { deployments(filter: {environment: $e}, first: 1) { nodes { id } } }`, object{"e": environment}, &d)

	return d.Deployments.Nodes[0].ID
}

func (a *api) configure(greeting string, replicas int) {
	a.t.Helper()

	a.must(`mutation($c: JSON!) { setConfiguration(input: {service: "hello", content: $c}) { changed } }`,
		object{"c": object{"variables": object{"GREETING": greeting}, "replicas": replicas}}, nil)
}

// owned gives what our field manager owns of the service's objects, by kind.
func (b bench) owned(t *testing.T, namespace string) object {
	t.Helper()

	all := object{}

	for _, kind := range []string{"deployment", "service"} {
		var live object

		if err := json.Unmarshal([]byte(b.kubectl(t, "get", kind, "hello", "-n", namespace, "-o", "json", "--show-managed-fields")), &live); err != nil {
			t.Fatal(err)
		}

		for _, entry := range live["metadata"].(object)["managedFields"].([]any) {
			if e := entry.(object); strings.HasPrefix(e["manager"].(string), "shiplog") {
				all[kind] = ownedOf(t, live, e["fieldsV1"].(object))
			}
		}

		if all[kind] == nil {
			t.Fatalf("nothing of %s is ours", kind)
		}
	}

	return all
}

// ownedOf gives the part of a value that a set of managed fields names.
func ownedOf(t *testing.T, value any, fields object) any {
	t.Helper()

	part := object{}

	for name, below := range fields {
		switch {
		case strings.HasPrefix(name, "f:"):
			name = strings.TrimPrefix(name, "f:")
			part[name] = ownedOf(t, value.(object)[name], below.(object))
		case strings.HasPrefix(name, "k:"):
			var key object

			if err := json.Unmarshal([]byte(strings.TrimPrefix(name, "k:")), &key); err != nil {
				t.Fatal(err)
			}

			for _, element := range value.([]any) {
				if has(element.(object), key) {
					part[name] = ownedOf(t, element, below.(object))
				}
			}
		}
	}

	if len(part) == 0 {
		return value
	}

	return part
}

func has(element, key object) bool {
	for name, want := range key {
		if !reflect.DeepEqual(element[name], want) {
			return false
		}
	}

	return true
}

// placeless takes out the name of the environment.
func placeless(t *testing.T, owned object, environment string) string {
	t.Helper()

	return strings.ReplaceAll(text(t, owned), environment, "ENVIRONMENT")
}

func text(t *testing.T, value any) string {
	t.Helper()

	raw, err := json.MarshalIndent(value, "", " ")
	if err != nil {
		t.Fatal(err)
	}

	return string(raw)
}
