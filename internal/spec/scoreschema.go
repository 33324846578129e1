package spec

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v5"
	"github.com/score-spec/score-go/schema"

	"github.com/shiplog/shiplog/internal/fault"
)

// scoreSchema is the schema of score.dev/v1b1 as score-go ships it, compiled
// when it is first needed: score-go's own Validate compiles it on every call,
// which takes longer than all the rest of a registration.
var scoreSchema = sync.OnceValues(func() (*jsonschema.Schema, error) { //nolint:gochecknoglobals // a constant once compiled
	compiled, err := jsonschema.CompileString("", schema.ScoreSchemaV1b1)
	if err != nil {
		return nil, fmt.Errorf("compile the Score schema: %w", err)
	}

	return compiled, nil
})

// schemaFault says in one sentence what the schema found first, in the order
// of the paths, and what it would accept.
func schemaFault(field string, invalid *jsonschema.ValidationError, document map[string]any) error {
	leaves := schemaLeaves(nil, invalid)
	leaf := slices.MinFunc(leaves, func(a, b *jsonschema.ValidationError) int {
		return strings.Compare(a.InstanceLocation+"\x00"+a.KeywordLocation, b.InstanceLocation+"\x00"+b.KeywordLocation)
	})

	at, value := locate(field, leaf.InstanceLocation, document)
	object, _ := value.(map[string]any)
	rule := schemaRule(leaf.AbsoluteKeywordLocation)
	properties, _ := rule["properties"].(map[string]any)

	switch leaf.KeywordLocation[strings.LastIndexByte(leaf.KeywordLocation, '/')+1:] {
	case "required":
		required, _ := rule["required"].([]any)
		for _, r := range required {
			name, _ := r.(string)
			if _, given := object[name]; !given {
				return fault.Invalid(child(at, name), "is required%s", described(properties[name]))
			}
		}
	case "additionalProperties":
		for _, name := range sortedKeys(object) {
			if _, known := properties[name]; !known {
				return fault.Invalid(child(at, name), "is not known to Score; accepted here are %s", strings.Join(sortedKeys(properties), ", "))
			}
		}
	case "oneOf":
		return fault.Invalid(at, "does not fit%s", described(rule))
	}

	if strings.Contains(leaf.KeywordLocation, "/propertyNames/") {
		return fault.Invalid(at, "has a name that is not accepted (%s)%s", leaf.Message, described(schemaRule(parentOf(leaf.AbsoluteKeywordLocation))))
	}

	return fault.Invalid(at, "is not accepted (%s)%s", leaf.Message, described(rule))
}

// schemaLeaves collects the innermost errors; the branches of a oneOf are one.
func schemaLeaves(leaves []*jsonschema.ValidationError, e *jsonschema.ValidationError) []*jsonschema.ValidationError {
	if len(e.Causes) == 0 || strings.HasSuffix(e.KeywordLocation, "/oneOf") {
		return append(leaves, e)
	}

	for _, cause := range e.Causes {
		leaves = schemaLeaves(leaves, cause)
	}

	return leaves
}

// locate turns a JSON pointer into a field path, and gives the value there.
func locate(field, pointer string, document any) (string, any) {
	value := document

	for _, token := range pointerTokens(pointer) {
		switch v := value.(type) {
		case map[string]any:
			field, value = child(field, token), v[token]
		case []any:
			i, err := strconv.Atoi(token)
			if err != nil || i < 0 || i >= len(v) {
				return field, nil
			}

			field, value = element(field, i), v[i]
		default:
			return field, nil
		}
	}

	return field, value
}

func pointerTokens(pointer string) []string {
	if pointer == "" {
		return nil
	}

	tokens := strings.Split(strings.TrimPrefix(pointer, "/"), "/")
	for i, token := range tokens {
		tokens[i] = strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
	}

	return tokens
}

func parentOf(location string) string {
	if i := strings.LastIndexByte(location, '/'); i >= 0 {
		return location[:i]
	}

	return location
}

// schemaRule gives the part of the Score schema that holds the keyword.
func schemaRule(location string) map[string]any {
	_, pointer, _ := strings.Cut(parentOf(location), "#")

	var root any
	if err := json.Unmarshal([]byte(schema.ScoreSchemaV1b1), &root); err != nil {
		return nil
	}

	for _, token := range pointerTokens(pointer) {
		object, ok := root.(map[string]any)
		if !ok {
			return nil
		}

		root = object[token]
	}

	rule, _ := root.(map[string]any)

	return rule
}

// described gives the schema's own words for what is accepted.
func described(rule any) string {
	object, _ := rule.(map[string]any)

	text, _ := object["description"].(string)
	if text == "" {
		return ""
	}

	return "; accepted: " + strings.TrimSuffix(text, ".")
}
