package spec

import (
	"encoding/json"
	"strings"
)

// canonicalise gives a rendered object with its lists that have an identity as
// maps keyed by it. Kinds that are not known are given as they are: in them a
// list's order may mean something.
func canonicalise(object any) any {
	m, ok := object.(map[string]any)
	if !ok {
		return object
	}

	apiVersion, _ := m["apiVersion"].(string)
	kind, _ := m["kind"].(string)

	if apiVersion == "v1" && kind == "Service" {
		return change(m, "spec", func(spec any) any { return change(spec, "ports", keyed(portIdentity("port"))) })
	}

	return changeAt(m, podSpecPath(apiVersion, kind), canonicalPodSpec)
}

// podSpecPath says where the pod spec of a kind is; nil for kinds without.
func podSpecPath(apiVersion, kind string) []string {
	switch apiVersion + "/" + kind {
	case "v1/Pod":
		return []string{"spec"}
	case "apps/v1/Deployment", "apps/v1/StatefulSet", "apps/v1/DaemonSet", "apps/v1/ReplicaSet", "batch/v1/Job":
		return []string{"spec", "template", "spec"}
	case "batch/v1/CronJob":
		return []string{"spec", "jobTemplate", "spec", "template", "spec"}
	default:
		return nil
	}
}

func changeAt(v any, path []string, to func(any) any) any {
	if len(path) == 0 {
		return v
	}

	if len(path) == 1 {
		return change(v, path[0], to)
	}

	return change(v, path[0], func(next any) any { return changeAt(next, path[1:], to) })
}

func canonicalPodSpec(spec any) any {
	spec = change(spec, "initContainers", func(list any) any { return changeEach(list, canonicalContainer) })
	spec = change(spec, "containers", func(list any) any {
		return keyedBy("name")(changeEach(list, canonicalContainer))
	})

	return change(spec, "volumes", keyedBy("name"))
}

func canonicalContainer(container any) any {
	container = change(container, "ports", keyed(portIdentity("containerPort")))
	container = change(container, "volumeMounts", keyedBy("mountPath"))

	return change(container, "env", func(env any) any {
		if refersToOthers(env) {
			return env
		}

		return keyedBy("name")(env)
	})
}

// refersToOthers reports whether a variable uses another one ("$(NAME)"): the
// kubelet expands only what stands before it, so the order means something.
func refersToOthers(env any) bool {
	list, _ := env.([]any)

	for _, e := range list {
		variable, _ := e.(map[string]any)
		if value, _ := variable["value"].(string); strings.Contains(value, "$(") {
			return true
		}
	}

	return false
}

// keyedBy turns a list into a map keyed by a member of its elements.
func keyedBy(member string) func(any) any {
	return keyed(func(e map[string]any) string {
		s, _ := e[member].(string)

		return s
	})
}

// keyed turns a list into a map keyed by the identity of its elements. It
// stays a list when an element has none, or two have the same.
func keyed(identity func(map[string]any) string) func(any) any {
	return func(v any) any {
		list, ok := v.([]any)
		if !ok {
			return v
		}

		byKey := make(map[string]any, len(list))

		for _, e := range list {
			object, ok := e.(map[string]any)
			if !ok {
				return v
			}

			key := identity(object)
			if _, twice := byKey[key]; key == "" || twice {
				return v
			}

			byKey[key] = e
		}

		return byKey
	}
}

// portIdentity is a port's name, or "number/protocol".
func portIdentity(number string) func(map[string]any) string {
	return func(port map[string]any) string {
		if name, _ := port["name"].(string); name != "" {
			return name
		}

		n, ok := port[number].(json.Number)
		if !ok {
			return ""
		}

		protocol, _ := port["protocol"].(string)
		if protocol == "" {
			protocol = "TCP"
		}

		return n.String() + "/" + protocol
	}
}
