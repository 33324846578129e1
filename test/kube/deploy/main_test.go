// Package deploy tries the Kubernetes deployer on a real cluster.
package deploy

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/shiplog/shiplog/deployer/kubernetes"
	"github.com/shiplog/shiplog/internal/spec"
	"github.com/shiplog/shiplog/test/cluster"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// A connection that a server keeps open ends when it likes.
		goleak.IgnoreAnyFunction("golang.org/x/net/http2.(*ClientConn).readLoop"),
		goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"),
		goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"),
	)
}

// bench is the cluster that tests run on, with the image of their application.
type bench struct {
	*cluster.Cluster

	image string
}

var theBench = sync.OnceValues(func() (bench, error) {
	c, err := cluster.Connect()
	if err != nil {
		return bench{}, err
	}

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	image, err := c.PushApp(ctx, "deployer-app", "1.0.0", nil)

	return bench{c, image}, err
})

// open gives one more deployer for the cluster, closed with the test.
func (b bench) open(t *testing.T) *kubernetes.Deployer {
	t.Helper()

	d, err := kubernetes.New(kubernetes.Config{Connections: map[string]kubernetes.Connection{"test": {Kubeconfig: b.Kubeconfig}}})
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(d.Close)

	return d
}

// namespace makes one of the test's own.
func (b bench) namespace(t *testing.T) string {
	t.Helper()

	name := fmt.Sprintf("deployer-%d", time.Now().UnixNano())
	b.kubectl(t, "create", "namespace", name)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()

		if _, err := b.Run(ctx, nil, "delete", "namespace", name, "--wait=false"); err != nil {
			t.Error(err)
		}
	})

	return name
}

func (b bench) kubectl(t *testing.T, args ...string) string {
	t.Helper()

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()

	out, err := b.Run(ctx, nil, args...)
	if err != nil {
		t.Fatal(err)
	}

	return strings.TrimSpace(string(out))
}

// object is one of a snapshot, as JSON.
type object = map[string]any

// app is a Deployment of the test application, with the changes made.
func (b bench) app(change func(spec, container object), env map[string]string) object {
	var variables []any
	for _, name := range slices.Sorted(maps.Keys(env)) {
		variables = append(variables, object{"name": name, "value": env[name]})
	}

	labels := object{"app": "hello", spec.LabelService: "hello"}
	container := object{
		"name": "web", "image": b.image, "env": variables,
		"readinessProbe": object{"httpGet": object{"path": "/healthz", "port": 8080}, "periodSeconds": 1},
	}
	body := object{
		"replicas": 2, "progressDeadlineSeconds": 120, "selector": object{"matchLabels": object{"app": "hello"}},
		"template": object{
			"metadata": object{"labels": labels},
			"spec":     object{"terminationGracePeriodSeconds": 1, "containers": []any{container}},
		},
	}

	if change != nil {
		change(body, container)
	}

	return object{
		"apiVersion": "apps/v1", "kind": "Deployment", "metadata": object{"name": "hello", "labels": object{spec.LabelService: "hello"}}, "spec": body,
	}
}

func snapshot(t *testing.T, objects ...object) *spec.Snapshot {
	t.Helper()

	s := &spec.Snapshot{Renderer: spec.RendererVersion, Target: spec.TargetKubernetes, Objects: map[string]json.RawMessage{}}

	for _, o := range objects {
		raw, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}

		s.Objects[fmt.Sprintf("%s/%s/%s", o["apiVersion"], o["kind"], o["metadata"].(object)["name"])] = raw
	}

	return s
}
