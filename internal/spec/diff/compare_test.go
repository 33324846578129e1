package diff_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/shiplog/shiplog/internal/spec"
	"github.com/shiplog/shiplog/internal/spec/diff"
)

var update = flag.Bool("update", false, "write the golden files of this package")

// golden compares with testdata/name, or writes it with -update.
func golden(t *testing.T, name, got string) {
	t.Helper()

	path := filepath.Join("testdata", name)

	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}

		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}

	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}

	if got != string(want) {
		t.Errorf("%s differs (write it with -update):\n--- got\n%s\n--- want\n%s", path, got, want)
	}
}

func rendered(t *testing.T, manifests string, configuration any) *spec.Snapshot {
	t.Helper()

	workload, err := spec.ParseWorkload("workload", nil, manifests)
	if err != nil {
		t.Fatal(err)
	}

	c, err := spec.ParseConfiguration("configuration", configuration)
	if err != nil {
		t.Fatal(err)
	}

	s, err := spec.Render(spec.RenderInput{Target: spec.TargetKubernetes, Service: "shop", Workload: workload, Configuration: c})
	if err != nil {
		t.Fatal(err)
	}

	return s
}

const digestA, digestB = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

// older has a password that newer has moved into a secret.
const older = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop, labels: {app: shop}}
spec:
  replicas: 1
  template:
    spec:
      initContainers:
      - {name: wait, image: example.com/wait@` + digestA + `}
      containers:
      - name: main
        image: example.com/shop@` + digestA + `
        env:
        - {name: PASSWORD, value: hunter2}
        - {name: MODE, value: slow}
        - {name: KEY, valueFrom: {secretKeyRef: {name: old, key: key}}}
        resources: {limits: {cpu: 100m}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {a: "1"}
`

const newer = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop, labels: {app: shop, team: a}}
spec:
  replicas: 1
  template:
    spec:
      initContainers:
      - {name: first, image: example.com/first@` + digestA + `}
      - {name: wait, image: example.com/wait@` + digestB + `}
      containers:
      - name: main
        image: example.com/shop@` + digestB + `
        args: [--new]
        env:
        - {name: KEY, valueFrom: {secretKeyRef: {name: new, key: key}}}
        - {name: MODE, value: fast}
        - {name: PASSWORD, valueFrom: {secretKeyRef: {name: shop, key: password}}}
        resources: {limits: {cpu: 200m}}
---
apiVersion: v1
kind: Service
metadata: {name: shop}
spec: {ports: [{name: http, port: 80}]}
`

func TestCompare(t *testing.T) {
	t.Parallel()

	staging := `{variables: {PASSWORD: hunter3, LEVEL: debug, REGION: test}, resources: {db: {password: {value: hunter4}}}, replicas: 1}`
	production := `{variables: {LEVEL: info, REGION: eu}, resources: {db: {password: {secretRef: {name: db, key: password}}}}, replicas: 3}`

	from := diff.Side{Version: "1.0", Snapshot: rendered(t, older, staging), Place: diff.Place{Environment: "staging", Namespace: "shop-staging"}}
	to := diff.Side{Version: "1.1", Snapshot: rendered(t, newer, production), Place: diff.Place{Environment: "production", Namespace: "shop"}}
	neutral := diff.Side{Version: "1.0", Snapshot: rendered(t, older, production), Place: to.Place}

	d, err := diff.Compare(from, to, &neutral)
	if err != nil {
		t.Fatal(err)
	}

	var out strings.Builder

	for _, c := range d.Changes {
		masked := ""
		if c.Masked {
			masked = " masked"
		}

		out.WriteString(strings.Join([]string{string(c.Kind), string(c.Category), string(c.Origin), c.Path, string(c.Before), "->", string(c.After)}, " ") + masked + "\n")
	}

	for _, operations := range [][]diff.Operation{d.Operations, d.Reverse} {
		out.WriteString("\n")

		for _, o := range operations {
			text, err := json.Marshal(o)
			if err != nil {
				t.Fatal(err)
			}

			out.Write(append(text, '\n'))
		}
	}

	out.WriteString("\n" + d.Unified())

	if strings.Contains(out.String(), "hunter") {
		t.Errorf("a secret is shown:\n%s", out.String())
	}

	golden(t, "compare.txt", out.String())
}

// TestCompareWithNothing: a side may be empty, and a side equals itself.
func TestCompareWithNothing(t *testing.T) {
	t.Parallel()

	is := diff.Side{Version: "1.0", Snapshot: rendered(t, older, nil)}

	d, err := diff.Compare(is, is, nil)
	if err != nil || len(d.Changes)+len(d.Operations)+len(d.Reverse)+len(d.Objects) > 0 {
		t.Errorf("a side differs from itself: %+v (%v)", d, err)
	}

	for _, way := range [][2]diff.Side{{{}, is}, {is, {}}} {
		d, err := diff.Compare(way[0], way[1], nil)
		if err != nil || len(d.Objects) != 2 || d.Objects[0].Kind == diff.Modified {
			t.Errorf("got %+v (%v)", d, err)
		}

		if slices.ContainsFunc(d.Changes, func(c diff.Change) bool { return c.Origin != diff.Substance }) {
			t.Error("what came or went is said to be of an environment")
		}
	}
}

func TestSecretObjectsAreMasked(t *testing.T) {
	t.Parallel()

	with := func(data string) diff.Side {
		return diff.Side{Snapshot: &spec.Snapshot{Renderer: "1", Target: spec.TargetKubernetes, Objects: map[string]json.RawMessage{
			"v1/Secret/s": json.RawMessage(`{"apiVersion":"v1","kind":"Secret","metadata":{"name":"s"},"data":` + data + `}`),
		}}}
	}

	for _, way := range [][2]diff.Side{{with(`{"a":"hunter1"}`), with(`{"a":"hunter2","b":"hunter3"}`)}, {{}, with(`{"a":"hunter1"}`)}} {
		d, err := diff.Compare(way[0], way[1], nil)
		if err != nil {
			t.Fatal(err)
		}

		text, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}

		if strings.Contains(string(text), "hunter") || !slices.ContainsFunc(d.Changes, func(c diff.Change) bool { return c.Masked && c.Category == diff.Secret }) {
			t.Errorf("got %s", text)
		}
	}
}
