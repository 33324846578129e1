package deploy

import (
	"slices"
	"strings"
	"testing"

	"github.com/shiplog/shiplog/deployer"
)

// failing is a workload that does not come up, and what is to be said of it.
type failing struct {
	env    map[string]string
	change func(spec, container object)
	// prepare changes the namespace by kubectl first.
	prepare []string

	kind deployer.DiagnosisKind
	// object is its kind, "Pod/" or "Deployment/"; says what the summary tells.
	object, says string
	// lastLine is how the last of the last lines ends; "" when the container
	// never ran.
	lastLine string
	// kubectl gives the same from the cluster itself; POD is the pod's name.
	kubectl []string
	heard   string
}

// TestDiagnoses sees workloads fail on a real cluster, and holds what is said
// of them to what kubectl says.
func TestDiagnoses(t *testing.T) {
	t.Parallel()

	// All of them first: most verdicts take half a minute.
	all := map[string]begun{}
	for name, f := range failings() {
		all[name] = f.begin(t)
	}

	for name, b := range all {
		t.Run(name, b.end)
	}
}

func failings() map[string]failing {
	const (
		state = `jsonpath={.status.containerStatuses[0].state.waiting.message}`
		never = "never"
	)

	volume := func(source object) func(spec, container object) {
		return func(spec, container object) {
			source["name"] = "needed"
			podOf(spec)["volumes"] = []any{source}
			container["volumeMounts"] = []any{object{"name": "needed", "mountPath": "/needed"}}
		}
	}
	events := func(reason string) []string {
		return []string{"get", "events", "--field-selector", "reason=" + reason, "-o", "jsonpath={.items[*].message}"}
	}
	about := func(output string) []string { return []string{"get", "pod", "POD", "-o", output} }

	return map[string]failing{
		"killed for its memory": {
			env: map[string]string{"EAT_AFTER": "200ms", "READY_AFTER": never},
			change: func(_, container object) {
				container["resources"] = object{"limits": object{"memory": "48Mi"}, "requests": object{"memory": "1Mi"}}
			},
			kind: deployer.OutOfMemory, object: "Pod/", says: "more memory than its limit of 48Mi", lastLine: "MB eaten",
			kubectl: about("jsonpath={.status.containerStatuses[0]..terminated.reason}"), heard: "OOMKilled",
		},
		"no node has room": {
			change: func(spec, container object) {
				spec["progressDeadlineSeconds"] = 10
				container["resources"] = object{"requests": object{"cpu": "5000"}}
			},
			kind: deployer.Unschedulable, object: "Pod/", says: "Insufficient cpu",
			kubectl: about(`jsonpath={.status.conditions[?(@.type=="PodScheduled")].message}`), heard: "Insufficient cpu",
		},
		"readiness probe fails": {
			env:    map[string]string{"READY_AFTER": never, "LINES": "3"},
			change: func(spec, _ object) { spec["progressDeadlineSeconds"] = 10 },
			kind:   deployer.NotReady, object: "Pod/", says: "Readiness probe failed: HTTP probe failed with statuscode: 503", lastLine: "line 3 of version 1.0.0",
			kubectl: events("Unhealthy"), heard: "Readiness probe failed: HTTP probe failed with statuscode: 503",
		},
		"liveness probe fails": {
			env: map[string]string{"READY_AFTER": never},
			change: func(_, container object) {
				container["livenessProbe"] = object{"httpGet": object{"path": "/healthz", "port": 8080}, "periodSeconds": 1, "failureThreshold": 1}
			},
			kind: deployer.NotReady, object: "Pod/", says: "its liveness probe failed", lastLine: "bye",
			kubectl: events("Killing"), heard: "failed liveness probe",
		},
		"secret of a variable is missing": {
			change: func(_, container object) {
				container["env"] = []any{object{"name": "A", "valueFrom": object{"secretKeyRef": object{"name": "db", "key": "password"}}}}
			},
			kind: deployer.ReferenceMissing, object: "Pod/", says: `secret "db" not found`,
			kubectl: about(state), heard: `secret "db" not found`,
		},
		"config map of variables is missing": {
			change: func(_, container object) {
				container["envFrom"] = []any{object{"configMapRef": object{"name": "settings"}}}
			},
			kind: deployer.ReferenceMissing, object: "Pod/", says: `configmap "settings" not found`,
			kubectl: about(state), heard: `configmap "settings" not found`,
		},
		"config map of a volume is missing": {
			change: volume(object{"configMap": object{"name": "settings"}}),
			kind:   deployer.ReferenceMissing, object: "Pod/", says: `configmap "settings" not found`,
			kubectl: events("FailedMount"), heard: `configmap "settings" not found`,
		},
		"secret of a volume is missing": {
			change: volume(object{"secret": object{"secretName": "db"}}),
			kind:   deployer.ReferenceMissing, object: "Pod/", says: `secret "db" not found`,
			kubectl: events("FailedMount"), heard: `secret "db" not found`,
		},
		"service account is missing": {
			change: func(spec, _ object) { podOf(spec)["serviceAccountName"] = "robot" },
			kind:   deployer.ReferenceMissing, object: "Deployment/", says: `serviceaccount "robot" not found`,
			kubectl: events("FailedCreate"), heard: `serviceaccount "robot" not found`,
		},
		"quota is used up": {
			prepare: []string{"create", "quota", "small", "--hard=pods=0"},
			kind:    deployer.QuotaExceeded, object: "Deployment/", says: "exceeded quota: small",
			kubectl: events("FailedCreate"), heard: "exceeded quota: small",
		},
		"quota wants limits": {
			prepare: []string{"create", "quota", "small", "--hard=limits.memory=1Gi"},
			kind:    deployer.QuotaExceeded, object: "Deployment/", says: "must specify limits.memory",
			kubectl: events("FailedCreate"), heard: "must specify limits.memory",
		},
		"policy refuses": {
			prepare: []string{"label", "namespace", "NAMESPACE", "pod-security.kubernetes.io/enforce=restricted"},
			kind:    deployer.AdmissionRefused, object: "Deployment/", says: "violates PodSecurity",
			kubectl: events("FailedCreate"), heard: "violates PodSecurity",
		},
	}
}

