package deploy

import (
	"strings"
	"testing"

	"github.com/shiplog/shiplog/internal/fault"
	"github.com/shiplog/shiplog/internal/spec"
)

// job runs the application once.
func (b bench) job(env ...any) object {
	labels := object{spec.LabelService: "hello"}

	return object{
		"apiVersion": "batch/v1", "kind": "Job", "metadata": object{"name": "migrate", "labels": labels},
		"spec": object{"backoffLimit": 0, "template": object{
			"metadata": object{"labels": labels},
			"spec": object{"restartPolicy": "Never", "containers": []any{object{
				"name": "migrate", "image": b.image, "env": append(env, object{"name": "LINES", "value": "1"}, object{"name": "THEN_EXIT", "value": "1"}),
			}}},
		}},
	}
}

// TestJobsAreReplaced changes a Job's template, which cannot be changed in
// place: it runs again, once, and not when nothing has changed.
func TestJobsAreReplaced(t *testing.T) {
	t.Parallel()

	s := newStage(t)
	uid := func() string {
		return s.kubectl(t, "get", "job", "migrate", "-n", s.namespace, "-o", "jsonpath={.metadata.uid}")
	}

	s.ready(t, s.act(t, "d1", s.job()))
	first := uid()

	other := s.job(object{"name": "VERSION", "value": "2"})
	if said := strings.Join(s.ready(t, s.act(t, "d2", other)).Changes, "\n"); said != "Job/migrate is replaced: it cannot be changed in place" {
		t.Errorf("said %q", said)
	}

	second := uid()
	if second == first {
		t.Error("it is the same Job still")
	}

	pods := s.kubectl(t, "get", "pods", "-n", s.namespace, "-l", "job-name=migrate", "-o", `jsonpath={range .items[*]}{.spec.containers[0].env[0].value}{end}`)
	if pods != "2" {
		t.Errorf("its pods have %q", pods)
	}

	if again := s.ready(t, s.act(t, "d3", other)); !again.Unchanged || uid() != second {
		t.Errorf("the same again: %+v, Job %s after %s", again, uid(), second)
	}

	// What the server refuses of the new one leaves the old one alone.
	bad := s.job(object{"name": "A", "value": "1", "valueFrom": object{"fieldRef": object{"fieldPath": "metadata.name"}}})
	if _, err := s.Apply(t.Context(), s.act(t, "d4", bad)); err == nil || uid() != second {
		t.Errorf("a bad one: %v, Job %s after %s", err, uid(), second)
	}
}

// TestJobsOfOthersAreLeftAlone meets a Job of the same name.
func TestJobsOfOthersAreLeftAlone(t *testing.T) {
	t.Parallel()

	s := newStage(t)
	s.kubectl(t, "create", "job", "migrate", "-n", s.namespace, "--image", s.image)

	_, err := s.Apply(t.Context(), s.act(t, "d1", s.job()))
	if err == nil {
		t.Fatal("it was taken")
	}

	if s.kubectl(t, "get", "job", "migrate", "-n", s.namespace, "-o", "jsonpath={.metadata.labels.shiplog\\.dev/service}") != "" {
		t.Errorf("it was written: %v", err)
	}
}

// TestWhatCannotBeChangedIsRefused names the field and what to do.
func TestWhatCannotBeChangedIsRefused(t *testing.T) {
	t.Parallel()

	labels := object{spec.LabelService: "hello"}
	service := func(ip string) object {
		return object{
			"apiVersion": "v1", "kind": "Service", "metadata": object{"name": "hello", "labels": labels},
			"spec": object{"clusterIP": ip, "ports": []any{object{"port": 80}}}, // "" is for the cluster to choose
		}
	}
	frozen := func(value string) object {
		o := configMap("frozen", value)
		o["immutable"] = true

		return o
	}
	set := func(service string) object {
		return object{
			"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": object{"name": "store", "labels": labels},
			"spec": object{
				"replicas": 0, "serviceName": service, "selector": object{"matchLabels": object{"app": "store"}},
				"template": object{
					"metadata": object{"labels": object{"app": "store", spec.LabelService: "hello"}},
					"spec":     object{"containers": []any{object{"name": "store", "image": "none"}}},
				},
			},
		}
	}
	workload := func(app string) object {
		o := set("store")
		o["kind"] = "Deployment"
		body, _ := o["spec"].(object)
		delete(body, "serviceName")
		body["selector"] = object{"matchLabels": object{"app": app}}
		body["template"].(object)["metadata"] = object{"labels": object{"app": app, spec.LabelService: "hello"}}

		return o
	}

	s := newStage(t)
	s.ready(t, s.act(t, "d1", service(""), frozen("1"), set("store"), workload("store")))

	for field, object := range map[string]object{
		"Service/hello: spec.clusterIPs[0] ": service("None"), "ConfigMap/frozen: data ": frozen("2"),
		"StatefulSet/store: spec.serviceName ": set("other"), "Deployment/store: spec.selector ": workload("other"),
	} {
		_, err := s.Apply(t.Context(), s.act(t, "d2", object, configMap("one", "1")))
		if !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), field+"cannot be changed once it is there") || !strings.Contains(err.Error(), "kubectl delete") {
			t.Errorf("want a conflict that names %s, got %v", field, err)
		}
	}

	if left := s.kubectl(t, "get", "configmaps", "-n", s.namespace, "-o", "name"); strings.Contains(left, "configmap/one") {
		t.Errorf("a refused act has written: %s", left)
	}
}
