package deploy

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/shiplog/shiplog/internal/fault"
	"github.com/shiplog/shiplog/internal/spec"
)

// registerManifests makes a version that needs every permission, and a host.
func (a *api) registerManifests(version, namespace string) {
	a.t.Helper()

	a.must(`mutation($in: RegisterVersionInput!) { registerVersion(input: $in) { created } }`, object{"in": object{
		"service": "hello", "version": version, "workload": object{"manifests": strings.ReplaceAll(`
apiVersion: v1
kind: Namespace
metadata: {name: NS-more}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: NS-reader}
rules: [{apiGroups: [""], resources: [pods], verbs: [get]}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: public}
data: {url: "https://${shiplog.host}/"}
`, "NS", namespace)},
	}}, nil)
}

// clear removes what stands outside the test's namespace, at its end.
func (b bench) clear(t *testing.T, objects ...string) {
	t.Helper()

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	for _, o := range objects {
		if _, err := b.Run(ctx, nil, "delete", o, "--wait=false", "--ignore-not-found"); err != nil {
			t.Error(err)
		}
	}
}

// TestTargetsAllow gives a target its permissions one after the other: what is
// missing is refused at planning, with the object; with all of them even the
// namespace is made.
func TestTargetsAllow(t *testing.T) {
	t.Parallel()

	b, err := theBench()
	if err != nil {
		t.Fatal(err)
	}

	a, namespace := serve(t, b), b.namespace(t)
	missing := namespace + "-made"

	t.Cleanup(func() {
		b.clear(t, "namespace/"+missing, "namespace/"+namespace+"-more", "clusterrole/"+namespace+"-reader")
	})

	a.place(namespace)
	a.registerManifests("1.0.0", namespace)

	target := func(host string, allow ...string) {
		a.must(`mutation($in: UpdateEnvironmentInput!) { updateEnvironment(input: $in) { changed environment { target { host allow } } } }`, object{"in": object{
			"environment": namespace, "target": object{"kind": "KUBERNETES", "connection": "test", "namespace": missing, "host": host, "allow": allow},
		}}, nil)
	}

	try := func() string {
		return a.ask(`mutation($in: DeployInput!) { deploy(input: $in) { deployment { id } } }`,
			object{"in": object{"service": "hello", "environment": namespace, "version": "1.0.0"}}, nil)
	}

	host := "{service}.{environment}.example"

	for _, missing := range []struct {
		host  string
		allow []string
		says  []string
	}{
		{host, []string{"RBAC"}, []string{"in 2 places"}},
		{host, []string{"RBAC", "CLUSTER_SCOPED"}, []string{"v1/Namespace/" + namespace + "-more", "is Namespace, and the target does not allow to make namespaces"}},
		{host, []string{"RBAC", "NAMESPACES"}, []string{"/ClusterRole/" + namespace + "-reader", "is ClusterRole, which stands outside every namespace"}},
		{host, []string{"CLUSTER_SCOPED", "NAMESPACES"}, []string{"/ClusterRole/" + namespace + "-reader", "is ClusterRole, which gives rights"}},
		{"", []string{"CLUSTER_SCOPED", "NAMESPACES", "RBAC"}, []string{"v1/ConfigMap/public", "the target has no host"}},
	} {
		target(missing.host, missing.allow...)

		errs := try()

		for _, says := range append(missing.says, `"INVALID_INPUT"`) {
			if !strings.Contains(errs, says) {
				t.Errorf("%+v: %s", missing, errs)
			}
		}
	}

	target(host, "RBAC", "CLUSTER_SCOPED", "NAMESPACES")

	if end := a.deploy("1.0.0", namespace); end.Status != "SUCCEEDED" {
		t.Fatalf("with all: %+v", end)
	}

	b.kubectl(t, "get", "namespace", missing, namespace+"-more")
	b.kubectl(t, "get", "clusterrole", namespace+"-reader")

	if url := b.kubectl(t, "get", "configmap", "public", "-n", missing, "-o", "jsonpath={.data.url}"); url != "https://hello."+namespace+".example/" {
		t.Errorf("the host is %s", url)
	}

	var gone struct {
		Undeploy struct{ Deployment deployment }
	}

	a.must(`mutation($in: UndeployInput!) { undeploy(input: $in) { deployment { id } } }`, object{"in": object{"service": "hello", "environment": namespace}}, &gone)

	if end := a.end(gone.Undeploy.Deployment.ID); end.Status != "SUCCEEDED" {
		t.Fatalf("undeploy: %+v", end)
	}

	// What holds data stays; the rights do not.
	b.kubectl(t, "get", "namespace", namespace+"-more")

	if left := b.kubectl(t, "get", "clusterrole", namespace+"-reader", "--ignore-not-found", "-o", "name"); left != "" {
		t.Errorf("left is %s", left)
	}
}

// TestOnlyTheClusterKnowsAKindsScope meets a kind of somebody's own that stands
// outside every namespace.
func TestOnlyTheClusterKnowsAKindsScope(t *testing.T) {
	t.Parallel()

	s := newStage(t)
	group := s.namespace + ".example"
	definition := `{"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "things.` + group + `"},
		"spec": {"group": "` + group + `", "scope": "Cluster", "names": {"plural": "things", "kind": "Thing"}, "versions": [
		{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}]}}`

	if _, err := s.Run(t.Context(), []byte(definition), "apply", "-f", "-"); err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() { s.clear(t, "crd/things."+group) })
	s.kubectl(t, "wait", "--for", "condition=Established", "crd/things."+group)

	act := s.act(t, "d1", object{"apiVersion": group + "/v1", "kind": "Thing", "metadata": object{"name": "one", "labels": object{spec.LabelService: "hello"}}})

	if _, err := s.Apply(t.Context(), act); !fault.Is(err, fault.InvalidInput) || !strings.Contains(err.Error(), "Thing/one stands outside every namespace") {
		t.Fatalf("not allowed: %v", err)
	}

	act.Binding.Allow.ClusterScoped = true
	s.ready(t, act)
	s.kubectl(t, "get", "things."+group, "one")

	gone := act
	gone.Deployment, gone.Epoch, gone.Snapshot, gone.Digest = "d2", act.Epoch+1, nil, ""
	s.ready(t, gone)

	if left := s.kubectl(t, "get", "things."+group, "-o", "name"); left != "" {
		t.Errorf("left is %s", left)
	}
}
