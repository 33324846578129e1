package strategic

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"sigs.k8s.io/kustomize/kyaml/openapi"
	"sigs.k8s.io/kustomize/kyaml/yaml"
)

// directive is the member by which a patch says what to do with its object.
const directive = "$patch"

var (
	errWithoutKey = errors.New("an element of a list lacks the list's key")
	errDirective  = errors.New("a directive is not known")
)

// checkKeys refuses what the library takes silently and wrongly: an element
// without its list's key empties the whole list, and directives other than
// $patch become members of the object.
func checkKeys(object, patch json.RawMessage) error {
	var kind struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
	}
	if err := json.Unmarshal(object, &kind); err != nil {
		return fmt.Errorf("read the kind of the object: %w", err)
	}

	var change any
	if err := json.Unmarshal(patch, &change); err != nil {
		return fmt.Errorf("read the patch: %w", err)
	}

	return checkValue(openapi.SchemaForResourceType(yaml.TypeMeta{APIVersion: kind.APIVersion, Kind: kind.Kind}), change)
}

// checkValue walks the patch beside the schema, which is nil where it knows
// nothing.
func checkValue(schema *openapi.ResourceSchema, value any) error {
	switch v := value.(type) {
	case map[string]any:
		for name, member := range v {
			if strings.HasPrefix(name, "$") && name != directive {
				return fmt.Errorf("%w: %s", errDirective, name)
			}

			var next *openapi.ResourceSchema
			if schema != nil {
				next = schema.Field(name)
			}

			if err := checkValue(next, member); err != nil {
				return err
			}
		}
	case []any:
		return checkList(schema, v)
	}

	return nil
}

func checkList(schema *openapi.ResourceSchema, list []any) error {
	var (
		elements *openapi.ResourceSchema
		keys     []string
	)

	if schema != nil {
		var strategy string
		if strategy, keys = schema.PatchStrategyAndKeyList(); !strings.Contains(strategy, "merge") {
			keys = nil
		}

		elements = schema.Elements()
	}

	for _, e := range list {
		object, ok := e.(map[string]any)

		switch {
		case len(keys) > 0 && !ok, ok && !keyed(object, keys):
			return fmt.Errorf("%w: %s", errWithoutKey, strings.Join(keys, ", "))
		case !ok:
			continue
		}

		if err := checkValue(elements, object); err != nil {
			return err
		}
	}

	return nil
}

// keyed reports whether an element can be found in its list: by its first
// key, the others have defaults. "$patch": "replace" speaks of the whole list.
func keyed(element map[string]any, keys []string) bool {
	if len(keys) == 0 || element[directive] == "replace" {
		return true
	}

	value, given := element[keys[0]]

	return given && value != nil
}
