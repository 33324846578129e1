package diff_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/shiplog/shiplog/internal/spec"
	"github.com/shiplog/shiplog/internal/spec/diff"
)

// histories are the folders with released manifests: the small one of ours,
// and Online Boutique (Google LLC, Apache-2.0) where it is at hand, in the
// folder that SHIPLOG_TEST_DATA names or beside the repository.
func histories(t testing.TB) map[string]string {
	t.Helper()

	found := map[string]string{"shop": filepath.Join("..", "..", "..", "test", "memory", "testdata", "shop")}
	beside := filepath.Join("..", "..", "..", "..", "shared", "data", "online-boutique")

	if given, ok := os.LookupEnv("SHIPLOG_TEST_DATA"); ok {
		found[filepath.Base(given)] = given
	} else if _, err := os.Stat(beside); err == nil {
		found[filepath.Base(beside)] = beside
	} else if !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}

	return found
}

// release is a released file.
type release struct{ tag, text string }

func releases(t testing.TB, dir string) []release {
	t.Helper()

	raw, err := os.ReadFile(filepath.Join(dir, "releases.json"))
	if err != nil {
		t.Fatal(err)
	}

	var tags []struct{ Tag string }
	if err := json.Unmarshal(raw, &tags); err != nil || len(tags) < 2 {
		t.Fatalf("no releases: %v", err)
	}

	var all []release

	for _, one := range tags {
		text, err := os.ReadFile(filepath.Join(dir, one.Tag+".yaml"))
		if err != nil {
			t.Fatal(err)
		}

		// v0.2.2 was released with images that are no references.
		if !bytes.Contains(text, []byte("/*:")) {
			all = append(all, release{one.Tag, string(text)})
		}
	}

	return all
}

// documents reads the objects of a file with a YAML reader alone.
func documents(t testing.TB, text string) []map[string]any {
	t.Helper()

	var all []map[string]any

	for decoder := yaml.NewDecoder(strings.NewReader(text)); ; {
		var node yaml.Node

		err := decoder.Decode(&node)
		if errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}

		if object, ok := plain(t, &node).(map[string]any); ok {
			all = append(all, object)
		}
	}
}

// plain gives the value of a node. Of a member that is there twice the last
// counts, as for kubectl: v0.1.4 was released with two lists of variables.
func plain(t testing.TB, node *yaml.Node) any {
	t.Helper()

	switch node.Kind {
	case yaml.DocumentNode:
		return plain(t, node.Content[0])
	case yaml.ScalarNode, yaml.AliasNode:
	case yaml.MappingNode:
		object := map[string]any{}
		for i := 0; i < len(node.Content); i += 2 {
			object[node.Content[i].Value] = plain(t, node.Content[i+1])
		}

		return object
	case yaml.SequenceNode:
		list := make([]any, len(node.Content))
		for i, n := range node.Content {
			list[i] = plain(t, n)
		}

		return list
	}

	var value any
	if err := node.Decode(&value); err != nil {
		t.Fatal(err)
	}

	return value
}

// services splits a release: an object belongs to the service whose name its
// own begins with, the one of a Deployment.
func services(t testing.TB, text string) map[string][]map[string]any {
	t.Helper()

	all := documents(t, text)
	byName := map[string][]map[string]any{}

	for _, object := range all {
		if object["kind"] == "Deployment" {
			byName[dig(object, "metadata", "name").(string)] = nil
		}
	}

	for _, object := range all {
		name := dig(object, "metadata", "name").(string)
		owner := "rest"

		for service := range byName {
			if strings.HasPrefix(name, service) && (owner == "rest" || len(service) > len(owner)) {
				owner = service
			}
		}

		byName[owner] = append(byName[owner], object)
	}

	return byName
}

func dig(value any, path ...string) any {
	for _, name := range path {
		object, _ := value.(map[string]any)
		value = object[name]
	}

	return value
}

