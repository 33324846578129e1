package diff

import (
	"encoding/json"
	"fmt"
	"maps"

	"github.com/shiplog/shiplog/internal/spec"
)

// Place is what a snapshot is bound to, outside its digest.
type Place struct {
	Environment string `json:"environment,omitempty"`
	Namespace   string `json:"namespace,omitempty"`
	Host        string `json:"host,omitempty"`
}

// Side is one side of a comparison.
type Side struct {
	// Version is the version's name, "" for none.
	Version string
	// Snapshot of the side; nil where nothing is.
	Snapshot *spec.Snapshot
	Place    Place
}

// Inputs gives what a person changes: the version's name and the effective
// configuration, in which variables, limits, patches and resources are always
// there, so that an operation on one of their members always has its holder.
func Inputs(version string, configuration spec.Configuration) (any, error) {
	content, err := tree(configuration)
	if err != nil {
		return nil, err
	}

	object, ok := content.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("a configuration is %T", content)
	}

	for _, name := range []string{"variables", "limits", "resources"} {
		if object[name] == nil {
			object[name] = map[string]any{}
		}
	}

	if object["patches"] == nil {
		object["patches"] = []any{}
	}

	inputs := map[string]any{"configuration": object}
	if version != "" {
		inputs["version"] = version
	}

	return inputs, nil
}

// Inputs gives the side's inputs.
func (s Side) Inputs() (any, error) {
	var configuration spec.Configuration
	if s.Snapshot != nil {
		configuration = s.Snapshot.Configuration
	}

	return Inputs(s.Version, configuration)
}

// compared is a side as one document, and its rendered objects as they are.
type compared struct {
	document map[string]any
	inputs   any
	objects  map[string]json.RawMessage
}

func (s Side) compared() (compared, error) {
	inputs, err := s.Inputs()
	if err != nil {
		return compared{}, err
	}

	c := compared{document: map[string]any{}, inputs: inputs}

	if s.Snapshot != nil {
		form, err := s.Snapshot.Form()
		if err != nil {
			return compared{}, err
		}

		value, err := tree(form)
		if err != nil {
			return compared{}, err
		}

		c.document, _ = value.(map[string]any)
		c.objects = s.Snapshot.Objects

		if workload, _ := c.document["workload"].(map[string]any); workload["manifests"] != nil {
			workload["manifests"] = spec.TextDigest(s.Snapshot.Workload.Manifests)
		}
	}

	for _, name := range []string{"images", "workload", "objects"} {
		if c.document[name] == nil {
			c.document[name] = map[string]any{}
		}
	}

	maps.Copy(c.document, inputs.(map[string]any)) //nolint:forcetypeassert // Inputs makes it so

	c.document["binding"], err = tree(s.Place)

	return c, err
}
