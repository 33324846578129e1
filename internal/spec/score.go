package spec

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v5"
	"github.com/score-spec/score-go/loader"
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

	rules, err := scoreSchema()
	if err != nil {
		return nil, err
	}

	if err := rules.Validate(document); err != nil {
		if invalid, ok := errors.AsType[*jsonschema.ValidationError](err); ok {
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
