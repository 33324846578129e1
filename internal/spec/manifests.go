package spec

import (
	"bytes"
	"strings"

	"github.com/shiplog/shiplog/internal/fault"
)

// maxDocuments bounds the objects of a workload.
const maxDocuments = 500

// lastApplied is where kubectl leaves a copy of the whole object.
const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

// manifest is one Kubernetes object and where it stands in the text.
type manifest struct {
	field  string
	object map[string]any
}

// parseManifests reads a multi-document YAML text, lists flattened, and checks
// the form of every object.
func parseManifests(field, text string) ([]manifest, error) {
	if err := checkText(field, []byte(text)); err != nil {
		return nil, err
	}

	documents := splitDocuments([]byte(text))
	if len(documents) > maxDocuments {
		return nil, fault.Invalid(field, "has %d documents; accepted are at most %d", len(documents), maxDocuments)
	}

	var all []manifest

	budget := maxExpandedBytes

	for i, document := range documents {
		at := element(field, i)

		data, err := manifestJSON(at, document, &budget)
		if err != nil {
			return nil, err
		}

		value, err := decodeChecked(at, data, false)
		if err != nil {
			return nil, err
		}

		if value == nil {
			continue // only comments
		}

		if all, err = flatten(all, at, value, 0); err != nil {
			return nil, err
		}
	}

	if len(all) == 0 {
		return nil, fault.Invalid(field, "holds no object; accepted is YAML with Kubernetes objects; leave it out if there are none")
	}

	seen := map[string]string{}

	for _, m := range all {
		if err := checkObject(m); err != nil {
			return nil, err
		}

		key := identityOf(m.object)
		if first, twice := seen[key]; twice {
			return nil, fault.Invalid(m.field, "is the same object as %s: %s; accepted is every kind and name once, because all go to one namespace", first, shorten(key))
		}

		seen[key] = m.field
	}

	return all, oneNamespace(all)
}

// oneNamespace refuses manifests that no target could take: all objects of a
// version go to the namespace of the target.
func oneNamespace(all []manifest) error {
	first := ""

	for _, m := range all {
		namespace := textOf(mapOf(m.object, "metadata"), "namespace")

		switch {
		case namespace == "" || namespace == first:
		case first == "":
			first = namespace
		default:
			return fault.Invalid(child(child(m.field, "metadata"), "namespace"), "is %q, and another object is in %q; accepted is one namespace, that of the target, or none", shorten(namespace), shorten(first))
		}
	}

	return nil
}

// splitDocuments cuts at the lines that begin with the document marker. Such a
// line is a marker wherever it stands: YAML forbids it inside a document. What
// follows the marker on its line belongs to the document. Chunks of blanks and
// comments are left out.
func splitDocuments(text []byte) [][]byte {
	var (
		documents [][]byte
		chunk     []byte
		empty     = true
	)

	flush := func() {
		if !empty {
			documents = append(documents, chunk)
		}

		chunk, empty = nil, true
	}

	for line := range bytes.Lines(text) {
		content := bytes.TrimSpace(line)

		if rest, ok := bytes.CutPrefix(line, []byte("---")); ok && (len(bytes.TrimSpace(rest)) == 0 || rest[0] == ' ' || rest[0] == '\t') {
			flush()

			content = bytes.TrimSpace(rest)
		}

		if len(content) > 0 && content[0] != '#' {
			empty = false
		}

		chunk = append(chunk, line...)
	}

	flush()

	return documents
}

// flatten appends the object, or the items of a list of objects.
func flatten(all []manifest, at string, value any, depth int) ([]manifest, error) {
	object, ok := value.(map[string]any)
	if !ok {
		return nil, fault.Invalid(at, "is %s; accepted is a Kubernetes object with apiVersion, kind and metadata.name", typeName(value))
	}

	kind, _ := object["kind"].(string)

	raw, isList := object["items"]
	if !isList || !strings.HasSuffix(kind, "List") {
		if len(all) == maxDocuments {
			return nil, fault.Invalid(at, "is one object too many; accepted are at most %d", maxDocuments)
		}

		return append(all, manifest{field: at, object: object}), nil
	}

	items, ok := raw.([]any)
	if !ok || depth > 0 {
		return nil, fault.Invalid(child(at, "items"), "is not accepted; accepted is a list of objects that are no lists themselves")
	}

	var err error
	for i, item := range items {
		if all, err = flatten(all, element(child(at, "items"), i), item, depth+1); err != nil {
			return nil, err
		}
	}

	return all, nil
}

func checkObject(m manifest) error {
	for _, name := range []string{"apiVersion", "kind"} {
		if s, ok := m.object[name].(string); !ok || s == "" {
			return fault.Invalid(child(m.field, name), "is required; accepted is a string, as every Kubernetes object has it")
		}
	}

	metadata, ok := m.object["metadata"].(map[string]any)
	if !ok {
		return fault.Invalid(child(m.field, "metadata"), "is required; accepted is an object with a name")
	}

	if s, ok := metadata["name"].(string); !ok || s == "" {
		return fault.Invalid(child(child(m.field, "metadata"), "name"), "is required; accepted is a name (generateName is not: an object must be the same one every time)")
	}

	if ns, given := metadata["namespace"]; given {
		if s, ok := ns.(string); !ok || s == "" {
			return fault.Invalid(child(child(m.field, "metadata"), "namespace"), "is %s; accepted is a name, or nothing", typeName(ns))
		}
	}

	if m.object["kind"] == "Secret" {
		if err := checkSecret(m, metadata); err != nil {
			return err
		}
	}

	return checkForm(m.field, m.object)
}

// checkSecret refuses secrets with content: what is registered is kept for
// ever and shown to everybody who may read the version.
func checkSecret(m manifest, metadata map[string]any) error {
	for _, name := range []string{"data", "stringData"} {
		if hasContent(m.object[name]) {
			return secretRefused(child(m.field, name))
		}
	}

	annotations, _ := metadata["annotations"].(map[string]any)
	if hasContent(annotations[lastApplied]) {
		return secretRefused(child(child(child(m.field, "metadata"), "annotations"), lastApplied))
	}

	return nil
}

func hasContent(v any) bool {
	switch v := v.(type) {
	case nil:
		return false
	case map[string]any:
		return len(v) > 0
	case string:
		return v != ""
	default:
		return true
	}
}

func secretRefused(field string) error {
	return fault.Invalid(field, "is a Secret with its content, and Shiplog never stores secrets; accepted are a secretKeyRef to a Secret that is already in the cluster, an ExternalSecret (External Secrets) or a SealedSecret (Sealed Secrets)")
}

// identityOf is what makes two objects the same one in a namespace: group, kind
// and name, whatever the version of the group.
func identityOf(object map[string]any) string {
	apiVersion, _ := object["apiVersion"].(string)
	kind, _ := object["kind"].(string)
	metadata, _ := object["metadata"].(map[string]any)
	name, _ := metadata["name"].(string)

	if group, _, grouped := strings.Cut(apiVersion, "/"); grouped {
		kind += "." + group
	}

	return kind + " " + name
}
