package spec

import (
	"regexp"

	"github.com/shiplog/shiplog/internal/fault"
)

var (
	outputName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$`)
	secretName = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$`)
	secretKey  = regexp.MustCompile(`^[A-Za-z0-9._-]{1,253}$`)
)

func parseResources(field string, value any, c *Configuration) error {
	return each(field, value, func(at, resource string, v any) error {
		if err := ValidateName(at, resource); err != nil {
			return err
		}

		outputs := map[string]ResourceValue{}

		err := each(at, v, func(at, output string, v any) error {
			if !outputName.MatchString(output) {
				return fault.Invalid(at, "is not the name of an output; accepted are letters, digits, _, - and ., at most 128")
			}

			parsed, err := parseResourceValue(at, v)
			outputs[output] = parsed

			return err
		})
		if err != nil {
			return err
		}

		if len(outputs) > 0 {
			put(&c.Resources, resource, outputs)
		}

		return nil
	})
}

func parseResourceValue(field string, value any) (ResourceValue, error) {
	var (
		parsed ResourceValue
		given  int
	)

	err := members(field, value, map[string]func(string, any) error{
		"value": func(field string, v any) (err error) {
			given++
			parsed.Value, err = text(field, v)

			return err
		},
		"secretRef": func(field string, v any) error {
			given++

			var err error
			parsed.SecretRef, err = parseSecretReference(field, v)

			return err
		},
	})
	if err != nil {
		return ResourceValue{}, err
	}

	if given != 1 {
		return ResourceValue{}, fault.Invalid(field, "needs exactly one of value and secretRef")
	}

	return parsed, nil
}

func parseSecretReference(field string, value any) (*SecretReference, error) {
	var ref SecretReference

	named := func(target *string, pattern *regexp.Regexp) func(string, any) error {
		return func(field string, v any) error {
			s, ok := v.(string)
			if !ok || !pattern.MatchString(s) {
				return fault.Invalid(field, "is not accepted; accepted is the name of a secret in the target's own store, and of a key in it")
			}

			*target = s

			return nil
		}
	}

	err := members(field, value, map[string]func(string, any) error{
		"name": named(&ref.Name, secretName),
		"key":  named(&ref.Key, secretKey),
	})

	switch {
	case err != nil:
		return nil, err
	case ref.Name == "":
		return nil, fault.Invalid(child(field, "name"), "is required; accepted is the name of a secret in the target's own store")
	case ref.Key == "":
		return nil, fault.Invalid(child(field, "key"), "is required; accepted is a key of the secret")
	}

	return &ref, nil
}
