package kube

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"text/template"
	"time"

	"github.com/shiplog/shiplog/test/cluster"
)

// within bounds what a cluster may take to do what it was asked.
const within = time.Minute

// namespace is one of a test's own, removed with it.
type namespace struct {
	*cluster.Cluster

	name string
}

func newNamespace(t *testing.T) *namespace {
	t.Helper()

	found, err := cluster.Connect()
	if err != nil {
		t.Fatal(err)
	}

	n := &namespace{found, fmt.Sprintf("kube-test-%d", time.Now().UnixNano())}
	n.kubectl(t, "", "create", "namespace", n.name)

	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), within)
		defer cancel()

		if _, err := n.Run(ctx, nil, "delete", "namespace", n.name, "--wait=false"); err != nil {
			t.Error(err)
		}
	})

	// Pods are refused until the namespace has its account.
	eventually(t, "the account of the namespace", func() bool {
		_, err := n.try(t, "", "get", "serviceaccount", "default")

		return err == nil
	})

	return n
}

func (n *namespace) try(t *testing.T, input string, args ...string) (string, error) {
	t.Helper()

	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()

	out, err := n.Run(ctx, []byte(input), append([]string{"--namespace", n.name}, args...)...)

	return string(out), err
}

func (n *namespace) kubectl(t *testing.T, input string, args ...string) string {
	t.Helper()

	out, err := n.try(t, input, args...)
	if err != nil {
		t.Fatal(err)
	}

	return out
}

// image pushes a workload with a behaviour.
func (n *namespace) image(t *testing.T, version string, env map[string]string) string {
	t.Helper()

	ref, err := n.PushApp(t.Context(), "kube-test", version, env)
	if err != nil {
		t.Fatal(err)
	}

	return ref
}

var deployment = template.Must(template.New("deployment").Parse(`
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: {{.Replicas}}
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 2
      automountServiceAccountToken: false
      containers:
      - name: app
        image: {{.Image}}
        ports: [{containerPort: 8080}]
        readinessProbe: {httpGet: {path: /healthz, port: 8080}, periodSeconds: 1}
        resources: {requests: {cpu: 10m, memory: 16Mi}, limits: {cpu: 500m, memory: 32Mi}}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{port: 80, targetPort: 8080}]
`))

func (n *namespace) deploy(t *testing.T, image string, replicas int) {
	t.Helper()

	var manifest bytes.Buffer
	if err := deployment.Execute(&manifest, map[string]any{"Image": image, "Replicas": replicas}); err != nil {
		t.Fatal(err)
	}

	n.kubectl(t, manifest.String(), "apply", "-f", "-")
}

// pods is what these tests read of pods.
type pods struct {
	Items []struct {
		Metadata struct{ Name string }
		Status   struct {
			Conditions        []struct{ Type, Status string }
			ContainerStatuses []struct {
				ImageID      string
				RestartCount int
				State        state
				LastState    state
			}
		}
	}
}

type state struct {
	Waiting    *struct{ Reason, Message string }
	Running    *struct{ StartedAt time.Time }
	Terminated *struct {
		Reason   string
		ExitCode int
	}
}

// container is a container's state and the one before.
type container struct {
	pod, image   string
	restarts     int
	waiting      string // reason; "": it does not wait
	ended, ready bool
	reason       string // of its last end
	code         int
}

func (n *namespace) containers(t *testing.T) []container {
	t.Helper()

	var found pods
	if err := json.Unmarshal([]byte(n.kubectl(t, "", "get", "pods", "--output", "json")), &found); err != nil {
		t.Fatal(err)
	}

	var all []container

	for _, pod := range found.Items {
		for _, status := range pod.Status.ContainerStatuses {
			c := container{pod: pod.Metadata.Name, image: status.ImageID, restarts: status.RestartCount}
			if status.State.Waiting != nil {
				c.waiting = status.State.Waiting.Reason
			}

			for _, s := range []state{status.LastState, status.State} {
				if s.Terminated != nil {
					c.ended, c.reason, c.code = true, s.Terminated.Reason, s.Terminated.ExitCode
				}
			}

			for _, condition := range pod.Status.Conditions {
				c.ready = c.ready || condition.Type == "Ready" && condition.Status == "True"
			}

			all = append(all, c)
		}
	}

	return all
}

// until waits for a container of which something is true.
func (n *namespace) until(t *testing.T, what string, is func(container) bool) container {
	t.Helper()

	var found container

	eventually(t, what, func() bool {
		for _, c := range n.containers(t) {
			if is(c) {
				found = c

				return true
			}
		}

		return false
	})

	return found
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()

	start := time.Now()

	for !is() {
		if time.Since(start) > within {
			t.Fatalf("not within %s: %s", within, what)
		}

		<-time.After(100 * time.Millisecond)
	}

	t.Logf("%s after %s", what, time.Since(start).Round(10*time.Millisecond))
}
