package spec

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/shiplog/shiplog/internal/fault"
)

// RenderInput is what a snapshot is made from.
type RenderInput struct {
	Target TargetKind
	// Service is the name of the service; objects are named after it.
	Service string
	// Images of the version by name.
	Images map[string]Image
	// Digests that registries gave for images that are not the version's own
	// (a proxy beside it), by the reference that UnpinnedImages gives. They do
	// not stand among Images: those decide the tag of every container with
	// their repository, these only what a tag means.
	Digests  map[string]string
	Workload Workload
	// Configuration is the effective one (MergeConfiguration).
	Configuration Configuration
	// Layers are the revisions it was merged from, by scope.
	Layers map[string]string
}

// Render makes the snapshot: the workload with its configuration, as objects
// for the kind of target, before any binding to a place. The same input gives
// the same snapshot. Refusals name the field below "workload", "images" or
// "configuration".
func Render(in RenderInput) (*Snapshot, error) {
	if err := ValidateName("service", in.Service); err != nil {
		return nil, err
	}

	objects, err := renderObjects(in)
	if err != nil {
		return nil, err
	}

	return &Snapshot{
		Renderer:      RendererVersion,
		Target:        in.Target,
		Images:        maps.Clone(in.Images),
		Workload:      Workload{Score: slices.Clone(in.Workload.Score), Manifests: in.Workload.Manifests},
		Configuration: MergeConfiguration(in.Configuration),
		Layers:        maps.Clone(in.Layers),
		Objects:       objects,
	}, nil
}

func renderObjects(in RenderInput) (map[string]json.RawMessage, error) {
	switch in.Target {
	case TargetProcess:
		return renderProcess(in)
	case TargetExternal:
		// Somebody else deploys: there is nothing to render.
		return map[string]json.RawMessage{}, nil
	case TargetKubernetes:
		return renderKubernetes(in)
	default:
		return nil, fault.Invalid("target.kind", "is not a kind of target; accepted are %s, %s and %s", TargetProcess, TargetKubernetes, TargetExternal)
	}
}
