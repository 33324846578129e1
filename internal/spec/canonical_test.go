package spec

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestCanonicaliseKubernetes(t *testing.T) {
	t.Parallel()

	all, err := parseManifests("manifests", read(t, "manifests/shop.yaml"))
	if err != nil {
		t.Fatal(err)
	}

	var out strings.Builder
	for _, m := range all {
		out.WriteString(indent(t, canonicalise(m.object)))
	}

	golden(t, "shop_canonical.txt", out.String())
}

func TestCanonicaliseKeepsWhatHasNoIdentity(t *testing.T) {
	t.Parallel()

	for name, object := range map[string]string{
		"no object":        `[1]`,
		"empty":            `{}`,
		"pod without spec": `{"apiVersion":"v1","kind":"Pod"}`,
		"spec of no kind":  `{"apiVersion":"v1","kind":"Pod","spec":5}`,
		"same name twice":  `{"apiVersion":"v1","kind":"Pod","spec":{"containers":[{"name":"a"},{"name":"a"}]}}`,
		"no name":          `{"apiVersion":"v1","kind":"Pod","spec":{"containers":[{"image":"a"}]}}`,
		"no objects":       `{"apiVersion":"v1","kind":"Pod","spec":{"containers":["a"]}}`,
		"port of text":     `{"apiVersion":"v1","kind":"Service","spec":{"ports":[{"port":"http"}]}}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			value, err := decodeStored(json.RawMessage(object))
			if err != nil {
				t.Fatal(err)
			}

			got, err := canonicalJSON(canonicalise(value))
			if err != nil || string(got) != object {
				t.Errorf("got %s, %v", got, err)
			}
		})
	}
}

// snapshots that must have one digest, each line by line.
func TestDigestIgnoresOrder(t *testing.T) {
	t.Parallel()

	pod := func(spec string) string { return `{"apiVersion":"v1","kind":"Pod","spec":` + spec + `}` }

	cases := []struct {
		name, a, b string
		equal      bool
	}{
		{"members", `{"a":1,"b":2}`, `{"b":2.0,"a":1e0}`, true},
		{"containers", pod(`{"containers":[{"name":"a"},{"name":"b"}]}`), pod(`{"containers":[{"name":"b"},{"name":"a"}]}`), true},
		{"env", pod(`{"containers":[{"name":"a","env":[{"name":"A","value":"1"},{"name":"B"}]}]}`), pod(`{"containers":[{"name":"a","env":[{"name":"B"},{"name":"A","value":"1"}]}]}`), true},
		{"env that refers", pod(`{"containers":[{"name":"a","env":[{"name":"A","value":"$(B)"},{"name":"B"}]}]}`), pod(`{"containers":[{"name":"a","env":[{"name":"B"},{"name":"A","value":"$(B)"}]}]}`), false},
		{"init containers", pod(`{"initContainers":[{"name":"a"},{"name":"b"}]}`), pod(`{"initContainers":[{"name":"b"},{"name":"a"}]}`), false},
		{"arguments", pod(`{"containers":[{"name":"a","args":["1","2"]}]}`), pod(`{"containers":[{"name":"a","args":["2","1"]}]}`), false},
		{"a value", `{"a":"1"}`, `{"a":1}`, false},
		{"other kinds", `{"kind":"X","spec":{"containers":[{"name":"a"},{"name":"b"}]}}`, `{"kind":"X","spec":{"containers":[{"name":"b"},{"name":"a"}]}}`, false},
	}

	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()

			if got := digest(t, snapshotOf(c.a)) == digest(t, snapshotOf(c.b)); got != c.equal {
				t.Errorf("equal: %v", got)
			}
		})
	}
}

func snapshotOf(object string) *Snapshot {
	return &Snapshot{Renderer: RendererVersion, Target: TargetKubernetes, Objects: map[string]json.RawMessage{"x": json.RawMessage(object)}}
}

func digest(t *testing.T, s *Snapshot) string {
	t.Helper()

	d, err := s.Digest()
	if err != nil {
		t.Fatal(err)
	}

	return d
}

// TestDigestSurvivesStorage: a snapshot that was written and read again, in its
// plain or its canonical form, has its digest still.
func TestDigestSurvivesStorage(t *testing.T) {
	t.Parallel()

	snapshot, err := Render(RenderInput{
		Target: TargetProcess, Service: "hello",
		Workload: mustWorkload(t, read(t, "hello.yaml")), Configuration: mustConfiguration(t, helloConfiguration),
	})
	if err != nil {
		t.Fatal(err)
	}

	plain, err := json.Marshal(snapshot)
	if err != nil {
		t.Fatal(err)
	}

	canonical, err := snapshot.Canonical()
	if err != nil {
		t.Fatal(err)
	}

	for _, data := range [][]byte{plain, canonical} {
		var stored Snapshot
		if err := json.Unmarshal(data, &stored); err != nil {
			t.Fatal(err)
		}

		if digest(t, &stored) != digest(t, snapshot) {
			t.Errorf("%s has another digest", data)
		}
	}

	snapshot.Layers = map[string]string{"SERVICE": "other"}
	if again, err := snapshot.Canonical(); err != nil || string(again) != string(canonical) {
		t.Errorf("provenance is part of the digest: %v", err)
	}
}

func TestContentDigest(t *testing.T) {
	t.Parallel()

	of := func(images map[string]Image, w Workload, commit string) string {
		d, err := ContentDigest(images, w, commit)
		if err != nil {
			t.Fatal(err)
		}

		return d
	}

	image := map[string]Image{"main": {Reference: "a"}}
	base := of(image, Workload{}, "c")

	if base != of(map[string]Image{"main": {Reference: "a"}}, Workload{}, "c") || of(nil, Workload{}, "") != of(map[string]Image{}, Workload{}, "") {
		t.Error("equal content differs")
	}

	for name, other := range map[string]string{
		"reference": of(map[string]Image{"main": {Reference: "b"}}, Workload{}, "c"),
		"name":      of(map[string]Image{"other": {Reference: "a"}}, Workload{}, "c"),
		"digest":    of(map[string]Image{"main": {Reference: "a", Digest: "d"}}, Workload{}, "c"),
		"commit":    of(image, Workload{}, "d"),
		"score":     of(image, mustWorkload(t, minimal), "c"),
		"manifests": of(image, Workload{Manifests: "x"}, "c"),
	} {
		if other == base {
			t.Errorf("another %s has the same digest", name)
		}
	}
}
