package spec

import (
	"encoding/json"
	"regexp"
	"strings"

	"github.com/shiplog/shiplog/internal/fault"
)

// Bounds of a configuration.
const (
	maxReplicas      = 1_000
	maxPatches       = 100
	maxOperations    = 500
	maxVariableBytes = 32 << 10
)

var (
	variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]{0,255}$`)
	patchTarget  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9./-]{0,379}/(\*|[a-z0-9]([a-z0-9.:-]{0,251}[a-z0-9])?)$`)
	quantity     = regexp.MustCompile(`^(?:[0-9]{1,18}(?:\.[0-9]{0,9})?|\.[0-9]{1,9})(?:[eE][+-]?[0-9]{1,2}|[KMGTPE]i|[numkMGTPE])?$`)
	zeroQuantity = regexp.MustCompile(`^[0.]+(?:[^0-9.].*)?$`)
)

// ParseConfiguration checks one layer of configuration: YAML or JSON text, or
// decoded JSON; nil is the empty layer. Unknown members are refused. Errors
// are fault.InvalidInput with a path below field
// ("configuration.limits.main.cpu").
func ParseConfiguration(field string, raw any) (Configuration, error) {
	if raw == nil {
		return Configuration{}, nil
	}

	value, err := readDocument(field, raw)
	if err != nil || value == nil {
		return Configuration{}, err
	}

	var c Configuration

	err = members(field, value, map[string]func(string, any) error{
		"variables": func(field string, v any) error { return parseVariables(field, v, &c) },
		"replicas":  func(field string, v any) error { return parseReplicas(field, v, &c) },
		"limits":    func(field string, v any) error { return parseLimits(field, v, &c) },
		"patches":   func(field string, v any) error { return parsePatches(field, v, &c) },
		"resources": func(field string, v any) error { return parseResources(field, v, &c) },
	})
	if err != nil {
		return Configuration{}, err
	}

	return c, nil
}

// members walks an object whose members are known, in the order of the names.
// null is as good as left out.
func members(field string, value any, known map[string]func(string, any) error) error {
	return each(field, value, func(at, name string, v any) error {
		parse, ok := known[name]
		if !ok {
			return fault.Invalid(at, "is not known; accepted here are %s", strings.Join(sortedKeys(known), ", "))
		}

		if v == nil {
			return nil
		}

		return parse(at, v)
	})
}

// each walks an object in the order of the names.
func each(field string, value any, visit func(at, name string, v any) error) error {
	object, ok := value.(map[string]any)
	if !ok {
		return fault.Invalid(field, "is %s; accepted is an object", typeName(value))
	}

	for _, name := range sortedKeys(object) {
		if err := visit(child(field, name), name, object[name]); err != nil {
			return err
		}
	}

	return nil
}

func text(field string, value any) (string, error) {
	s, ok := value.(string)
	if !ok {
		return "", fault.Invalid(field, "is %s; accepted is a string (in quotes)", typeName(value))
	}

	return s, nil
}

func parseVariables(field string, value any, c *Configuration) error {
	return each(field, value, func(at, name string, v any) error {
		if !variableName.MatchString(name) {
			return fault.Invalid(at, "is not the name of a variable; accepted are letters, digits, _, - and ., not beginning with a digit, at most 256")
		}

		if v == nil {
			put(&c.Variables, name, nil)

			return nil
		}

		s, err := text(at, v)
		if err != nil {
			return fault.Invalid(at, "is %s; accepted is a string (in quotes), or null to remove the variable", typeName(v))
		}

		if len(s) > maxVariableBytes {
			return fault.Invalid(at, "has %d bytes; accepted are at most %d", len(s), maxVariableBytes)
		}

		put(&c.Variables, name, &s)

		return nil
	})
}

func parseReplicas(field string, value any, c *Configuration) error {
	n, ok := value.(json.Number)
	if ok {
		if f, err := n.Float64(); err == nil && f >= 0 && f <= maxReplicas && f == float64(int(f)) {
			replicas := int(f)
			c.Replicas = &replicas

			return nil
		}
	}

	return fault.Invalid(field, "is not a number of replicas; accepted are whole numbers from 0 to %d", maxReplicas)
}

