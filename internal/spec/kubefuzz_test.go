package spec

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// pinned gives the input with a digest for every image that lacks one, as
// planning adds those that registries know.
func pinned(in RenderInput) (RenderInput, error) {
	open, err := UnpinnedImages(in)
	if err != nil {
		return in, err
	}

	digests := map[string]string{}

	for _, reference := range open {
		sum := sha256.Sum256([]byte(reference))
		digests[reference] = "sha256:" + hex.EncodeToString(sum[:])
	}

	return in.Pin(digests), nil
}

// FuzzKubernetes: rendering and placing never panic and refuse with
// INVALID_INPUT; what they make, they make again byte for byte, also from a
// snapshot that was stored; no container is without a digest, and no Secret
// has content.
func FuzzKubernetes(f *testing.F) {
	files, err := os.ReadDir("testdata/kubernetes")
	if err != nil {
		f.Fatal(err)
	}

	for _, file := range files {
		archive, err := txtar.ParseFile("testdata/kubernetes/" + file.Name())
		if err != nil {
			f.Fatal(err)
		}

		parts := map[string]string{}
		for _, part := range archive.Files {
			parts[part.Name] = string(part.Data)
		}

		f.Add(parts["score"], parts["manifests"], parts["configuration"])
	}

	f.Add("", bomb(), "")
	f.Add("", "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: {}, volumes: [[]], initContainers: [null]}", `{"variables":{"A":"$("},"limits":{"a":{"cpu":"1"}}}`)

	f.Fuzz(func(t *testing.T, document, manifests, configuration string) {
		c := kubernetesCase{Score: document, Manifests: manifests, Configuration: configuration}

		in, err := c.input()
		if err == nil {
			in, err = pinned(in)
		}

		if err != nil {
			refused(t, err)

			return
		}

		first, err := Render(in)
		if err != nil {
			refused(t, err)

			return
		}

		second, err := Render(in)
		if err != nil || indent(t, first) != indent(t, second) {
			t.Fatalf("rendering again gives other bytes: %v", err)
		}

		binding := Binding{Namespace: "n", Environment: "e", Version: "v+1", Host: "h.example", Allow: Permissions{Namespaces: true, ClusterScoped: true, RBAC: true}}
		samePlaces(t, first, stored(t, second), binding)

		placed, err := Place(first, binding)
		if err != nil {
			refused(t, err)

			return
		}

		for _, p := range placed {
			checkPlaced(t, p)
		}
	})
}

// checkPlaced checks what holds for every object in its place.
func checkPlaced(t *testing.T, p Placed) {
	t.Helper()

	var object map[string]any
	if err := json.Unmarshal(p.Object, &object); err != nil {
		t.Fatal(err)
	}

	eachImage(p.Key, object, func(at, written string, _ func(string)) {
		if !strings.Contains(written, "@sha256:") {
			t.Errorf("%s is %s", at, written)
		}
	})

	if textOf(object, "kind") == "Secret" && (hasContent(object["data"]) || hasContent(object["stringData"])) {
		t.Errorf("%s is a Secret with content", p.Key)
	}

	holders := []map[string]any{object}
	if template, ok := podTemplateOf(object); ok {
		holders = append(holders, template.object)
	}

	for _, holder := range holders {
		labels := mapOf(mapOf(holder, "metadata"), "labels")
		for _, name := range []string{LabelService, LabelEnvironment, LabelVersion} {
			if value := textOf(labels, name); !labelValue.MatchString(value) {
				t.Errorf("%s has the label %s=%q", p.Key, name, value)
			}
		}
	}
}
