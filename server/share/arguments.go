package share

import (
	"github.com/shiplog/shiplog/internal/contract"
	"github.com/shiplog/shiplog/internal/logs"
)

// arguments are those of deploymentLogs.
type arguments struct {
	deployment string
	after      *string
	follow     *bool
	until      *contract.LogUntil
	filter     *logs.Filter
}

// read takes the arguments as validation and coercion left them; false when
// one has a form that only the executor knows to read.
func read(given map[string]any) (*arguments, bool) {
	var (
		args  arguments
		until *string
		ok    bool
	)

	if args.deployment, ok = given["deployment"].(string); !ok {
		return nil, false
	}

	filter, isObject := given["filter"].(map[string]any)
	if given["filter"] != nil && !isObject {
		return nil, false
	}

	if !optional(given, "after", &args.after) || !optional(given, "follow", &args.follow) || !optional(given, "until", &until) {
		return nil, false
	}

	if until != nil {
		value := contract.LogUntil(*until)
		args.until = &value
	}

	if filter != nil {
		if args.filter, ok = readFilter(filter); !ok {
			return nil, false
		}
	}

	return &args, true
}

func readFilter(given map[string]any) (*logs.Filter, bool) {
	var (
		filter                               logs.Filter
		phase, container, instance, contains *string
	)

	if !optional(given, "phase", &phase) || !optional(given, "container", &container) ||
		!optional(given, "instance", &instance) || !optional(given, "contains", &contains) {
		return nil, false
	}

	streams, isList := given["streams"].([]any)
	if given["streams"] != nil && !isList {
		return nil, false
	}

	for _, stream := range streams {
		name, ok := stream.(string)
		if !ok {
			return nil, false
		}

		filter.Streams = append(filter.Streams, logs.Stream(name))
	}

	filter.Phase, filter.Container, filter.Instance, filter.Contains =
		logs.Phase(value(phase)), value(container), value(instance), value(contains)

	return &filter, true
}

// optional reads a value that may be null or left out.
func optional[T any](given map[string]any, name string, into **T) bool {
	raw := given[name]
	if raw == nil {
		return true
	}

	v, ok := raw.(T)
	*into = &v

	return ok
}

func value(s *string) string {
	if s == nil {
		return ""
	}

	return *s
}