func parseLimits(field string, value any, c *Configuration) error {
	return each(field, value, func(at, container string, v any) error {
		if err := ValidateName(at, container); err != nil {
			return err
		}

		var limits ResourceLimits

		into := func(target *string) func(string, any) error {
			return func(field string, v any) error { return parseQuantity(field, v, target) }
		}

		err := members(at, v, map[string]func(string, any) error{
			"cpu":           into(&limits.CPU),
			"memory":        into(&limits.Memory),
			"cpuRequest":    into(&limits.CPURequest),
			"memoryRequest": into(&limits.MemoryRequest),
		})
		if err != nil {
			return err
		}

		put(&c.Limits, container, limits)

		return nil
	})
}

func parseQuantity(field string, value any, target *string) error {
	s, ok := value.(string)
	if n, number := value.(json.Number); number {
		s, ok = n.String(), true
	}

	if !ok || !quantity.MatchString(s) || zeroQuantity.MatchString(s) {
		return fault.Invalid(field, "is not a quantity above zero; accepted are Kubernetes quantities such as \"250m\", \"1.5\", \"64Mi\" or \"1G\"")
	}

	*target = s

	return nil
}

func parsePatches(field string, value any, c *Configuration) error {
	list, ok := value.([]any)
	if !ok || len(list) > maxPatches {
		return fault.Invalid(field, "is not a list of at most %d patches", maxPatches)
	}

	for i, v := range list {
		patch, err := parsePatch(element(field, i), v)
		if err != nil {
			return err
		}

		c.Patches = append(c.Patches, patch)
	}

	return nil
}

func parsePatch(field string, value any) (ObjectPatch, error) {
	var patch ObjectPatch

	err := members(field, value, map[string]func(string, any) error{
		"object": func(field string, v any) (err error) {
			if patch.Object, err = text(field, v); err != nil {
				return err
			}

			if !patchTarget.MatchString(patch.Object) {
				return fault.Invalid(field, "names no object; accepted is kind and name (\"Process/hello\", \"apps/v1/Deployment/hello\"), or * for every name (\"Process/*\")")
			}

			return nil
		},
		"merge": func(field string, v any) (err error) {
			if _, ok := v.(map[string]any); !ok {
				return fault.Invalid(field, "is %s; accepted is an object that is merged into the rendered object", typeName(v))
			}

			patch.Merge, err = canonicalJSON(v)

			return err
		},
		"operations": func(field string, v any) (err error) {
			if err := checkOperations(field, v); err != nil {
				return err
			}

			patch.Operations, err = canonicalJSON(v)

			return err
		},
	})

	switch {
	case err != nil:
		return ObjectPatch{}, err
	case patch.Object == "":
		return ObjectPatch{}, fault.Invalid(child(field, "object"), "is required; accepted is kind and name of a rendered object (\"Process/hello\")")
	case (patch.Merge == nil) == (patch.Operations == nil):
		return ObjectPatch{}, fault.Invalid(field, "needs exactly one of merge and operations")
	}

	return patch, checkSecretPatch(field, patch)
}

// checkSecretPatch refuses patches that would bring the content of a Secret:
// a configuration is kept for ever, as a version is.
func checkSecretPatch(field string, patch ObjectPatch) error {
	if !strings.HasPrefix(patch.Object, "v1/Secret/") {
		return nil
	}

	if patch.Merge != nil {
		var merge map[string]any
		if err := json.Unmarshal(patch.Merge, &merge); err != nil {
			return fault.Invalid(child(field, "merge"), "is no object")
		}

		for _, name := range []string{"data", "stringData"} {
			if hasContent(merge[name]) {
				return secretRefused(child(child(field, "merge"), name))
			}
		}

		return nil
	}

	var operations []struct {
		Path string `json:"path"`
	}
	if err := json.Unmarshal(patch.Operations, &operations); err != nil {
		return fault.Invalid(child(field, "operations"), "is no list of operations")
	}

	for i, operation := range operations {
		member, _, _ := strings.Cut(strings.TrimPrefix(operation.Path, "/"), "/")
		if member == "" || member == "data" || member == "stringData" {
			return secretRefused(child(element(child(field, "operations"), i), "path"))
		}
	}

	return nil
}
