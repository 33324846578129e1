package spec

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	jsonpatch "github.com/evanphx/json-patch/v5"

	"github.com/shiplog/shiplog/internal/fault"
)

// maxObjectBytes bounds a rendered object, so that copying operations cannot
// blow it up.
const maxObjectBytes = 1 << 20

// operationMembers gives the members of an RFC 6902 operation beside op, nil
// for what is none.
func operationMembers(op string) []string {
	switch op {
	case "add", "replace", "test":
		return []string{"path", "value"}
	case "remove":
		return []string{"path"}
	case "move", "copy":
		return []string{"from", "path"}
	default:
		return nil
	}
}

// checkOperations checks the form of a list of RFC 6902 operations.
func checkOperations(field string, value any) error {
	list, ok := value.([]any)
	if !ok || len(list) == 0 || len(list) > maxOperations {
		return fault.Invalid(field, "is not a list of 1 to %d RFC 6902 operations", maxOperations)
	}

	for i, v := range list {
		if err := checkOperation(element(field, i), v); err != nil {
			return err
		}
	}

	return nil
}

func checkOperation(field string, value any) error {
	object, ok := value.(map[string]any)
	if !ok {
		return fault.Invalid(field, "is %s; accepted is an RFC 6902 operation", typeName(value))
	}

	op, _ := object["op"].(string)

	wanted := operationMembers(op)
	if wanted == nil {
		return fault.Invalid(child(field, "op"), "is not an operation; accepted are add, replace, remove, move, copy and test")
	}

	for _, name := range wanted {
		v, given := object[name]
		if !given {
			return fault.Invalid(child(field, name), "is required for %s", op)
		}

		if name != "value" && !isPointer(v) {
			return fault.Invalid(child(field, name), "is not a JSON pointer; accepted is a path such as \"/replicas\"")
		}
	}

	for _, name := range sortedKeys(object) {
		if name != "op" && !slices.Contains(wanted, name) {
			return fault.Invalid(child(field, name), "is not known for %s; accepted are op, %s", op, strings.Join(wanted, ", "))
		}
	}

	return nil
}

// isPointer reports whether v is a JSON pointer (RFC 6901).
func isPointer(v any) bool {
	s, ok := v.(string)
	if !ok || s != "" && s[0] != '/' {
		return false
	}

	for i := range len(s) {
		if s[i] == '~' && (i+1 == len(s) || s[i+1] != '0' && s[i+1] != '1') {
			return false
		}
	}

	return true
}

// patching is what the kinds of targets do differently.
type patching struct {
	// merge merges a patch into an object; nil deletes it. field is where
	// the merge stands.
	merge func(field string, object json.RawMessage, patch ObjectPatch) (json.RawMessage, error)
	// elsewhere says of a patch that finds nothing that it means targets of
	// another kind. nil is never.
	elsewhere func(ObjectPatch) bool
}

// applyPatches changes the rendered objects in the order of the patches. A
// patch with a name must find its object; one for every name ("Process/*") may
// find none, so that an environment's patch does not refuse other workloads.
func applyPatches(objects map[string]json.RawMessage, patches []ObjectPatch, by patching) error {
	for i, patch := range patches {
		field := element("configuration.patches", i)
		found := false

		for _, key := range sortedKeys(objects) {
			if !patchMatches(patch.Object, key) {
				continue
			}

			found = true

			patched, err := applyPatch(field, objects[key], patch, by)

			switch {
			case err != nil:
				return err
			case patched == nil:
				delete(objects, key)
			default:
				objects[key] = patched
			}
		}

		if !found && !strings.HasSuffix(patch.Object, "/*") && (by.elsewhere == nil || !by.elsewhere(patch)) {
			return fault.Invalid(child(field, "object"), "names %q, which is not rendered; accepted are %s", shorten(patch.Object), listed(sortedKeys(objects)))
		}
	}

	return nil
}

func patchMatches(pattern, key string) bool {
	kind, every := strings.CutSuffix(pattern, "*")
	if !every {
		return pattern == key
	}

	name, ok := strings.CutPrefix(key, kind)

	return ok && !strings.Contains(name, "/")
}

// mergePlain merges as RFC 7386 does.
func mergePlain(field string, object json.RawMessage, patch ObjectPatch) (json.RawMessage, error) {
	merged, err := jsonpatch.MergePatch(object, patch.Merge)
	if err != nil || len(merged) > maxObjectBytes {
		return nil, fault.Invalid(field, "cannot be merged into %s", shorten(patch.Object))
	}

	return merged, nil
}

func applyPatch(field string, object json.RawMessage, patch ObjectPatch, by patching) (json.RawMessage, error) {
	if patch.Merge != nil {
		return by.merge(child(field, "merge"), object, patch)
	}

	operations, err := jsonpatch.DecodePatch(patch.Operations)
	if err != nil {
		return nil, fault.Invalid(child(field, "operations"), "is not a list of RFC 6902 operations")
	}

	options := jsonpatch.NewApplyOptions()
	options.SupportNegativeIndices = false
	options.EscapeHTML = false

	for i := range operations {
		at := element(child(field, "operations"), i)

		changed, err := operations[i:i+1].ApplyWithOptions(object, options)
		if err != nil {
			return nil, operationFault(at, operations[i], patch.Object, err)
		}

		if len(changed) > maxObjectBytes {
			return nil, fault.Invalid(at, "makes %s larger than %d KiB", shorten(patch.Object), maxObjectBytes>>10)
		}

		object = changed
	}

	return object, nil
}

// operationFault names the operation that does not apply, never the value
// that it found.
func operationFault(field string, op jsonpatch.Operation, object string, cause error) error {
	path, err := op.Path()
	if err != nil {
		return fmt.Errorf("read the path of %s: %w", field, err)
	}

	reason := "does not apply"

	switch {
	case errors.Is(cause, jsonpatch.ErrTestFailed):
		reason = "finds another value than the tested one"
	case errors.Is(cause, jsonpatch.ErrMissing):
		reason = "finds nothing at its path"
	case errors.Is(cause, jsonpatch.ErrInvalidIndex):
		reason = "has an index outside the list"
	}

	return fault.Invalid(field, "%s %s %s (in %s)", op.Kind(), shorten(path), reason, shorten(object))
}
