package spec

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const minimal = `{"apiVersion":"score.dev/v1b1","metadata":{"name":"hello"},"containers":{"main":{"image":"x"}}}`

// with gives the minimal Score document with one container's members replaced.
func with(container string) string {
	return `{"apiVersion":"score.dev/v1b1","metadata":{"name":"hello"},"containers":{"main":` + container + `}}`
}

func TestParseWorkloadScore(t *testing.T) {
	t.Parallel()

	var decoded any
	if err := json.Unmarshal([]byte(minimal), &decoded); err != nil {
		t.Fatal(err)
	}

	for name, score := range map[string]any{
		"json text":  "\t" + minimal + "\n",
		"bytes":      []byte(minimal),
		"raw":        json.RawMessage(minimal),
		"decoded":    decoded,
		"yaml":       "apiVersion: score.dev/v1b1\nmetadata: {name: hello}\ncontainers:\n  main:\n    image: x\n",
		"yaml flow":  "{apiVersion: score.dev/v1b1, metadata: {name: hello}, containers: {main: {image: x}}}",
		"yaml alias": "apiVersion: score.dev/v1b1\nmetadata: {name: &n hello, x: *n}\ncontainers: {main: {image: x}}\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			w, err := ParseWorkload("workload", score, "")
			if err != nil {
				t.Fatal(err)
			}

			want := `{"apiVersion":"score.dev/v1b1","containers":{"main":{"image":"x"}},"metadata":{"name":"hello"}}`
			if name == "yaml alias" {
				want = strings.Replace(want, `"hello"}`, `"hello","x":"hello"}`, 1)
			}

			if string(w.Score) != want || w.Manifests != "" || w.IsEmpty() {
				t.Errorf("got %s %q", w.Score, w.Manifests)
			}
		})
	}
}

func TestParseWorkloadNone(t *testing.T) {
	t.Parallel()

	w, err := ParseWorkload("workload", nil, "")
	if err != nil || !w.IsEmpty() {
		t.Errorf("got %v, %v", w, err)
	}
}

func TestScoreNumbersAreCanonical(t *testing.T) {
	t.Parallel()

	w, err := ParseWorkload("workload", `{"apiVersion":"score.dev/v1b1","metadata":{"name":"hello"},"containers":{"main":{"image":"x"}},"service":{"ports":{"http":{"port":8.08e3}}}}`, "")
	if err != nil {
		t.Fatal(err)
	}

	if !strings.Contains(string(w.Score), `"port":8080`) {
		t.Errorf("got %s", w.Score)
	}
}

