package spec

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/score-spec/score-go/framework"
	score "github.com/score-spec/score-go/types"

	"github.com/shiplog/shiplog/internal/fault"
)

// placeholderHelp is what every refusal of a placeholder ends with.
const placeholderHelp = "accepted are ${metadata.NAME} and ${resources.NAME.OUTPUT}; write $$ for a dollar sign"

// substitute replaces the Score placeholders in text. outputs gives a
// resource's output; field is where text stands.
func substitute(field, text string, workload *score.Workload, outputs func(resource, output, placeholder string) (string, error)) (string, error) {
	result, err := framework.SubstituteString(text, func(ref string) (string, error) {
		parts := framework.SplitRefParts(ref)

		switch {
		case parts[0] == "metadata" && len(parts) > 1:
			return metadataValue(field, ref, parts[1:], workload)
		case parts[0] == "resources" && len(parts) > 1:
			if _, declared := workload.Resources[parts[1]]; !declared {
				return "", fault.Invalid(field, "has the placeholder ${%s}, and the document declares no resource %q; accepted are its resources: %s",
					shorten(ref), shorten(parts[1]), listed(sortedKeys(workload.Resources)))
			}

			return outputs(parts[1], strings.Join(parts[2:], "."), "${"+shorten(ref)+"}")
		default:
			return "", fault.Invalid(field, "has the placeholder ${%s}; %s", shorten(ref), placeholderHelp)
		}
	})
	if err == nil {
		return result, nil
	}

	if refused, ok := errors.AsType[*fault.Error](err); ok {
		return "", refused
	}

	return "", fmt.Errorf("substitute placeholders in %s: %w", field, err)
}

func metadataValue(field, ref string, path []string, workload *score.Workload) (string, error) {
	var value any = map[string]any(workload.Metadata)

	for _, name := range path {
		object, _ := value.(map[string]any)

		next, ok := object[name]
		if !ok {
			return "", fault.Invalid(field, "has the placeholder ${%s}, and the document's metadata has no such member; %s", shorten(ref), placeholderHelp)
		}

		value = next
	}

	if s, ok := value.(string); ok {
		return s, nil
	}

	data, err := json.Marshal(value)
	if err != nil {
		return "", fmt.Errorf("write the metadata of a Score document: %w", err)
	}

	return string(data), nil
}

// checkPlaceholders checks that every placeholder can be resolved in some
// environment.
func checkPlaceholders(field, text string, workload *score.Workload) error {
	_, err := substitute(field, text, workload, func(string, string, string) (string, error) { return "", nil })

	return err
}

func listed(names []string) string {
	if len(names) == 0 {
		return "none"
	}

	return strings.Join(names, ", ")
}