func side(t testing.TB, name, tag, manifests string) diff.Side {
	t.Helper()

	if manifests == "" {
		return diff.Side{}
	}

	workload, err := spec.ParseWorkload("workload", nil, manifests)
	if err != nil {
		t.Fatalf("%s: %v", tag, err)
	}

	in := spec.RenderInput{Target: spec.TargetKubernetes, Service: name, Workload: workload}

	open, err := spec.UnpinnedImages(in)
	if err != nil {
		t.Fatalf("%s: %v", tag, err)
	}

	digests := map[string]string{}
	for _, reference := range open {
		digests[reference] = fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(reference)))
	}

	snapshot, err := spec.Render(in.Pin(digests))
	if err != nil {
		t.Fatalf("%s: %v", tag, err)
	}

	return diff.Side{Version: tag, Snapshot: snapshot}
}

// manifestsOf writes the objects of a service as one text.
func manifestsOf(t testing.TB, objects []map[string]any) string {
	t.Helper()

	var out strings.Builder

	for _, object := range objects {
		text, err := yaml.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}

		out.WriteString("---\n" + string(text))
	}

	return out.String()
}

// facts is what the file says of a service, written flat: "image Deployment/x
// container" → the image, and so on.
func facts(objects []map[string]any) map[string]string {
	all := map[string]string{}

	for _, object := range objects {
		id := fmt.Sprintf("%v/%v/%v", object["apiVersion"], object["kind"], dig(object, "metadata", "name"))
		all["object "+id] = "there"

		pod, _ := dig(object, "spec", "template", "spec").(map[string]any)
		for _, list := range []string{"containers", "initContainers"} {
			containers, _ := pod[list].([]any)
			for _, c := range containers {
				factsOf(all, id+" "+dig(c, "name").(string), c)
			}
		}
	}

	return all
}

func factsOf(all map[string]string, where string, container any) {
	image, _ := dig(container, "image").(string)
	all["image "+where], _, _ = strings.Cut(image, "@")

	variables, _ := dig(container, "env").([]any)
	for _, v := range variables {
		all["variable "+where+" "+dig(v, "name").(string)] = fmt.Sprint(dig(v, "value"), dig(v, "valueFrom"))
	}

	for _, of := range []string{"limits", "requests"} {
		amounts, _ := dig(container, "resources", of).(map[string]any)
		for name, amount := range amounts {
			all["resource "+where+" "+of+"."+name] = fmt.Sprint(amount)
		}
	}
}

// differing gives what two files say differently of objects and containers
// that both have; of the others that they came or went.
func differing(before, after map[string]string) []string {
	var all []string

	have := func(facts map[string]string, key string) bool {
		what, rest, _ := strings.Cut(key, " ")
		parts := strings.Split(rest, " ")

		if what == "object" {
			return true
		}

		_, image := facts["image "+parts[0]+" "+parts[1]]

		return image && facts["object "+parts[0]] != ""
	}

	keys := slices.AppendSeq(slices.Collect(maps.Keys(before)), maps.Keys(after))
	slices.Sort(keys)

	for _, key := range slices.Compact(keys) {
		old, was := before[key]
		now, is := after[key]

		if old == now && was == is || !have(before, key) || !have(after, key) {
			continue
		}

		all = append(all, key)
	}

	return all
}

// told gives the same of what our diff says.
func told(t testing.TB, d *diff.Diff, after diff.Side) []string {
	t.Helper()

	unescape := strings.NewReplacer("~1", "/", "~0", "~")

	var all []string

	for _, c := range d.Changes {
		parts := strings.Split(strings.TrimPrefix(c.Path, "/"), "/")
		for i, p := range parts {
			parts[i] = unescape.Replace(p)
		}

		if parts[0] != "objects" {
			continue
		}

		if len(parts) == 2 {
			all = append(all, "object "+parts[1])

			continue
		}

		list := slices.IndexFunc(parts, func(p string) bool { return p == "containers" || p == "initContainers" })
		if list < 0 || len(parts) < list+3 {
			continue
		}

		container := parts[list+1]
		if parts[list] == "initContainers" {
			container = nameAt(t, after, parts[1], container)
		}

		where := parts[1] + " " + container

		switch rest := parts[list+2:]; rest[0] {
		case "image":
			all = append(all, "image "+where)
		case "env":
			for _, name := range below(rest[1:], c) {
				all = append(all, "variable "+where+" "+name)
			}
		case "resources":
			for _, name := range amounts(rest[1:], c) {
				all = append(all, "resource "+where+" "+name)
			}
		}

		wanted := map[string]diff.Category{"image": diff.Image, "env": diff.Config, "resources": diff.Resource}
		if want := wanted[parts[list+2]]; want != "" && c.Category != want {
			t.Errorf("%s is %s, want %s", c.Path, c.Category, want)
		}
	}

	slices.Sort(all)

	return slices.Compact(all)
}

