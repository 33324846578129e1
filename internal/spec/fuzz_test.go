package spec

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/shiplog/shiplog/internal/fault"
)

func refused(t *testing.T, err error) {
	t.Helper()

	if fault.CodeOf(err) != fault.InvalidInput {
		t.Fatalf("not a refusal of input: %v", err)
	}
}

// FuzzScore: parsing never panics, refuses with INVALID_INPUT, what it gives
// is canonical (parsing it again gives it), and rendering and digest hold.
func FuzzScore(f *testing.F) {
	hello, err := os.ReadFile("testdata/hello.yaml")
	if err != nil {
		f.Fatal(err)
	}

	f.Add(string(hello))
	f.Add(minimal)
	f.Add(bomb())
	f.Add("a: &a {<<: *a}")
	f.Add("? [a]\n: b")

	f.Fuzz(func(t *testing.T, text string) {
		w, err := ParseWorkload("workload", text, "")
		if err != nil {
			refused(t, err)

			return
		}

		again, err := ParseWorkload("workload", w.Score, "")
		if err != nil || string(again.Score) != string(w.Score) {
			t.Fatalf("%s became %s, %v", w.Score, again.Score, err)
		}

		snapshot, err := Render(RenderInput{Target: TargetProcess, Service: "hello", Workload: w})
		if err != nil {
			refused(t, err)

			return
		}

		canonical, err := snapshot.Canonical()
		if err != nil {
			t.Fatal(err)
		}

		var stored Snapshot
		if err := json.Unmarshal(canonical, &stored); err != nil {
			t.Fatal(err)
		}

		if digest(t, &stored) != digest(t, snapshot) {
			t.Fatal("the canonical form has another digest")
		}
	})
}

// FuzzManifests: parsing never panics, refuses with INVALID_INPUT, and lets no
// Secret with content through.
func FuzzManifests(f *testing.F) {
	files, err := filepath.Glob("testdata/manifests/*.yaml")
	if err != nil {
		f.Fatal(err)
	}

	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}

		f.Add(string(data))
	}

	f.Add(bomb())
	f.Add("apiVersion: v1\nkind: List\nitems: [{apiVersion: v1, kind: Secret, metadata: {name: a}, data: {b: Yw==}}]")
	f.Add("%YAML 1.1\n---\na: b\n...\n---\n--- |\n x")

	f.Fuzz(func(t *testing.T, text string) {
		all, err := parseManifests("workload.manifests", text)
		if err != nil {
			refused(t, err)

			return
		}

		for _, m := range all {
			if m.object["kind"] == "Secret" && (hasContent(m.object["data"]) || hasContent(m.object["stringData"])) {
				t.Fatal("a secret came through")
			}

			if _, err := canonicalJSON(canonicalise(m.object)); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// FuzzConfiguration: parsing never panics, refuses with INVALID_INPUT, and
// what it gives can be written and parsed again.
func FuzzConfiguration(f *testing.F) {
	f.Add(helloConfiguration)
	f.Add(`{"replicas":1e0,"limits":{"main":{"cpu":1}}}`)

	f.Fuzz(func(t *testing.T, text string) {
		c, err := ParseConfiguration("configuration", text)
		if err != nil {
			refused(t, err)

			return
		}

		data, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}

		again, err := ParseConfiguration("configuration", data)
		if err != nil || !reflect.DeepEqual(c, again) {
			t.Fatalf("%s: %v", data, err)
		}
	})
}

// FuzzDigest: the order of members and the spelling of JSON do not matter, and
// the canonical form of the canonical form is itself.
func FuzzDigest(f *testing.F) {
	f.Add(`{"apiVersion":"v1","kind":"Pod","spec":{"containers":[{"name":"b","env":[{"name":"x"}]},{"name":"a"}]}}`)
	f.Add(`{"é":"\u20ac","z":[1e3,0.1,-0],"a":{"":null}}`)

	f.Fuzz(func(t *testing.T, object string) {
		value, err := decodeStored(json.RawMessage(object))
		if err != nil {
			return
		}

		reordered, err := json.Marshal(value) // sorted by bytes, without blanks
		if err != nil {
			t.Fatal(err)
		}

		if digest(t, snapshotOf(object)) != digest(t, snapshotOf(string(reordered))) {
			t.Fatal("the digest depends on the spelling")
		}

		canonical, err := canonicalJSON(canonicalise(value))
		if err != nil {
			t.Fatal(err)
		}

		if digest(t, snapshotOf(string(canonical))) != digest(t, snapshotOf(object)) {
			t.Fatal("the canonical form is not stable")
		}
	})
}
