package spec

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/kustomize/api/filters/patchjson6902"
	"sigs.k8s.io/kustomize/kyaml/yaml"
)

// TestOperationsAsKustomize: RFC 6902 operations do what kustomize's own
// filter makes of them; that one cannot say which operation did not apply.
func TestOperationsAsKustomize(t *testing.T) {
	t.Parallel()

	const object = `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"annotations":{"a/b":"1","c~d":"2"},"name":"hello"},` +
		`"spec":{"replicas":2,"template":{"spec":{"containers":[{"args":["1","2"],"image":"x","name":"main"},{"name":"side"}]}}}}`

	for name, operations := range map[string]string{
		"add a member":        `[{"op":"add","path":"/spec/paused","value":true}]`,
		"add over a member":   `[{"op":"add","path":"/spec/replicas","value":3}]`,
		"add into a list":     `[{"op":"add","path":"/spec/template/spec/containers/0/args/1","value":"x"}]`,
		"add to the end":      `[{"op":"add","path":"/spec/template/spec/containers/-","value":{"name":"z"}}]`,
		"add below nothing":   `[{"op":"add","path":"/spec/strategy/type","value":"Recreate"}]`,
		"add beyond the list": `[{"op":"add","path":"/spec/template/spec/containers/7","value":{}}]`,
		"add null":            `[{"op":"add","path":"/spec/paused","value":null}]`,
		"replace":             `[{"op":"replace","path":"/spec/template/spec/containers/1","value":{"name":"other"}}]`,
		"replace nothing":     `[{"op":"replace","path":"/spec/paused","value":true}]`,
		"remove":              `[{"op":"remove","path":"/spec/template/spec/containers/0"}]`,
		"remove nothing":      `[{"op":"remove","path":"/spec/paused"}]`,
		"escapes":             `[{"op":"replace","path":"/metadata/annotations/a~1b","value":"x"},{"op":"remove","path":"/metadata/annotations/c~0d"}]`,
		"move":                `[{"op":"move","from":"/spec/replicas","path":"/metadata/annotations/replicas"}]`,
		"copy":                `[{"op":"copy","from":"/spec/template/spec/containers/0","path":"/spec/template/spec/containers/-"},{"op":"replace","path":"/spec/template/spec/containers/2/name","value":"third"}]`,
		"test":                `[{"op":"test","path":"/spec/replicas","value":2},{"op":"test","path":"/spec/template/spec/containers/0/args","value":["1","2"]}]`,
		"test otherwise":      `[{"op":"test","path":"/spec/replicas","value":"2"}]`,
		"test nothing":        `[{"op":"test","path":"/spec/paused","value":true}]`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			ours, err := applyPatch("f", json.RawMessage(object), ObjectPatch{Object: "x", Operations: json.RawMessage(operations)}, patching{})
			theirs, kustomize := patchjson6902.Filter{Patch: operations}.Filter([]*yaml.RNode{yaml.MustParse(object)})

			// The one difference: RFC 6902 wants that what is replaced exists,
			// and a patch that replaces nothing was made for something else.
			if name == "replace nothing" {
				if err == nil || kustomize != nil {
					t.Errorf("got %s, %v; kustomize says %v", ours, err, kustomize)
				}

				return
			}

			if (err == nil) != (kustomize == nil) {
				t.Fatalf("%v, and kustomize says %v", err, kustomize)
			}

			if err != nil {
				return
			}

			want, err := theirs[0].MarshalJSON()
			if err != nil {
				t.Fatal(err)
			}

			if digest(t, snapshotOf(string(ours))) != digest(t, snapshotOf(string(want))) {
				t.Errorf("got %s\nkustomize makes %s", ours, want)
			}
		})
	}
}

func TestReferences(t *testing.T) {
	t.Parallel()

	for written, want := range map[string]string{
		"redis":                          "docker.io/library/redis",
		"redis:7":                        "docker.io/library/redis",
		"docker.io/redis":                "docker.io/library/redis",
		"grafana/loki:3":                 "docker.io/grafana/loki",
		"localhost/x:1":                  "localhost/x",
		"localhost:5000/x":               "localhost:5000/x",
		"ghcr.io/a/b:1@" + shopDigest:    "ghcr.io/a/b",
		"registry.example:443/a/b/c:1.2": "registry.example:443/a/b/c",
	} {
		r, ok := parseReference(written)
		if !ok || r.canonicalRepository() != want || r.String() != written {
			t.Errorf("%s is %q of %s", written, r, r.canonicalRepository())
		}
	}

	for _, written := range []string{"", "a b", "x@sha256:1", "https://x", "${IMAGE}", ":1"} {
		if r, ok := parseReference(written); ok && !strings.Contains(written, "://") {
			t.Errorf("%q is %v", written, r)
		}
	}
}

func TestVersionLabel(t *testing.T) {
	t.Parallel()

	long := strings.Repeat("a", 128)
	names := []string{"1.4.2", "v1", "1.4.2+build", "1.4.2_build", "_1", "1.", "+", "____", "1-", long, long[:127]}
	seen := map[string]string{}

	for _, name := range names {
		if err := ValidateVersionName("version", name); err != nil {
			t.Fatal(err)
		}

		label := VersionLabel(name)
		if !labelValue.MatchString(label) {
			t.Errorf("%s: %q is no label", name, label)
		}

		if other, taken := seen[label]; taken {
			t.Errorf("%s and %s have the same label", name, other)
		}

		seen[label] = name
	}

	if VersionLabel("1.4.2") != "1.4.2" {
		t.Error("a plain name is not itself")
	}
}

