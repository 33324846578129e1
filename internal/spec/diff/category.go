package diff

import (
	"slices"
	"strings"
)

// categoryOf says what a change at the path is about. Where a whole value came
// or went, what is in it counts: a variable that refers to a secret is SECRET.
func categoryOf(tokens []string, values ...*Value) Category {
	for _, v := range values {
		if v != nil && refersToSecret(v.JSON) && !isWhole(tokens) {
			return Secret
		}
	}

	switch tokens[0] {
	case "images":
		return Image
	case "configuration":
		return ofConfiguration(tokens[1:])
	case "workload":
		return ofWorkload(tokens[1:])
	case "objects":
		return ofObject(tokens[1], tokens[2:])
	case "version":
		return Workload
	}

	return Metadata
}

// isWhole reports whether the path names an object or a container whole: they
// are about more than the secrets that they refer to.
func isWhole(tokens []string) bool {
	if tokens[0] != "objects" {
		return false
	}

	last := tokens[len(tokens)-1]

	return len(tokens) <= 3 || slices.Contains([]string{"spec", "template", "containers", "initContainers"}, last) ||
		slices.Contains([]string{"containers", "initContainers"}, tokens[len(tokens)-2])
}

// refersToSecret reports whether there is a reference to a secret anywhere in
// a value.
func refersToSecret(value any) bool {
	switch v := value.(type) {
	case map[string]any:
		for name, member := range v {
			if isSecretReference(name) || refersToSecret(member) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(v, refersToSecret)
	}

	return false
}

func isSecretReference(name string) bool {
	return slices.Contains([]string{"secretRef", "secretKeyRef", "secretName", "imagePullSecrets"}, name)
}

func ofConfiguration(tokens []string) Category {
	if len(tokens) == 0 {
		return Config
	}

	switch tokens[0] {
	case "replicas":
		return Scale
	case "limits":
		return Resource
	case "patches":
		return Workload
	}

	if slices.ContainsFunc(tokens, isSecretReference) {
		return Secret
	}

	return Config
}

func ofWorkload(tokens []string) Category {
	switch {
	case len(tokens) > 1 && tokens[1] == "metadata":
		return Metadata
	case len(tokens) > 3 && tokens[1] == "containers":
		return ofContainer(tokens[3:])
	}

	return Workload
}

// ofObject is about a path in a rendered object.
func ofObject(key string, tokens []string) Category {
	kind := key
	if i := strings.LastIndexByte(key, '/'); i >= 0 {
		kind = key[:i]
	}

	kind = kind[strings.LastIndexByte(kind, '/')+1:]

	switch {
	case len(tokens) > 0 && slices.Contains(tokens, "metadata"):
		return Metadata
	case kind == "Secret" || kind == "ExternalSecret" || kind == "SealedSecret":
		return Secret
	case kind == "ConfigMap":
		return Config
	case kind == "HorizontalPodAutoscaler":
		return Scale
	case len(tokens) == 0:
		return Workload
	case slices.ContainsFunc(tokens, isSecretReference):
		return Secret
	case tokens[len(tokens)-1] == "replicas" && len(tokens) <= 2:
		return Scale
	}

	for i, token := range tokens {
		if (token == "containers" || token == "initContainers") && i+2 < len(tokens) {
			return ofContainer(tokens[i+2:])
		}

		if token == "volumes" && slices.Contains(tokens[i:], "secret") {
			return Secret
		}

		if token == "volumes" && slices.Contains(tokens[i:], "configMap") {
			return Config
		}
	}

	return Workload
}

// ofContainer is about a path in a container.
func ofContainer(tokens []string) Category {
	switch tokens[0] {
	case "image":
		return Image
	case "env", "envFrom", "variables", "files":
		return Config
	case "resources":
		return Resource
	}

	return Workload
}
