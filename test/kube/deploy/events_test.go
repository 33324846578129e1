package deploy

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// told gives the lines of the cluster in a deployment's log.
func (a *api) told(id string) []string {
	a.t.Helper()

	var d struct {
		Deployment struct {
			Logs struct {
				Nodes []struct {
					Stream, Text string
					Source       struct{ Instance string }
				}
			}
		}
	}

	a.must(`query($id: ID!) { deployment(id: $id) { logs(first: 500, filter: {streams: [CLUSTER]}) { nodes { stream text source { instance } } } } }`, object{"id": id}, &d)

	lines := []string{}

	for _, l := range d.Deployment.Logs.Nodes {
		if pod, _, ok := strings.Cut(strings.TrimPrefix(l.Text, "Pod/"), ":"); l.Stream != "CLUSTER" || ok && strings.HasPrefix(l.Text, "Pod/") && l.Source.Instance != pod {
			a.t.Errorf("a line of the cluster: %+v", l)
		}

		lines = append(lines, l.Text)
	}

	return lines
}

// tells waits until the cluster's lines have all that is wanted, in its order.
func (a *api) tells(id string, want ...string) []string {
	a.t.Helper()

	all := regexp.MustCompile("(?s)" + strings.Join(want, ".*\n.*"))

	for limit := time.Now().Add(30 * time.Second); ; {
		lines := a.told(id)
		if all.MatchString(strings.Join(lines, "\n")) {
			return lines
		}

		if time.Now().After(limit) {
			a.t.Fatalf("want %q in\n%s", want, strings.Join(lines, "\n"))
		}

		<-time.After(100 * time.Millisecond)
	}
}

// begin deploys without waiting for the outcome.
func (a *api) begin(version, environment string) string {
	a.t.Helper()

	var made struct {
		Deploy struct{ Deployment deployment }
	}

	a.must(`mutation($in: DeployInput!) { deploy(input: $in) { deployment { id } } }`,
		object{"in": object{"service": "hello", "environment": environment, "version": version}}, &made)

	return made.Deploy.Deployment.ID
}

// place makes the service, and an environment in a namespace.
func (a *api) place(namespace string) {
	a.t.Helper()

	a.must(`mutation($in: CreateEnvironmentInput!) {
		createService(input: {name: "hello", title: "Hello", owner: "group:default/team"}) { service { id } }
		createEnvironment(input: $in) { environment { id } } }`, object{"in": object{
		"name": namespace, "tier": "DEVELOPMENT", "rank": 1, "target": object{"kind": "KUBERNETES", "connection": "test", "namespace": namespace},
	}}, nil)
}

// TestTheClusterTells deploys what works, what has no image and what no node
// has room for, and reads what the cluster said in their logs: each once and in
// order, also when the server starts again in the middle.
func TestTheClusterTells(t *testing.T) {
	t.Parallel()

	b, err := theBench()
	if err != nil {
		t.Fatal(err)
	}

	dir, namespace := t.TempDir(), b.namespace(t)
	a, stop := serveIn(t, map[string]string{"test": b.Kubeconfig}, dir)
	a.place(namespace)

	a.register("1.0.0", b.image, object{})

	first := a.deploy("1.0.0", namespace)
	if first.Status != "SUCCEEDED" {
		t.Fatalf("the first: %+v", first)
	}

	a.tells(first.ID, `Deployment/hello: ScalingReplicaSet: Scaled up replica set hello-\w+ from 0 to 1`, `Pod/hello-\w+-\w+: Scheduled: `, `: Started: `)

	reference, _, _ := strings.Cut(b.image, "@")
	a.register("2.0.0", reference+"@sha256:"+strings.Repeat("0", 64), object{})

	second := a.deploy("2.0.0", namespace)
	if second.Status != "FAILED" {
		t.Fatalf("an image that is not there: %+v", second)
	}

	a.tells(second.ID, `ScalingReplicaSet`, `Pod/hello-\w+-\w+: Pulling: `, `Pod/hello-\w+-\w+: Failed: Failed to pull image`, `BackOff: Back-off pulling image`)

	a.must(`mutation($in: SetConfigurationInput!) { setConfiguration(input: $in) { changed } }`, object{"in": object{
		"service": "hello", "environment": namespace, "content": object{"limits": object{"web": object{"cpuRequest": "5000"}}},
	}}, nil)

	third := a.begin("1.0.0", namespace)
	a.tells(third, `ScalingReplicaSet`, `Pod/hello-\w+-\w+: FailedScheduling: .*Insufficient cpu`)

	before := map[string][]string{}
	for _, id := range []string{first.ID, second.ID, third} {
		before[id] = a.told(id)
	}

	stop()

	a, stop = serveIn(t, map[string]string{"test": b.Kubeconfig}, dir)
	defer stop()

	a.must(`mutation($id: ID!) { cancelDeployment(input: {deployment: $id, reason: "no room"}) { deployment { id } } }`, object{"id": third}, nil)
	a.end(third)
	a.tells(third, `FailedScheduling`, `Scaled down replica set`)

	var gone struct {
		Undeploy struct{ Deployment deployment }
	}

	a.must(`mutation($in: UndeployInput!) { undeploy(input: $in) { deployment { id } } }`, object{"in": object{"service": "hello", "environment": namespace}}, &gone)

	if end := a.end(gone.Undeploy.Deployment.ID); end.Status != "SUCCEEDED" {
		t.Fatalf("undeploy: %+v", end)
	}

	a.tells(gone.Undeploy.Deployment.ID, `Pod/hello-\w+-\w+: Killing: Stopping container web`)

	all := a.told(gone.Undeploy.Deployment.ID)

	for _, id := range []string{first.ID, second.ID, third} {
		now := a.told(id)
		if n := len(before[id]); len(now) < n || !slices.Equal(now[:n], before[id]) {
			t.Errorf("after a new start %q, before it %q", now, before[id])
		}

		all = append(all, now...)
	}

	events := b.kubectl(t, "get", "events", "-n", namespace, "-o", `jsonpath={range .items[*]}{.involvedObject.kind}/{.involvedObject.name}: {.reason}: {.message}{"\n"}{end}`)
	if err := unique(all, events); err != nil {
		t.Error(err)
	}

	t.Log(strings.Join(all, "\n"))
}

// unique fails when a line comes more often than the cluster has events that
// say so: a scheduler that tries again makes another one with the same words.
func unique(lines []string, events string) error {
	for i, l := range lines {
		there := 0

		for e := range strings.SplitSeq(events, "\n") {
			if strings.Join(strings.Fields(e), " ") == l {
				there++
			}
		}

		before := 0

		for _, other := range lines[:i] {
			if other == l {
				before++
			}
		}

		if before > 0 && before >= there {
			return fmt.Errorf("%d times, and %d in the cluster: %s", before+1, there, l)
		}
	}

	return nil
}
