// Package kube holds tests that need a Kubernetes cluster: make test-kubernetes
// brings one up and runs them. This package tests that the cluster does what
// the tests of others rely on.
package kube

import (
	"strings"
	"testing"
	"time"
)

// TestNodesAreReady holds what the harness promises.
func TestNodesAreReady(t *testing.T) {
	t.Parallel()

	n := newNamespace(t)

	statuses := n.kubectl(t, "", "get", "nodes", "--output", `jsonpath={range .items[*]}{.status.conditions[?(@.type=="Ready")].status} {end}`)
	for status := range strings.FieldsSeq(statuses) {
		if status != "True" {
			t.Errorf("ready: %s", status)
		}
	}

	if statuses == "" {
		t.Error("no node")
	}
}

// TestDeploymentServes: pulled by digest, ready, reached through its Service,
// rolled over to a second version, its output read.
func TestDeploymentServes(t *testing.T) {
	t.Parallel()

	n := newNamespace(t)

	for _, version := range []string{"1.0.0", "1.1.0"} {
		ref := n.image(t, version, map[string]string{"LINES": "3", "DRAIN": "1s"})
		n.deploy(t, ref, 2)

		start := time.Now()
		n.kubectl(t, "", "rollout", "status", "deployment/web", "--timeout=60s")
		t.Logf("%s rolled out after %s", version, time.Since(start).Round(10*time.Millisecond))

		_, digest, _ := strings.Cut(ref, "@")
		n.until(t, "a ready pod of the digest", func(c container) bool { return c.ready && strings.HasSuffix(c.image, digest) })

		// What serves may lag what is ready by a moment.
		eventually(t, "the version at the Service", func() bool {
			answer := n.kubectl(t, "", "get", "--raw", "/api/v1/namespaces/"+n.name+"/services/web:80/proxy/")

			return strings.Contains(answer, "version "+version)
		})
	}

	// Both replicas, each with its name.
	logs := n.kubectl(t, "", "logs", "--selector=app=web", "--prefix", "--tail=-1")
	if got := strings.Count(logs, "line 3 of version 1.1.0\n"); got != 2 {
		t.Errorf("%d replicas have printed their last line, want 2:\n%s", got, logs)
	}
}

func TestCrashLoopIsSeen(t *testing.T) {
	t.Parallel()

	n := newNamespace(t)
	n.deploy(t, n.image(t, "1.2.0", map[string]string{"CRASH_AFTER": "100ms", "EXIT_CODE": "3"}), 1)

	seen := n.until(t, "CrashLoopBackOff", func(c container) bool { return c.waiting == "CrashLoopBackOff" && c.ended })
	if seen.code != 3 || seen.reason != "Error" {
		t.Errorf("ended with %s, code %d; want Error, 3", seen.reason, seen.code)
	}

	// The end of the container before is what a person wants to read.
	again := n.until(t, "a restart", func(c container) bool { return c.restarts > 0 })
	if logs := n.kubectl(t, "", "logs", again.pod, "--previous"); !strings.Contains(logs, "fatal: asked to crash") {
		t.Errorf("the log of the container before: %s", logs)
	}
}

func TestOutOfMemoryIsSeen(t *testing.T) {
	t.Parallel()

	n := newNamespace(t)
	n.deploy(t, n.image(t, "1.3.0", map[string]string{"EAT_AFTER": "100ms"}), 1)

	seen := n.until(t, "OOMKilled", func(c container) bool { return c.reason == "OOMKilled" })
	if seen.code != 137 {
		t.Errorf("ended with code %d, want 137", seen.code)
	}
}

func TestMissingImageIsSeen(t *testing.T) {
	t.Parallel()

	n := newNamespace(t)
	n.deploy(t, n.Registry+"/kube-test@sha256:"+strings.Repeat("0", 64), 1)

	n.until(t, "ImagePullBackOff", func(c container) bool { return c.waiting == "ImagePullBackOff" })
}

func TestFailingProbeIsSeen(t *testing.T) {
	t.Parallel()

	n := newNamespace(t)
	n.deploy(t, n.image(t, "1.4.0", map[string]string{"READY_AFTER": "never"}), 1)

	eventually(t, "an event of the failing probe", func() bool {
		return strings.Contains(n.kubectl(t, "", "get", "events", "--output", "jsonpath={range .items[*]}{.reason} {.message}{end}"), "Readiness probe failed: HTTP probe failed with statuscode: 503")
	})

	n.until(t, "a pod that runs and is not ready", func(c container) bool { return !c.ready && c.waiting == "" && !c.ended })
}
