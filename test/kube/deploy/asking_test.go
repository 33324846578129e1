package deploy

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/shiplog/shiplog/internal/spec"
)

// answers is what a client tells of its questions (test/cluster/app).
type answers struct {
	Answers  map[string]int
	Failed   int
	Failures []string
	Last     string
	Same     int
}

// TestNobodyNoticesARollout: while a version is rolled out over another one, as
// it is rendered from a Score document, a client in the cluster asks the
// Service 50 times a second, each time over a new connection. No question is
// left without an answer.
func TestNobodyNoticesARollout(t *testing.T) {
	t.Parallel()

	for name, probe := range map[string]object{
		"asked whether it is ready": {"httpGet": object{"path": "/healthz", "port": 8080}},
		// It takes a moment until it listens.
		"without a probe": nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			s := newStage(t)
			s.ready(t, s.actOf(t, "d1", "1.0.0", s.rendered(t, "1.0.0", probe)))

			client := s.client(t)
			s.clientUntil(t, client, "answers", func(a answers) bool { return a.Last == "1.0.0" && a.Same >= 50 })

			s.ready(t, s.actOf(t, "d2", "2.0.0", s.rendered(t, "2.0.0", probe)))
			s.clientUntil(t, client, "answers of the second alone", func(a answers) bool { return a.Last == "2.0.0" && a.Same >= 100 })

			// Until the last of the first has drained.
			s.kubectl(t, "wait", "pod", "-n", s.namespace, "-l", spec.LabelVersion+"=1.0.0", "--for=delete", "--timeout=50s")

			end := s.asked(t, client)
			s.clientUntil(t, client, "more answers", func(a answers) bool { return a.Answers["2.0.0"] >= end.Answers["2.0.0"]+50 })

			end = s.asked(t, client)
			t.Logf("%v answers, %d failed", end.Answers, end.Failed)

			if end.Failed > 0 {
				t.Errorf("%d questions failed: %s", end.Failed, strings.Join(end.Failures, "; "))
			}
		})
	}
}

// rendered is a version of two instances as a Score document makes it.
func (s *stage) rendered(t *testing.T, version string, probe object) *spec.Snapshot {
	t.Helper()

	reference, digest, _ := strings.Cut(s.image, "@")
	container := object{"image": ".", "variables": object{"VERSION": version, "LISTEN_AFTER": "1500ms"}}

	if probe != nil {
		container["readinessProbe"] = probe
	}

	score, err := json.Marshal(object{
		"apiVersion": "score.dev/v1b1", "metadata": object{"name": "hello"},
		"containers": object{"web": container},
		"service":    object{"ports": object{"http": object{"port": 80, "targetPort": 8080}}},
	})
	if err != nil {
		t.Fatal(err)
	}

	replicas := 2

	shot, err := spec.Render(spec.RenderInput{
		Target: spec.TargetKubernetes, Service: "hello", Workload: spec.Workload{Score: score},
		Images:        map[string]spec.Image{"web": {Reference: reference, Digest: digest}},
		Configuration: spec.Configuration{Replicas: &replicas},
	})
	if err != nil {
		t.Fatal(err)
	}

	return shot
}

// client starts a pod that asks the Service by its address.
func (s *stage) client(t *testing.T) string {
	t.Helper()

	address := s.kubectl(t, "get", "service", "hello", "-n", s.namespace, "-o", "jsonpath={.spec.clusterIP}")
	s.kubectl(t, "run", "client", "-n", s.namespace, "--image="+s.image, fmt.Sprintf("--env=ASK=http://%s/", address), "--restart=Never")
	s.kubectl(t, "wait", "pod/client", "-n", s.namespace, "--for=condition=Ready", "--timeout=50s")

	return "/api/v1/namespaces/" + s.namespace + "/pods/client:8080/proxy/asked"
}

func (s *stage) asked(t *testing.T, client string) answers {
	t.Helper()

	var a answers
	if err := json.Unmarshal([]byte(s.kubectl(t, "get", "--raw", client)), &a); err != nil {
		t.Fatal(err)
	}

	return a
}

// clientUntil waits for what a client tells.
func (s *stage) clientUntil(t *testing.T, client, what string, is func(answers) bool) {
	t.Helper()

	for end := time.Now().Add(time.Minute); ; {
		a := s.asked(t, client)

		switch {
		case is(a):
			return
		case time.Now().After(end):
			t.Fatalf("no %s: %+v", what, a)
		}

		<-time.After(200 * time.Millisecond)
	}
}
