package spec

import (
	"maps"
	"slices"
)

// MergeConfiguration folds layers, the later over the earlier: variables merge
// by name (null stays, because it also removes what the workload sets),
// replicas and the limits of a container replace, patches append, resources
// merge by resource and output. It is associative, its zero is the empty
// configuration, and the result shares nothing with the layers.
func MergeConfiguration(layers ...Configuration) Configuration {
	var merged Configuration

	for _, layer := range layers {
		for name, value := range layer.Variables {
			put(&merged.Variables, name, copyOf(value))
		}

		if layer.Replicas != nil {
			merged.Replicas = copyOf(layer.Replicas)
		}

		for container, limits := range layer.Limits {
			put(&merged.Limits, container, limits)
		}

		for _, patch := range layer.Patches {
			merged.Patches = append(merged.Patches, ObjectPatch{
				Object:     patch.Object,
				Merge:      slices.Clone(patch.Merge),
				Operations: slices.Clone(patch.Operations),
			})
		}

		for resource, outputs := range layer.Resources {
			if len(outputs) == 0 {
				continue
			}

			all := maps.Clone(merged.Resources[resource])

			for output, value := range outputs {
				value.SecretRef = copyOf(value.SecretRef)
				put(&all, output, value)
			}

			put(&merged.Resources, resource, all)
		}
	}

	return merged
}

func put[V any](m *map[string]V, key string, value V) {
	if *m == nil {
		*m = map[string]V{}
	}

	(*m)[key] = value
}

func copyOf[V any](p *V) *V {
	if p == nil {
		return nil
	}

	v := *p

	return &v
}
