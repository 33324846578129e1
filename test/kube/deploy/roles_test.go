package deploy

import (
	"net/http"
	"strings"
	"testing"

	"github.com/shiplog/shiplog/test/apiproxy"
)

const roles = "../../../charts/shiplog/roles/"

// account makes a ServiceAccount in the namespace and gives its token.
func (b bench) account(t *testing.T, namespace string) string {
	t.Helper()

	b.kubectl(t, "create", "serviceaccount", "shiplog", "-n", namespace)

	return b.kubectl(t, "create", "token", "shiplog", "-n", namespace)
}

// grant gives the account of one namespace what the documented role allows in
// another.
func (b bench) grant(t *testing.T, home, namespace string) {
	t.Helper()

	b.kubectl(t, "apply", "-n", namespace, "-f", roles+"target.yaml")
	b.kubectl(t, "create", "rolebinding", "shiplog-target", "-n", namespace, "--role=shiplog-target", "--serviceaccount="+home+":shiplog")
}

// refused fails the test for every request that was refused for want of a
// permission.
func refused(t *testing.T, p *apiproxy.Proxy) {
	t.Helper()

	for _, r := range p.Requests() {
		if r.Status == http.StatusForbidden || r.Status == http.StatusUnauthorized {
			t.Errorf("refused: %s %v", r, r.Query)
		}
	}
}

// manifests are a workload without a Service, beside a ConfigMap.
func manifests(image string) string {
	return `
apiVersion: apps/v1
kind: Deployment
metadata: {name: second}
spec:
  selector: {matchLabels: {app: second}}
  template:
    metadata: {labels: {app: second}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: web
        image: ` + image + `
        env: [{name: VERSION, value: 2.0.0}]
        readinessProbe: {httpGet: {path: /healthz, port: 8080}, periodSeconds: 1}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: kept}
data: {a: "1"}
`
}

// TestRoleSuffices does what a team does as an account that has the documented
// role in two namespaces, and nothing else.
func TestRoleSuffices(t *testing.T) {
	t.Parallel()

	b, err := theBench()
	if err != nil {
		t.Fatal(err)
	}

	home, second := b.namespace(t), b.namespace(t)
	token := b.account(t, home)
	b.grant(t, home, home)
	b.grant(t, home, second)

	p := apiproxy.New(t, b.Cluster)
	a := serveWith(t, map[string]string{"test": p.Kubeconfig(t, token)})

	a.must(`mutation { createService(input: {name: "hello", title: "Hello", owner: "group:default/team"}) { service { id } } }`, nil, nil)

	for rank, name := range []string{home, second} {
		a.must(`mutation($in: CreateEnvironmentInput!) { createEnvironment(input: $in) { environment { id } } }`, object{"in": object{
			"name": name, "tier": "DEVELOPMENT", "rank": rank + 1, "target": object{"kind": "KUBERNETES", "connection": "test", "namespace": "{environment}"},
		}}, nil)
	}

	a.register("1.0.0", b.image, object{"LINES": "3"})

	first := a.deploy("1.0.0", home)
	if first.Status != "SUCCEEDED" {
		t.Fatalf("the first: %+v", first)
	}

	a.drift("IN_SYNC", "1.0.0")

	if there := a.deploy("1.0.0", second); there.Status != "SUCCEEDED" {
		t.Fatalf("in the second namespace: %+v", there)
	}

	// The Service goes with this one, and a ConfigMap comes.
	a.must(`mutation($in: RegisterVersionInput!) { registerVersion(input: $in) { created } }`, object{"in": object{
		"service": "hello", "version": "2.0.0", "workload": object{"manifests": manifests(b.image)},
	}}, nil)

	if d := a.deploy("2.0.0", home); d.Status != "SUCCEEDED" {
		t.Fatalf("the second: %+v", d)
	}

	a.drift("IN_SYNC", "2.0.0")

	if left := b.kubectl(t, "get", "services", "-n", home, "-o", "name"); left != "" {
		t.Errorf("not pruned: %s", left)
	}

	a.register("3.0.0", b.image, object{"CRASH_AFTER": "200ms", "EXIT_CODE": "7", "READY_AFTER": "never"})

	failed := a.deploy("3.0.0", home)
	if failed.Status != "FAILED" || failed.Diagnosis == nil || failed.Diagnosis.Kind != "CRASHED" || len(failed.Diagnosis.LastLines) == 0 {
		t.Fatalf("a crash: %+v %+v", failed, failed.Diagnosis)
	}

	var back struct {
		Rollback struct{ Deployment deployment }
	}

	a.must(`mutation($in: RollbackInput!) { rollback(input: $in) { deployment { id } } }`,
		object{"in": object{"service": "hello", "environment": home, "to": first.ID, "reason": "the role"}}, &back)

	if end := a.end(back.Rollback.Deployment.ID); end.Status != "SUCCEEDED" {
		t.Fatalf("back: %+v", end)
	}

	if first = a.end(first.ID); !first.says("CONTAINER", "line 3 of version 1.0.0") {
		t.Errorf("no output: %+v", first.Logs)
	}

	b.kubectl(t, "scale", "deployment/hello", "-n", home, "--replicas=2")
	a.drift("CONFIG_DIFFERS", "1.0.0")

	var gone struct {
		Undeploy struct{ Deployment deployment }
	}

	a.must(`mutation($in: UndeployInput!) { undeploy(input: $in) { deployment { id } } }`,
		object{"in": object{"service": "hello", "environment": home, "reason": "the role", "override": object{"reason": "the role"}}}, &gone)

	if end := a.end(gone.Undeploy.Deployment.ID); end.Status != "SUCCEEDED" {
		t.Fatalf("away: %+v", end)
	}

	refused(t, p)
	b.writesNothingElse(t, home)
}

// writesNothingElse asks the cluster what the account may do where it has no
// role, which is what it may do everywhere, and what it may not do where it has.
func (b bench) writesNothingElse(t *testing.T, home string) {
	t.Helper()

	as := "system:serviceaccount:" + home + ":shiplog"
	read := "get list watch"

	for line := range strings.Lines(b.kubectl(t, "auth", "can-i", "--list", "--no-headers", "-n", "kube-system", "--as", as)) {
		fields := strings.Fields(line)
		verbs := strings.Trim(line[strings.LastIndex(line, "["):], "[]\n")

		for verb := range strings.FieldsSeq(verbs) {
			// To ask what one may do is everybody's.
			if !strings.Contains(read, verb) && !strings.HasPrefix(fields[0], "selfsubject") {
				t.Errorf("may %s everywhere: %s", verb, line)
			}
		}
	}

	has := b.kubectl(t, "auth", "can-i", "--list", "--no-headers", "-n", home, "--as", as)
	if !strings.Contains(has, "deployments.apps") {
		t.Errorf("does not name what it may: %s", has)
	}

	for _, never := range []string{"secrets", "pods/exec", "rbac.authorization.k8s.io", "*.*"} {
		if strings.Contains(has, never) {
			t.Errorf("may do something with %s: %s", never, has)
		}
	}
}
