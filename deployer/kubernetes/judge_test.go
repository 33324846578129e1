package kubernetes

import (
	"encoding/json"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "write the golden files")

// fixture is a cluster at a moment, as testdata holds it.
type fixture struct {
	Now, Since      time.Time
	DeadlineSeconds int
	Objects         []map[string]any
	Revision        string
	Pods            []corev1.Pod
	Events          []corev1.Event
}

// TestJudge holds the verdicts and diagnoses of all fixtures to the golden
// file: what is said is part of the product.
func TestJudge(t *testing.T) {
	t.Parallel()

	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no fixtures:", err)
	}

	var said strings.Builder

	for _, file := range files {
		f := readFixture(t, file)
		found := sight{now: f.Now, since: f.Since, deadline: time.Duration(f.DeadlineSeconds) * time.Second, pods: f.Pods, events: f.Events}

		for _, o := range f.Objects {
			u := &unstructured.Unstructured{Object: o}
			found.objects = append(found.objects, seen{ref: refOf(u), object: u, revision: f.Revision})
		}

		progress, where := judge(found)

		answer, err := json.MarshalIndent(map[string]any{"progress": progress, "previous": where != nil && where.previous, "hasOutput": where != nil}, "", "  ")
		if err != nil {
			t.Fatal(err)
		}

		said.WriteString("== " + filepath.Base(file) + "\n" + string(answer) + "\n")
	}

	const golden = "testdata/judge.golden"

	if *update {
		if err := os.WriteFile(golden, []byte(said.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}

	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}

	if said.String() != string(want) {
		t.Errorf("other words than in %s (write them with -update):\n%s", golden, said.String())
	}
}

func readFixture(t *testing.T, file string) fixture {
	t.Helper()

	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}

	var f fixture
	if err := yaml.Unmarshal(data, &f); err != nil {
		t.Fatalf("%s: %v", file, err)
	}

	// As a client decodes them: whole numbers.
	for _, o := range f.Objects {
		data, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}

		var u unstructured.Unstructured
		if err := u.UnmarshalJSON(data); err != nil {
			t.Fatalf("%s: %v", file, err)
		}

		maps.Copy(o, u.Object)
	}

	return f
}