// podOf gives the pods' own spec.
func podOf(spec object) object { return spec["template"].(object)["spec"].(object) }

// begun is a failing workload that is applied.
type begun struct {
	failing
	*stage

	act deployer.Act
}

// ask asks kubectl in the namespace.
func (b begun) ask(t *testing.T, args []string, pod string) string {
	t.Helper()

	with := strings.NewReplacer("POD", pod, "NAMESPACE", b.namespace)

	asked := []string{"-n", b.namespace}
	for _, arg := range args {
		asked = append(asked, with.Replace(arg))
	}

	return b.stage.kubectl(t, asked...)
}

func (f failing) begin(t *testing.T) begun {
	t.Helper()

	s := newStage(t)
	b := begun{failing: f, stage: s}

	if f.prepare != nil {
		b.ask(t, f.prepare, "")
	}

	app := s.app(func(spec, container object) {
		spec["replicas"] = 1

		if f.change != nil {
			f.change(spec, container)
		}
	}, f.env)

	b.act = s.act(t, "d1", app)
	if _, err := s.Apply(t.Context(), b.act); err != nil {
		t.Fatal(err)
	}

	return b
}

// end waits for the verdict, and asks kubectl, too.
func (b begun) end(t *testing.T) {
	f := b.failing

	_, p := b.settle(t, b.act)
	if p.Verdict != deployer.Failed || p.Diagnosis == nil {
		t.Fatalf("verdict %s: %s", p.Verdict, p.Message)
	}

	d := p.Diagnosis
	if d.Kind != f.kind || !strings.HasPrefix(d.Object, f.object) || !strings.Contains(d.Summary, f.says) || d.Advice == "" {
		t.Errorf("said %+v, want %s of %s with %q and an advice", d, f.kind, f.object, f.says)
	}

	pod := strings.TrimPrefix(d.Object, "Pod/")

	heard := b.ask(t, f.kubectl, pod)
	if !strings.Contains(heard, f.heard) {
		t.Errorf("kubectl said %q, want %q", heard, f.heard)
	}

	t.Logf("Shiplog: %s of %s %s: %s %s", d.Kind, d.Object, d.Container, d.Summary, d.Advice)
	t.Logf("kubectl %s: %.500s", strings.Join(f.kubectl, " "), heard)

	if f.lastLine == "" {
		if len(d.LastLines) > 0 {
			t.Errorf("last lines %q of what never ran", d.LastLines)
		}

		return
	}

	if d.Container != "web" || len(d.LastLines) == 0 || !strings.HasSuffix(d.LastLines[len(d.LastLines)-1], f.lastLine) {
		t.Errorf("the last lines of %q are %q, want …%q", d.Container, d.LastLines, f.lastLine)
	}

	// Another run may have begun meanwhile, which says the same.
	lines := strings.Split(b.ask(t, []string{"logs", pod, "--tail=20"}, pod), "\n")
	t.Logf("Shiplog: %q; kubectl logs: %q", d.LastLines, lines)

	if d.Attempts == 1 && !slices.Equal(lines, d.LastLines) {
		t.Errorf("the last lines are not those of kubectl")
	}
}
