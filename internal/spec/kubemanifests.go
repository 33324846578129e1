package spec

import (
	"strings"

	"github.com/shiplog/shiplog/internal/fault"
)

// manifestObjects gives the objects of a version's manifests with the
// configuration over them, and nothing else changed: variables and limits in
// every pod template, replicas of the object that the service scales by.
func manifestObjects(in RenderInput) (objectSet, error) {
	const field = "workload.manifests"

	all, err := parseManifests(field, in.Workload.Manifests)
	if err != nil {
		return nil, err
	}

	objects := make(objectSet, len(all))

	for _, m := range all {
		neutral(m.object)
		objects[objectKey(m.object)] = m.object

		if template, ok := podTemplateOf(m.object); ok {
			configureTemplate(template, in.Configuration)
		}
	}

	return objects, scale(objects, in)
}

func configureTemplate(template podTemplate, c Configuration) {
	for _, container := range template.containers() {
		setVariables(container, c.Variables)
		setLimits(container, c.Limits[textOf(container, "name")])
	}
}

// setVariables replaces variables where they stand, because later ones may
// refer to them, and adds new ones in the order of their names.
func setVariables(container map[string]any, variables map[string]*string) {
	if len(variables) == 0 {
		return
	}

	var env []any

	placed := map[string]bool{}

	for _, e := range listOf(container, "env") {
		entry, _ := e.(map[string]any)
		name := textOf(entry, "name")

		value, given := variables[name]

		switch {
		case !given:
			env = append(env, e)
		case value != nil && !placed[name]:
			env = append(env, map[string]any{"name": name, "value": literal(*value)})
		}

		placed[name] = true
	}

	for _, name := range sortedKeys(variables) {
		if value := variables[name]; value != nil && !placed[name] {
			env = append(env, map[string]any{"name": name, "value": literal(*value)})
		}
	}

	if len(env) == 0 {
		delete(container, "env")

		return
	}

	container["env"] = env
}

// scale sets the replicas of the object that has the service's name, or of the
// only one that can be scaled. Where nothing can be (a CronJob, a DaemonSet),
// replicas mean nothing: an environment may set them for all its services.
func scale(objects objectSet, in RenderInput) error {
	if in.Configuration.Replicas == nil {
		return nil
	}

	var candidates []string

	for _, key := range sortedKeys(objects) {
		if scales(objects[key]) {
			candidates = append(candidates, key)
		}
	}

	if len(candidates) > 1 {
		var named []string

		for _, key := range candidates {
			if strings.HasSuffix(key, "/"+in.Service) {
				named = append(named, key)
			}
		}

		if len(named) != 1 {
			return fault.Invalid("configuration.replicas", "could mean any of %s; accepted are manifests in which one of them is named %s, or a patch for each", strings.Join(candidates, ", "), in.Service)
		}

		candidates = named
	}

	for _, key := range candidates {
		mapIn(objects[key], "spec")["replicas"] = *in.Configuration.Replicas
	}

	return nil
}

// scales reports whether an object runs a number of equal pods. Kinds that are
// not Kubernetes' own do when they say how many.
func scales(object map[string]any) bool {
	kind := textOf(object, "kind")

	switch groupOf(textOf(object, "apiVersion")) {
	case "apps", "extensions":
		return kind == "Deployment" || kind == "StatefulSet" || kind == "ReplicaSet"
	case noGroup:
		return kind == "ReplicationController"
	default:
		_, template := podTemplateOf(object)
		_, says := mapOf(object, "spec")["replicas"]

		return template && says
	}
}