// bomb is the billion laughs of YAML.
func bomb() string {
	var b strings.Builder

	b.WriteString("a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n")

	for i := 1; i < 12; i++ {
		fmt.Fprintf(&b, "a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 10), ", "))
	}

	return b.String()
}

func TestParseWorkloadRefusals(t *testing.T) {
	t.Parallel()

	cases := []struct {
		name      string
		score     any
		manifests string
	}{
		{"both", minimal, "kind: x"},
		{"empty text", " \n", ""},
		{"no object", "hello", ""},
		{"a list", []any{1}, ""},
		{"not JSON", func() {}, ""},
		{"broken yaml", "a: [", ""},
		{"two documents", "a: 1\n---\nb: 2\n", ""},
		{"duplicate in yaml", "apiVersion: a\napiVersion: b\n", ""},
		{"duplicate in json", `{"apiVersion":"a","apiVersion":"b"}`, ""},
		{"NUL", "a\x00", ""},
		{"NUL in json", `{"a":"\u0000"}`, ""},
		{"bad utf8", "\xff", ""},
		{"too long", strings.Repeat("x", maxTextBytes+1), ""},
		{"deep json", strings.Repeat(`{"a":`, 70) + "1" + strings.Repeat("}", 70), ""},
		{"deep yaml", strings.Repeat("{a: ", 200) + "1" + strings.Repeat("}", 200), ""},
		{"bomb", bomb(), ""},
		{"scalar bomb", "a: &a " + strings.Repeat("x", 100_000) + "\nb: [" + strings.Repeat("*a,", 1000) + "*a]\n", ""},
		{"cycle", "a: &a [*a]", ""},
		{"unknown alias", "a: *b", ""},
		{"number too large", `{"metadata":{"n":9007199254740993}}`, ""},
		{"yaml number too large", `metadata: {n: 123456789012345678901234}`, ""},
		{"no apiVersion", `{"metadata":{"name":"hello"},"containers":{"main":{"image":"x"}}}`, ""},
		{"other apiVersion", strings.Replace(minimal, "v1b1", "v2", 1), ""},
		{"no name", `{"apiVersion":"score.dev/v1b1","metadata":{},"containers":{"main":{"image":"x"}}}`, ""},
		{"bad name", strings.Replace(minimal, "hello", "Hello", 1), ""},
		{"no containers", `{"apiVersion":"score.dev/v1b1","metadata":{"name":"hello"},"containers":{}}`, ""},
		{"bad container name", strings.Replace(minimal, `"main"`, `"Main"`, 1), ""},
		{"no image", with(`{}`), ""},
		{"image of wrong type", with(`{"image":5}`), ""},
		{"unknown member", with(`{"image":"x","imagePullPolicy":"Always"}`), ""},
		{"command of wrong type", with(`{"image":"x","command":["a",1]}`), ""},
		{"variable of wrong type", with(`{"image":"x","variables":{"PORT":8080}}`), ""},
		{"file without content", with(`{"image":"x","files":[{"target":"/a"}]}`), ""},
		{"file from a source", with(`{"image":"x","files":[{"target":"/a","source":"b"}]}`), ""},
		{"file with bad base64", with(`{"image":"x","files":[{"target":"/a","binaryContent":"?"}]}`), ""},
		{"file with bad placeholder", with(`{"image":"x","files":[{"target":"/a","content":"${x.y}"}]}`), ""},
		{"volume of unknown resource", with(`{"image":"x","volumes":[{"target":"/a","source":"${resources.data}"}]}`), ""},
		{"placeholder of unknown root", with(`{"image":"x","variables":{"A":"${environment.x}"}}`), ""},
		{"placeholder of unknown resource", with(`{"image":"x","variables":{"A":"${resources.db.host}"}}`), ""},
		{"placeholder of unknown metadata", with(`{"image":"x","variables":{"A":"${metadata.owner}"}}`), ""},
		{"empty placeholder", with(`{"image":"x","variables":{"A":"${}"}}`), ""},
		{"port out of range", strings.Replace(minimal, `"containers"`, `"service":{"ports":{"http":{"port":70000}}},"containers"`, 1), ""},
		{"bad protocol", strings.Replace(minimal, `"containers"`, `"service":{"ports":{"http":{"port":80,"protocol":"SCTP"}}},"containers"`, 1), ""},
		{"bad startup", strings.Replace(minimal, `"name":"hello"`, `"name":"hello","annotations":{"shiplog.dev/startup-timeout":"1h"}`, 1), ""},

		{"manifests: blank", nil, " \n# nothing\n---\n"},
		{"manifests: scalar", nil, "hello"},
		{"manifests: no kind", nil, "apiVersion: v1\nmetadata: {name: a}"},
		{"manifests: no apiVersion", nil, "kind: Service\nmetadata: {name: a}"},
		{"manifests: no metadata", nil, "apiVersion: v1\nkind: Service"},
		{"manifests: no name", nil, "apiVersion: v1\nkind: Pod\nmetadata: {generateName: a-}"},
		{"manifests: bad namespace", nil, "apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: 5}"},
		{"manifests: second is broken", nil, "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n---\na: ["},
		{"manifests: twice", nil, "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n---\napiVersion: v1\nkind: Service\nmetadata: {name: a}"},
		{"manifests: twice in a list", nil, "apiVersion: v1\nkind: List\nitems: [{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}}, {apiVersion: apps/v1beta1, kind: Deployment, metadata: {name: a}}]"},
		{"manifests: list in a list", nil, "apiVersion: v1\nkind: List\nitems: [{apiVersion: v1, kind: List, items: []}]"},
		{"manifests: items is no list", nil, "apiVersion: v1\nkind: List\nitems: 5"},
		{"manifests: secret with data", nil, "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata: {password: aGVsbG8=}"},
		{"manifests: secret with stringData", nil, "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData: {password: hello}"},
		{"manifests: secret in a list", nil, "apiVersion: v1\nkind: List\nitems: [{apiVersion: v1, kind: Secret, metadata: {name: a}, data: {b: Yw==}}]"},
		{"manifests: secret in an annotation", nil, "apiVersion: v1\nkind: Secret\nmetadata: {name: a, annotations: {kubectl.kubernetes.io/last-applied-configuration: \"{}\"}}"},
		{"manifests: end marker hides a document", nil, "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n...\napiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata: {b: Yw==}"},
		{"manifests: twice in a secret", nil, "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata: {password: aGVsbG8=}\ndata: {}"},
		{"manifests: secret behind a second kind", nil, "apiVersion: v1\nkind: &k Secret\nkind: ConfigMap\nmetadata: {name: a}\ndata: {password: aGVsbG8=}"},
		{"manifests: secret behind second items", nil, "apiVersion: v1\nkind: List\nitems: [{apiVersion: v1, kind: Secret, metadata: {name: a}, data: {b: aGVsbG8=}}]\nitems: [{apiVersion: v1, kind: Pod, metadata: {name: a}}]"},
		{"manifests: twice in two namespaces", nil, "apiVersion: v1\nkind: Service\nmetadata: {name: a, namespace: x}\n---\napiVersion: v1\nkind: Service\nmetadata: {name: a}"},
		{"manifests: two namespaces", nil, "apiVersion: v1\nkind: Service\nmetadata: {name: a, namespace: x}\n---\napiVersion: v1\nkind: Service\nmetadata: {name: b, namespace: z}"},
		{"manifests: namespace that is no name", nil, "apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: A/b}"},
		{"manifests: name with a slash", nil, "apiVersion: v1\nkind: Pod\nmetadata: {name: ../a}"},
		{"manifests: bad apiVersion", nil, "apiVersion: a/b/c\nkind: Pod\nmetadata: {name: a}"},
		{"manifests: bad kind", nil, "apiVersion: v1\nkind: Pod/x\nmetadata: {name: a}"},
		{"manifests: label as a number", nil, "apiVersion: v1\nkind: Pod\nmetadata: {name: a, labels: {version: 1.0}}"},
		{"manifests: labels as a list", nil, "apiVersion: v1\nkind: Pod\nmetadata: {name: a, labels: [x]}"},
		{"manifests: annotation as a boolean", nil, "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {template: {metadata: {annotations: {x/y: true}}, spec: {containers: [{name: a}]}}}"},
		{"manifests: label of ours", nil, "apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: a}\nspec: {jobTemplate: {spec: {template: {metadata: {labels: {shiplog.dev/version: x}}, spec: {containers: [{name: a}]}}}}}"},
		{"manifests: bomb", nil, bomb()},
		{"manifests: too many", nil, strings.Repeat("---\na: 1\n", maxDocuments+1)},
		{"manifests: bombs in many documents", nil, strings.Repeat("---\na: &a "+strings.Repeat("x", 1000)+"\nb: ["+strings.Repeat("*a,", 100)+"*a]\n", 50)},
	}

	var out strings.Builder

	for _, c := range cases {
		_, err := ParseWorkload("workload", c.score, c.manifests)
		if err == nil {
			t.Errorf("%s: accepted", c.name)

			continue
		}

		fmt.Fprintf(&out, "%s\n\t%s\n", c.name, refusal(t, err))
	}

	golden(t, "workload_refusals.txt", out.String())

	if strings.Contains(out.String(), "aGVsbG8=") {
		t.Error("a refusal shows a secret")
	}
}

func TestParseManifests(t *testing.T) {
	t.Parallel()

	text := "# a comment\r\n--- # first\r\napiVersion: v1\r\nkind: Service\r\nmetadata: {name: a}\r\n---\r\n# nothing here\r\n---\r\n" +
		"apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {x: \"a\\n---\\nb\"}}\n" +
		"- {apiVersion: v1, kind: ConfigMap, metadata: {name: b, namespace: other}}\n" +
		"---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: twice}\ndata: {a: b}\ndata: {c: d}\n" +
		"--- {apiVersion: serving.knative.dev/v1, kind: Service, metadata: {name: a}}\n" +
		"---\napiVersion: v1\nkind: Secret\nmetadata: {name: empty}\n---\n"

	all, err := parseManifests("workload.manifests", text)
	if err != nil {
		t.Fatal(err)
	}

	var got []string
	for _, m := range all {
		got = append(got, m.field+" "+identityOf(m.object))
	}

	golden(t, "manifests.txt", strings.Join(got, "\n")+"\n")
}

func TestFixtureManifests(t *testing.T) {
	t.Parallel()

	files, err := filepath.Glob("testdata/manifests/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no fixtures: %v", err)
	}

	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}

		w, err := ParseWorkload("workload", nil, string(data))
		if err != nil || w.Manifests != string(data) {
			t.Errorf("%s: %v", file, err)
		}
	}
}
