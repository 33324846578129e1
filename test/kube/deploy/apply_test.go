package deploy

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/shiplog/shiplog/deployer"
	"github.com/shiplog/shiplog/deployer/deployertest"
	"github.com/shiplog/shiplog/deployer/kubernetes"
	"github.com/shiplog/shiplog/internal/spec"
)

// stage is a deployer with a namespace of its own.
type stage struct {
	bench
	*kubernetes.Deployer

	namespace string
	epoch     int64
}

func newStage(t *testing.T) *stage {
	t.Helper()

	b, err := theBench()
	if err != nil {
		t.Fatal(err)
	}

	return &stage{bench: b, Deployer: b.open(t), namespace: b.namespace(t)}
}

// act is the next act with these objects.
func (s *stage) act(t *testing.T, deployment string, objects ...object) deployer.Act {
	t.Helper()

	return s.actOf(t, deployment, "1.0.0", snapshot(t, objects...))
}

// actOf is the next act with this snapshot.
func (s *stage) actOf(t *testing.T, deployment, version string, shot *spec.Snapshot) deployer.Act {
	t.Helper()

	s.epoch++

	return deployer.Act{
		Unit: deployer.Unit{Service: "hello", Environment: s.namespace}, Deployment: deployment, VersionName: version, Epoch: s.epoch,
		Snapshot: shot, Digest: deployertest.DigestOf(t, shot), Connection: "test",
		Binding: spec.Binding{Namespace: s.namespace, Environment: s.namespace, Version: version},
	}
}

// settle applies and rolls out to a verdict.
func (s *stage) settle(t *testing.T, act deployer.Act) (deployer.Applied, deployer.Progress) {
	t.Helper()

	applied, err := s.Apply(t.Context(), act)
	if err != nil {
		t.Fatal(err)
	}

	for end := time.Now().Add(2 * time.Minute); ; {
		p, err := s.Rollout(t.Context(), act)

		switch {
		case err != nil:
			t.Fatal(err)
		case p.Verdict != deployer.Progressing:
			return applied, p
		case time.Now().After(end):
			t.Fatal("no verdict:", p.Message)
		}

		<-time.After(50 * time.Millisecond)
	}
}

func (s *stage) ready(t *testing.T, act deployer.Act) deployer.Applied {
	t.Helper()

	applied, p := s.settle(t, act)
	if p.Verdict != deployer.Ready {
		t.Fatalf("verdict %s: %+v", p.Verdict, p.Diagnosis)
	}

	return applied
}

func configMap(name, value string) object {
	return object{
		"apiVersion": "v1", "kind": "ConfigMap", "data": object{"a": value},
		"metadata": object{"name": name, "labels": object{spec.LabelService: "hello"}},
	}
}

func claim(name string) object {
	return object{
		"apiVersion": "v1", "kind": "PersistentVolumeClaim",
		"metadata": object{"name": name, "labels": object{spec.LabelService: "hello"}},
		"spec": object{
			"accessModes": []any{"ReadWriteOnce"}, "storageClassName": "",
			"resources": object{"requests": object{"storage": "1Mi"}},
		},
	}
}

// versions gives the resourceVersions of all that the test made.
func (s *stage) versions(t *testing.T) string {
	t.Helper()

	return s.kubectl(t, "get", "deployments,replicasets,configmaps", "-n", s.namespace, "-l", spec.LabelService+"=hello,shiplog.dev/anchor!=true",
		"-o", `jsonpath={range .items[*]}{.kind}/{.metadata.name}={.metadata.generation}{" "}{end}`)
}

func TestPruneKeepsData(t *testing.T) {
	t.Parallel()

	s := newStage(t)
	// A claim that nothing binds is never ready: it is there already.
	s.ready(t, s.act(t, "d1", configMap("one", "1"), configMap("two", "2")))

	both := s.act(t, "d2", configMap("one", "1"), configMap("two", "2"), claim("data"))
	if _, err := s.Apply(t.Context(), both); err != nil {
		t.Fatal(err)
	}

	s.ready(t, s.act(t, "d3", configMap("one", "1")))

	left := s.kubectl(t, "get", "configmaps,persistentvolumeclaims", "-n", s.namespace, "-l", spec.LabelService+"=hello,shiplog.dev/anchor!=true", "-o", "name")
	if left != "configmap/one\npersistentvolumeclaim/data" {
		t.Errorf("left are %q, want the wanted one and the data", left)
	}
}

func TestSameContentChangesNothing(t *testing.T) {
	t.Parallel()

	s := newStage(t)
	objects := []object{s.app(nil, nil), configMap("one", "1")}
	s.ready(t, s.act(t, "d1", objects...))
	before := s.versions(t)

	if applied := s.ready(t, s.act(t, "d2", objects...)); !applied.Unchanged {
		t.Errorf("applied %+v", applied)
	}

	if after := s.versions(t); after != before {
		t.Errorf("changed from %s to %s", before, after)
	}
}

func TestConflictsNameTheOwner(t *testing.T) {
	t.Parallel()

	s := newStage(t)
	s.ready(t, s.act(t, "d1", configMap("one", "1")))

	// A program: it would do so again.
	s.kubectl(t, "patch", "configmap", "one", "-n", s.namespace, "--field-manager", "robot", "-p", `{"data":{"a":"robot"}}`)

	_, err := s.Apply(t.Context(), s.act(t, "d2", configMap("one", "2")))
	if err == nil || !strings.Contains(err.Error(), "robot") || !strings.Contains(err.Error(), ".data.a") {
		t.Errorf("got %v, want a refusal that names robot and .data.a", err)
	}

	if seen := s.kubectl(t, "get", "configmap", "one", "-n", s.namespace, "-o", "jsonpath={.data.a}"); seen != "robot" {
		t.Errorf("a is %q: a refused act has written", seen)
	}

	// A person, by hand: it is taken back, and said.
	s.kubectl(t, "patch", "configmap", "one", "-n", s.namespace, "--field-manager", "kubectl-patch", "-p", `{"data":{"a":"hand"}}`)
	s.kubectl(t, "get", "configmap", "one", "-n", s.namespace, "-o", "yaml", "--show-managed-fields")

	applied := s.ready(t, s.act(t, "d3", configMap("one", "3")))
	if said := strings.Join(applied.Changes, "\n"); !strings.Contains(said, "taken back from kubectl-patch") {
		t.Errorf("said %q", said)
	}
}

func TestRefusedByTheDryRunWritesNothing(t *testing.T) {
	t.Parallel()

	s := newStage(t)
	bad := s.app(func(spec, _ object) { spec["replicas"] = -1 }, nil)

	_, err := s.Apply(t.Context(), s.act(t, "d1", configMap("one", "1"), bad))
	if err == nil || !strings.Contains(err.Error(), "Deployment/hello") || errors.Is(err, deployer.ErrUnknown) {
		t.Errorf("got %v, want a refusal that names the object", err)
	}

	if left := s.kubectl(t, "get", "configmaps", "-n", s.namespace, "-l", spec.LabelService+"=hello", "-o", "name"); left != "" {
		t.Errorf("left are %q", left)
	}
}