func nameAt(t testing.TB, s diff.Side, key, place string) string {
	t.Helper()

	var object any
	if err := json.Unmarshal(s.Snapshot.Objects[key], &object); err != nil {
		t.Fatal(err)
	}

	var i int
	if _, err := fmt.Sscan(place, &i); err != nil {
		t.Fatal(err)
	}

	return dig(dig(object, "spec", "template", "spec", "initContainers").([]any)[i], "name").(string)
}

// below gives the names of the variables that a change is about.
func below(rest []string, c diff.Change) []string {
	if len(rest) > 0 {
		return rest[:1]
	}

	var all []string

	for _, value := range []json.RawMessage{c.Before, c.After} {
		var variables map[string]any
		if json.Unmarshal(value, &variables) == nil {
			all = slices.AppendSeq(all, maps.Keys(variables))
		}
	}

	return all
}

// amounts gives the amounts that a change is about: "limits.cpu".
func amounts(rest []string, c diff.Change) []string {
	if len(rest) > 1 {
		return []string{rest[0] + "." + rest[1]}
	}

	var all []string

	for _, value := range []json.RawMessage{c.Before, c.After} {
		var content map[string]any
		if json.Unmarshal(value, &content) != nil {
			continue
		}

		if len(rest) == 1 {
			content = map[string]any{rest[0]: content}
		}

		for of, amounts := range content {
			for name := range amounts.(map[string]any) {
				all = append(all, of+"."+name)
			}
		}
	}

	return all
}

// TestReleases compares every two neighbouring releases, service by service,
// with what a reader of the files that knows nothing of snapshots says.
func TestReleases(t *testing.T) {
	t.Parallel()

	for name, dir := range histories(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			all := releases(t, dir)
			compared, found := 0, 0

			for i, older := range all[:len(all)-1] {
				newer := all[i+1]
				before, after := services(t, older.text), services(t, newer.text)

				keys := slices.AppendSeq(slices.Collect(maps.Keys(before)), maps.Keys(after))
				slices.Sort(keys)

				for _, service := range slices.Compact(keys) {
					from := side(t, service, older.tag, manifestsOf(t, before[service]))
					to := side(t, service, newer.tag, manifestsOf(t, after[service]))

					d, err := diff.Compare(from, to, nil)
					if err != nil {
						t.Fatal(err)
					}

					got, want := told(t, d, to), differing(facts(before[service]), facts(after[service]))
					if !slices.Equal(got, want) {
						t.Errorf("%s from %s to %s:\nwe say       %q\nthe files say %q", service, older.tag, newer.tag, got, want)
					}

					compared++
					found += len(want)
				}
			}

			t.Logf("%d diffs of services, %d differences", compared, found)

			if found == 0 {
				t.Error("nothing differs: the test compares nothing")
			}
		})
	}
}

// BenchmarkLargest compares the two releases that are furthest apart, all
// their objects as one service.
func BenchmarkLargest(b *testing.B) {
	for name, dir := range histories(b) {
		b.Run(name, func(b *testing.B) {
			all := releases(b, dir)
			from, to := side(b, "all", "old", all[0].text), side(b, "all", "new", all[len(all)-1].text)

			b.ReportAllocs()

			for b.Loop() {
				if _, err := diff.Compare(from, to, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
