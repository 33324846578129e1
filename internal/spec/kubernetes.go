package spec

import (
	"encoding/json"
	"strings"

	"github.com/shiplog/shiplog/internal/fault"
	"github.com/shiplog/shiplog/internal/spec/strategic"
)

// objectSet holds the objects of a snapshot while they are made, by key.
type objectSet map[string]map[string]any

// renderKubernetes makes the objects for a Kubernetes target, without the
// place that they go to (Place adds it). What no layer gives a value is
// refused all at once.
func renderKubernetes(in RenderInput) (map[string]json.RawMessage, error) {
	var missing findings

	objects, err := kubernetesObjects(in, &missing)
	if err != nil {
		return nil, err
	}

	images, err := versionImages(in.Images)
	if err != nil {
		return nil, err
	}

	// The version's own images first, so that patches see and may change
	// what would run; what is without a digest after them is missing.
	pinImages(objects, images)

	if objects, err = patchKubernetes(objects, in.Configuration.Patches); err != nil {
		return nil, err
	}

	requireDigests(objectsField(in.Workload), objects, images, in.Digests, &missing)

	if err := missing.err("configuration", "leaves values open"); err != nil {
		return nil, err
	}

	written := make(map[string]json.RawMessage, len(objects))

	for _, key := range sortedKeys(objects) {
		setLabels(objects[key], map[string]string{LabelService: in.Service})

		if written[key], err = writeObject(child(objectsField(in.Workload), key), objects[key]); err != nil {
			return nil, err
		}
	}

	return written, nil
}

func kubernetesObjects(in RenderInput, missing *findings) (objectSet, error) {
	switch {
	case in.Workload.Manifests != "":
		return manifestObjects(in)
	case len(in.Workload.Score) == 0:
		return nil, fault.Invalid("workload", "is required to deploy: the version has none; accepted are a Score document and Kubernetes manifests")
	}

	workload, err := scoreOf("workload.score", in.Workload.Score)
	if err != nil {
		return nil, err
	}

	return scoreObjects(in, workload, missing)
}

// objectsField is the input that the objects were made from.
func objectsField(w Workload) string {
	if w.Manifests != "" {
		return "workload.manifests"
	}

	return "workload.score"
}

// patchKubernetes applies the patches of the configuration: strategic merge
// patches as kustomize does, and RFC 6902 operations. A patch may delete an
// object and may not make another one out of it.
func patchKubernetes(objects objectSet, patches []ObjectPatch) (objectSet, error) {
	const field = "configuration.patches"

	if len(patches) == 0 {
		return objects, nil
	}

	written := make(map[string]json.RawMessage, len(objects))

	for _, key := range sortedKeys(objects) {
		data, err := writeObject(child(field, key), objects[key])
		if err != nil {
			return nil, err
		}

		written[key] = data
	}

	if err := applyPatches(written, patches, patching{merge: mergeStrategic, elsewhere: isForOtherTarget}); err != nil {
		return nil, err
	}

	patched := make(objectSet, len(written))

	for _, key := range sortedKeys(written) {
		object, err := readPatched(child(field, key), key, written[key])
		if err != nil {
			return nil, err
		}

		patched[key] = object
	}

	if len(patched) == 0 {
		return nil, fault.Invalid(field, "delete every object; accepted are patches that leave something to deploy")
	}

	return patched, nil
}

func mergeStrategic(field string, object json.RawMessage, patch ObjectPatch) (json.RawMessage, error) {
	merged, err := strategic.Merge(object, patch.Merge)

	switch {
	case err != nil:
		return nil, fault.Invalid(field, "cannot be merged into %s: it has another form than the object (elements of a list need the list's key, such as name)", shorten(patch.Object))
	case len(merged) > maxObjectBytes:
		return nil, fault.Invalid(field, "makes %s larger than %d KiB", shorten(patch.Object), maxObjectBytes>>10)
	}

	return merged, nil
}

// readPatched reads an object after its patches, and holds it to what every
// object of a workload is held to.
func readPatched(field, key string, data json.RawMessage) (map[string]any, error) {
	value, err := decodeChecked(field, data, true)
	if err != nil {
		return nil, err
	}

	object, ok := value.(map[string]any)
	if !ok {
		return nil, fault.Invalid(field, "leave %s; accepted are changes to the object", typeName(value))
	}

	if err := checkObject(manifest{field: field, object: object}); err != nil {
		return nil, err
	}

	if objectKey(object) != key {
		return nil, fault.Invalid(field, "change apiVersion, kind or name; accepted are changes to the object's content")
	}

	return object, nil
}

// writeObject gives an object as it stands in snapshots: canonical JSON, so
// that equal objects are equal bytes.
func writeObject(field string, object map[string]any) (json.RawMessage, error) {
	data, err := json.Marshal(object)
	if err != nil {
		return nil, fault.Invalid(field, "cannot be written as JSON")
	}

	if len(data) > maxObjectBytes {
		return nil, fault.Invalid(field, "has %d KiB; accepted are objects of at most %d KiB", len(data)>>10, maxObjectBytes>>10)
	}

	// Numbers that RFC 8785 cannot tell apart would be changed silently.
	value, err := decodeChecked(field, data, true)
	if err != nil {
		return nil, err
	}

	return canonicalJSON(value)
}

// setLabels puts labels on the object and on the pods that it makes.
func setLabels(object map[string]any, labels map[string]string) {
	label := func(holder map[string]any) {
		all := mapIn(mapIn(holder, "metadata"), "labels")
		for name, value := range labels {
			all[name] = value
		}
	}

	label(object)

	if template, ok := podTemplateOf(object); ok {
		label(template.object)
	}
}

// isForOtherTarget reports whether a patch can only mean a target of another
// kind: a layer may hold patches for all the targets of its services.
func isForOtherTarget(patch ObjectPatch) bool {
	return strings.HasPrefix(patch.Object, processKind+"/")
}
