package spec

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v5"
	"github.com/score-spec/score-go/loader"
	"github.com/score-spec/score-go/schema"
	score "github.com/score-spec/score-go/types"

	"github.com/shiplog/shiplog/internal/fault"
)

// startupAnnotation sets how long an instance may take to become ready.
const startupAnnotation = "shiplog.dev/startup-timeout"

// Bounds of the start-up time.
const (
	// defaultStartup is generous for a server and short for a person who waits.
	defaultStartup = 30 * time.Second
	minStartup     = time.Second
	maxStartup     = 10 * time.Minute
)

// parseScore checks a Score document and gives it as canonical JSON.
func parseScore(field string, raw any) (json.RawMessage, error) {
	value, err := readDocument(field, raw)
	if err != nil {
		return nil, err
	}

	document, ok := value.(map[string]any)
	if !ok {
		return nil, fault.Invalid(field, "is %s; accepted is a Score document (score.dev/v1b1)", typeName(value))
	}

	data, err := canonicalJSON(document)
	if err != nil {
		return nil, err
	}

	// Read what is stored: numbers have their one canonical form there.
	if value, err = decodeChecked(field, data, true); err != nil {
		return nil, err
	}

	document, _ = value.(map[string]any)

	if err := schema.Validate(document); err != nil {
		var invalid *jsonschema.ValidationError
		if errors.As(err, &invalid) {
			return nil, schemaFault(field, invalid, document)
		}

		return nil, fmt.Errorf("validate a Score document: %w", err)
	}

	workload, err := mapScore(document)
	if err != nil {
		return nil, fault.Invalid(field, "is not a Score document (score.dev/v1b1)")
	}

	if err := checkScore(field, workload); err != nil {
		return nil, err
	}

	return data, nil
}

// mapScore gives the typed form of a valid document.
func mapScore(document map[string]any) (*score.Workload, error) {
	var workload score.Workload
	if err := loader.MapSpec(&workload, document); err != nil {
		return nil, fmt.Errorf("map a Score document: %w", err)
	}

	return &workload, nil
}

// scoreOf reads a stored Score document.
func scoreOf(field string, data json.RawMessage) (*score.Workload, error) {
	value, err := decodeChecked(field, data, true)
	if err != nil {
		return nil, err
	}

	document, ok := value.(map[string]any)
	if !ok {
		return nil, fault.Invalid(field, "is %s; accepted is a Score document (score.dev/v1b1)", typeName(value))
	}

	workload, err := mapScore(document)
	if err != nil {
		return nil, fault.Invalid(field, "is not a Score document (score.dev/v1b1)")
	}

	return workload, nil
}

// checkScore checks what the Score schema leaves open and no target could do.
func checkScore(field string, workload *score.Workload) error {
	if _, err := startupOf(field, workload); err != nil {
		return err
	}

	for _, name := range sortedKeys(workload.Containers) {
		container := workload.Containers[name]
		at := child(child(field, "containers"), name)

		for _, variable := range sortedKeys(container.Variables) {
			value := container.Variables[variable]
			if err := checkPlaceholders(child(child(at, "variables"), variable), value, workload); err != nil {
				return err
			}
		}

		for i, file := range container.Files {
			if err := checkFile(element(child(at, "files"), i), file, workload); err != nil {
				return err
			}
		}

		for i, volume := range container.Volumes {
			if err := checkPlaceholders(child(element(child(at, "volumes"), i), "source"), volume.Source, workload); err != nil {
				return err
			}
		}
	}

	return nil
}

func checkFile(field string, file score.ContainerFilesElem, workload *score.Workload) error {
	switch {
	case file.Source != nil:
		return fault.Invalid(child(field, "source"), "reads a file that Shiplog does not have; accepted are content and binaryContent")
	case file.BinaryContent != nil:
		if _, err := base64.StdEncoding.DecodeString(*file.BinaryContent); err != nil {
			return fault.Invalid(child(field, "binaryContent"), "is not standard base64")
		}
	case file.Content != nil && (file.NoExpand == nil || !*file.NoExpand):
		return checkPlaceholders(child(field, "content"), *file.Content, workload)
	}

	return nil
}

// startupOf gives how long an instance may take to become ready.
func startupOf(field string, workload *score.Workload) (time.Duration, error) {
	annotations, _ := workload.Metadata["annotations"].(map[string]any)

	text, given := annotations[startupAnnotation].(string)
	if !given {
		return defaultStartup, nil
	}

	d, err := time.ParseDuration(text)
	if err != nil || d < minStartup || d > maxStartup {
		return 0, fault.Invalid(child(child(child(field, "metadata"), "annotations"), startupAnnotation),
			"is %q; accepted is a duration from %s to 10m, such as \"45s\"", shorten(text), minStartup)
	}

	return d, nil
}

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