// TestLiteral: what the kubelet makes of a literal is the text again. The
// expansion is that of Kubernetes: $$ is a dollar sign, $(NAME) a variable.
func TestLiteral(t *testing.T) {
	t.Parallel()

	for _, s := range []string{"", "$", "$$", "$$$", "a$b", "$(A)", "$$(A)", "x$$(A)$", "$ $( $$ $)", "100$"} {
		if got := expand(literal(s)); got != s {
			t.Errorf("%q becomes %q", s, got)
		}
	}
}

// expand is third_party/forked/golang/expansion of Kubernetes for an empty
// environment of which every name is known.
func expand(s string) string {
	var b strings.Builder

	for i := 0; i < len(s); i++ {
		switch {
		case s[i] != '$' || i+1 == len(s):
			b.WriteByte(s[i])
		case s[i+1] == '$':
			b.WriteByte('$')
			i++
		case s[i+1] == '(' && strings.IndexByte(s[i:], ')') > 0:
			i += strings.IndexByte(s[i:], ')')
		default:
			b.WriteByte('$')
		}
	}

	return b.String()
}

func TestUnpinnedImages(t *testing.T) {
	t.Parallel()

	w, err := ParseWorkload("workload", nil, `
apiVersion: v1
kind: Pod
metadata: {name: a}
spec:
  initContainers: [{name: a, image: "redis:7"}]
  containers:
    - {name: a, image: "registry.example/shop/hello:1.4.2"}
    - {name: b, image: busybox}
    - {name: c, image: "redis:7"}
    - {name: d, image: "x@`+shopDigest+`"}
`)
	if err != nil {
		t.Fatal(err)
	}

	in := RenderInput{
		Target: TargetKubernetes, Service: "hello", Workload: w,
		Images:        map[string]Image{"main": {Reference: "registry.example/shop/hello:1.4.2", Digest: shopDigest}},
		Configuration: mustConfiguration(t, `{"patches":[{"object":"v1/Pod/a","merge":{"spec":{"containers":[{"name":"e","image":"proxy:2"}]}}}]}`),
	}

	got, err := UnpinnedImages(in)
	if want := []string{"busybox", "proxy:2", "redis:7"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v", got, err)
	}

	if in, err = pinned(in); err != nil {
		t.Fatal(err)
	}

	if _, err := Render(in); err != nil {
		t.Error(err)
	}
}

// TestPinLeavesOtherTags: what a registry said of one tag says nothing about
// another one of the same repository, nor about a digest that is written down.
func TestPinLeavesOtherTags(t *testing.T) {
	t.Parallel()

	w, err := ParseWorkload("workload", nil, `
apiVersion: v1
kind: Pod
metadata: {name: a}
spec:
  containers:
    - {name: own, image: "shop/hello:1.0"}
    - {name: fixed, image: "redis:7@`+shopDigest+`"}
`)
	if err != nil {
		t.Fatal(err)
	}

	in := RenderInput{
		Target: TargetKubernetes, Service: "hello", Workload: w,
		Images:        map[string]Image{"main": {Reference: "docker.io/shop/hello:1.0"}},
		Configuration: mustConfiguration(t, `{"patches":[{"object":"v1/Pod/a","merge":{"spec":{"containers":[{"name":"beside","image":"redis:8"}]}}}]}`),
	}

	if in, err = pinned(in); err != nil {
		t.Fatal(err)
	}

	if in.Images["main"].Digest == "" || len(in.Images) != 1 || len(in.Digests) != 1 {
		t.Errorf("images %v, digests %v", in.Images, in.Digests)
	}

	shot, err := Render(in)
	if err != nil {
		t.Fatal(err)
	}

	object := string(shot.Objects["v1/Pod/a"])
	for _, want := range []string{`"docker.io/shop/hello:1.0@` + in.Images["main"].Digest, `"redis:7@` + shopDigest, `"redis:8@` + in.Digests["redis:8"]} {
		if !strings.Contains(object, want) {
			t.Errorf("without %s: %s", want, object)
		}
	}

	if open, err := UnpinnedImages(in); err != nil || len(open) > 0 {
		t.Errorf("still open: %v, %v", open, err)
	}

	in.Target = TargetProcess
	if open, err := UnpinnedImages(in); err != nil || len(open) > 0 {
		t.Errorf("a process target: %v, %v", open, err)
	}
}

func TestPlaceRefusesBindings(t *testing.T) {
	t.Parallel()

	snapshot := snapshotOf(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}`)

	for field, binding := range map[string]Binding{
		"target.namespace": {Namespace: "", Environment: "e"},
		"environment":      {Namespace: "n", Environment: "E"},
		"version":          {Namespace: "n", Environment: "e", Version: "a b"},
		"target.host":      {Namespace: "n", Environment: "e", Host: "a_b"},
	} {
		_, err := Place(snapshot, binding)
		if got := refusal(t, err); !strings.HasPrefix(got, "INVALID_INPUT "+field+" ") {
			t.Errorf("%s: %s", field, got)
		}
	}
}
