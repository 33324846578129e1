package diff

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"pgregory.net/rapid"

	"github.com/shiplog/shiplog/internal/spec"
)

// Few names, so that two documents have much in common, with those that
// pointers escape. Not the empty one: the library takes it for the document
// itself (FuzzDiff and TestApply have it).
var memberNames = []string{"a", "b", "c", "a/b", "~1", "m~n", "é"}

func value(depth int) *rapid.Generator[any] {
	return rapid.Custom(func(t *rapid.T) any {
		kind := rapid.IntRange(0, 7).Draw(t, "kind")
		if depth == 0 {
			kind %= 5
		}

		switch kind {
		case 0:
			return nil
		case 1:
			return rapid.Bool().Draw(t, "bool")
		case 2:
			return float64(rapid.IntRange(-3, 3).Draw(t, "number")) / 2
		case 3, 4:
			return rapid.SampledFrom([]string{"", "x", "y", "<&>", "ü"}).Draw(t, "text")
		case 5:
			return rapid.SliceOfN(value(depth-1), 0, 3).Draw(t, "list")
		default:
			return object(depth-1).Draw(t, "object")
		}
	})
}

func object(depth int) *rapid.Generator[any] {
	return rapid.Custom(func(t *rapid.T) any {
		return any(rapid.MapOfN(rapid.SampledFrom(memberNames), value(depth), 0, 4).Draw(t, "members"))
	})
}

// edited gives the document with some of its values changed.
func edited(t *rapid.T, document any, label string) any {
	object, ok := document.(map[string]any)
	if !ok || len(object) == 0 {
		return value(2).Draw(t, label)
	}

	changed := maps.Clone(object)

	for range rapid.IntRange(0, 3).Draw(t, label+" edits") {
		name := rapid.SampledFrom(slices.Sorted(maps.Keys(object))).Draw(t, label+" name")

		switch rapid.IntRange(0, 4).Draw(t, label+" edit") {
		case 0:
			delete(changed, name)
		case 1:
			changed[rapid.SampledFrom(memberNames).Draw(t, label+" new")] = value(2).Draw(t, label+" value")
		default:
			changed[name] = edited(t, object[name], label)
		}
	}

	return changed
}

// snapshot gives a snapshot as releases have them: a Deployment with its
// Service, and a configuration.
func snapshot(t *rapid.T, label string) *spec.Snapshot {
	draw := func(name string, from ...string) string { return rapid.SampledFrom(from).Draw(t, label+" "+name) }

	env := []any{}
	for _, name := range []string{"A", "B", "PASSWORD"} {
		switch draw(name, "", "1", "2", "secret") {
		case "1":
			env = append(env, map[string]any{"name": name, "value": "1"})
		case "2":
			env = append(env, map[string]any{"name": name, "value": draw("reference", "2", "$(A)")})
		case "secret":
			env = append(env, map[string]any{"name": name, "valueFrom": map[string]any{"secretKeyRef": map[string]any{"name": draw("secret", "s", "t"), "key": "k"}}})
		}
	}

	containers := []any{}
	for _, name := range []string{"main", "proxy"}[:rapid.IntRange(1, 2).Draw(t, label+" containers")] {
		containers = append(containers, map[string]any{
			"name": name, "image": "example.com/" + name + "@sha256:" + draw("digest "+name, "aa", "bb"), "env": env,
			"ports": []any{map[string]any{"containerPort": rapid.IntRange(1, 3).Draw(t, label+" port")}},
		})
	}

	slices.SortFunc(containers, func(any, any) int { return rapid.IntRange(-1, 1).Draw(t, label+" order") })

	template := map[string]any{"containers": containers}
	if draw("init", "", "init") != "" {
		template["initContainers"] = []any{map[string]any{"name": draw("init name", "i", "j"), "image": draw("init image", "x", "y")}}
	}

	objects := map[string]json.RawMessage{
		"apps/v1/Deployment/s": encode(map[string]any{
			"apiVersion": "apps/v1", "kind": "Deployment", "metadata": map[string]any{"name": "s"},
			"spec": map[string]any{"replicas": rapid.IntRange(0, 2).Draw(t, label+" replicas"), "template": map[string]any{"spec": template}},
		}),
	}
	if draw("service", "", "service") != "" {
		objects["v1/Service/s"] = encode(map[string]any{"apiVersion": "v1", "kind": "Service", "metadata": map[string]any{"name": "s"}})
	}

	s := &spec.Snapshot{Renderer: "1", Target: spec.TargetKubernetes, Objects: objects, Images: map[string]spec.Image{"main": {Reference: draw("image", "x:1", "x:2")}}}
	s.Workload.Manifests = draw("manifests", "", "x", "y")
	s.Configuration = configuration(t, label)

	return s
}

func configuration(t *rapid.T, label string) (c spec.Configuration) {
	for _, name := range []string{"A", "B/C", "PASSWORD"} {
		switch n := rapid.IntRange(0, 3).Draw(t, label+" variable"); n {
		case 0:
		case 1:
			c = spec.MergeConfiguration(c, spec.Configuration{Variables: map[string]*string{name: nil}})
		default:
			c = spec.MergeConfiguration(c, spec.Configuration{Variables: map[string]*string{name: new(strconv.Itoa(n))}})
		}
	}

	if n := rapid.IntRange(-1, 2).Draw(t, label+" wanted"); n >= 0 {
		c.Replicas = &n
	}

	for i := range rapid.IntRange(0, 2).Draw(t, label+" patches") {
		c.Patches = append(c.Patches, spec.ObjectPatch{Object: "v1/Service/s", Merge: fmt.Appendf(nil, `{"spec":{"x":%d}}`, i+rapid.IntRange(0, 1).Draw(t, label+" patch"))})
	}

	if rapid.Bool().Draw(t, label+" resource") {
		v := spec.ResourceValue{Value: "v"}
		if rapid.Bool().Draw(t, label+" secret") {
			v = spec.ResourceValue{SecretRef: &spec.SecretReference{Name: "s", Key: "k"}}
		}

		c.Resources = map[string]map[string]spec.ResourceValue{"db": {"password": v}}
	}

	return c
}
