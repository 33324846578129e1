package spec

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"sigs.k8s.io/yaml"
)

// kubernetesCase is a file of testdata/kubernetes: what comes in, and under
// "golden" what comes of it, objects or a refusal.
type kubernetesCase struct {
	archive   *txtar.Archive
	Score     string
	Manifests string
	// Configuration is one layer.
	Configuration string
	// Images by name; Binding where it goes.
	Images  map[string]Image
	Binding Binding
}

const shopDigest = "sha256:1111111111111111111111111111111111111111111111111111111111111111"

func readCase(t *testing.T, path string) kubernetesCase {
	t.Helper()

	archive, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}

	c := kubernetesCase{
		archive: archive,
		Images:  map[string]Image{"main": {Reference: "registry.example/shop/hello:1.4.2", Digest: shopDigest}},
		Binding: Binding{Namespace: "shop-staging", Environment: "staging", Version: "1.4.2"},
	}

	for _, file := range archive.Files {
		switch file.Name {
		case "score":
			c.Score = string(file.Data)
		case "manifests":
			c.Manifests = string(file.Data)
		case "configuration":
			c.Configuration = string(file.Data)
		case "images":
			c.Images = nil
			if err := yaml.UnmarshalStrict(file.Data, &c.Images); err != nil {
				t.Fatal(err)
			}
		case "binding":
			if err := yaml.UnmarshalStrict(file.Data, &c.Binding); err != nil {
				t.Fatal(err)
			}
		case "golden":
		default:
			t.Fatalf("%s has an unknown part %s", path, file.Name)
		}
	}

	return c
}

// input parses what comes in, as registration and configuration do.
func (c kubernetesCase) input() (in RenderInput, err error) {
	in = RenderInput{Target: TargetKubernetes, Service: "hello", Images: c.Images}

	var document any
	if c.Score != "" {
		document = c.Score
	}

	if in.Workload, err = ParseWorkload("workload", document, c.Manifests); err != nil {
		return in, err
	}

	if c.Configuration != "" {
		in.Configuration, err = ParseConfiguration("configuration", c.Configuration)
	}

	return in, err
}

// run gives the text of a golden part.
func (c kubernetesCase) run(t *testing.T) string {
	t.Helper()

	in, err := c.input()
	if err != nil {
		return "refused: " + refusal(t, err) + "\n"
	}

	snapshot, err := Render(in)
	if err != nil {
		return "refused: " + refusal(t, err) + "\n"
	}

	placed, err := Place(snapshot, c.Binding)
	if err != nil {
		return "refused: " + refusal(t, err) + "\n"
	}

	objects := map[string]json.RawMessage{}

	var out strings.Builder

	fmt.Fprintf(&out, "digest: %s\n", digest(t, snapshot))

	for _, p := range placed {
		text, err := yaml.JSONToYAML(p.Object)
		if err != nil {
			t.Fatal(err)
		}

		objects[p.Key] = p.Object
		fmt.Fprintf(&out, "---\n# %s\n%s", p.Key, text)
	}

	checkTypes(t, objects)

	return out.String()
}

func kubernetesCases(t *testing.T) map[string]string {
	t.Helper()

	files, err := filepath.Glob("testdata/kubernetes/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}

	all := map[string]string{}
	for _, file := range files {
		all[strings.TrimSuffix(filepath.Base(file), ".txtar")] = file
	}

	return all
}

func TestKubernetesGolden(t *testing.T) {
	t.Parallel()

	for name, path := range kubernetesCases(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			c := readCase(t, path)
			got := c.run(t)

			files := c.archive.Files
			last := len(files) - 1

			if last < 0 || files[last].Name != "golden" {
				files = append(files, txtar.File{Name: "golden"})
				last++
			}

			want := string(files[last].Data)
			if got == want {
				return
			}

			if !*update {
				t.Fatalf("differs (write it with -update):\n--- got\n%s\n--- want\n%s", got, want)
			}

			files[last].Data = []byte(got)
			c.archive.Files = files

			if err := os.WriteFile(path, txtar.Format(c.archive), 0o600); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// TestKubernetesTwice: the same input gives the same bytes, whatever came
// between, and an object that was placed has its digest after storage.
func TestKubernetesTwice(t *testing.T) {
	t.Parallel()

	for name, path := range kubernetesCases(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			c := readCase(t, path)

			in, err := c.input()
			if err != nil {
				return
			}

			before := indent(t, in)
			first, err := Render(in)
			if err != nil {
				_, again := Render(in)
				if refusal(t, again) != refusal(t, err) {
					t.Errorf("%v became %v", err, again)
				}

				return
			}

			second, err := Render(in)
			if err != nil || indent(t, second) != indent(t, first) {
				t.Errorf("rendering again gives other bytes: %v", err)
			}

			if indent(t, in) != before {
				t.Error("rendering changed its input")
			}

			samePlaces(t, first, stored(t, second), c.Binding)
		})
	}
}

func stored(t *testing.T, snapshot *Snapshot) *Snapshot {
	t.Helper()

	data, err := json.Marshal(snapshot)
	if err != nil {
		t.Fatal(err)
	}

	var again Snapshot
	if err := json.Unmarshal(data, &again); err != nil {
		t.Fatal(err)
	}

	return &again
}

func samePlaces(t *testing.T, a, b *Snapshot, binding Binding) {
	t.Helper()

	if digest(t, a) != digest(t, b) {
		t.Error("the digest did not survive storage")
	}

	before := indent(t, a)
	first, errA := Place(a, binding)
	second, errB := Place(b, binding)

	if (errA == nil) != (errB == nil) || len(first) != len(second) {
		t.Fatalf("placed %d and %d objects: %v, %v", len(first), len(second), errA, errB)
	}

	for i := range first {
		if first[i].Key != second[i].Key || !bytes.Equal(first[i].Object, second[i].Object) {
			t.Errorf("%s has other bytes", first[i].Key)
		}
	}

	if indent(t, a) != before {
		t.Error("placing changed the snapshot")
	}
}
