package deployment

import (
	"bytes"
	"context"
	"slices"

	"github.com/shiplog/shiplog/ent/db"
	"github.com/shiplog/shiplog/ent/db/deployment"
	"github.com/shiplog/shiplog/ent/db/snapshot"
	"github.com/shiplog/shiplog/internal/catalog"
	"github.com/shiplog/shiplog/internal/fault"
	"github.com/shiplog/shiplog/internal/id"
	"github.com/shiplog/shiplog/internal/spec"
	"github.com/shiplog/shiplog/internal/spec/diff"
	"github.com/shiplog/shiplog/internal/store"
)

// diffSide is a side of a diff as it was found.
type diffSide struct {
	field       string
	service     *db.Service
	version     *db.Version     // nil for nothing, and for a snapshot alone
	environment *db.Environment // nil for what has no place
	target      *db.Target      // of the place
	snapshot    *db.Snapshot    // nil where it has to be rendered, or nothing is
	// layers are the revisions of its configuration by scope.
	layers map[string]string
}

func (e *Engine) sideOf(ctx context.Context, field string, ref DiffRef) (diffSide, error) {
	client, s := e.store.Read, diffSide{field: field}

	switch {
	case ref.Deployment != nil:
		d, err := Find(ctx, client, field+".deployment", *ref.Deployment)
		if err != nil {
			return s, err
		}

		return s, s.take(ctx, client, d)
	case ref.Snapshot != nil:
		s.field += ".snapshot"

		if !id.IsOf(*ref.Snapshot, id.Snapshot) {
			return s, fault.Missing(s.field, "there is no snapshot %q", *ref.Snapshot)
		}

		row, err := client.Snapshot.Query().Where(snapshot.ID(*ref.Snapshot)).Only(ctx)
		if db.IsNotFound(err) {
			return s, fault.Missing(s.field, "there is no snapshot %q", *ref.Snapshot)
		}

		s.snapshot = row

		return s, store.Classify(err)
	case ref.Environment != nil:
		return s, s.inPlace(ctx, client, *ref.Environment)
	case ref.Version != nil:
		s.field += ".version"

		var err error
		if s.service, err = catalog.FindService(ctx, client, s.field+".service", ref.Version.Service); err != nil {
			return s, err
		}

		s.version, err = catalog.FindVersion(ctx, client, s.field+".version", s.service, ref.Version.Version)

		return s, err
	}

	return s, fault.Invalid(field, "want one of deployment, snapshot, environment and version")
}

// inPlace takes what is current in the place, which may be nothing.
func (s *diffSide) inPlace(ctx context.Context, client *db.Client, place DiffPlace) (err error) {
	s.field += ".environment"

	if s.service, err = catalog.FindService(ctx, client, s.field+".service", place.Service); err != nil {
		return err
	}

	if s.environment, err = catalog.FindEnvironment(ctx, client, s.field+".environment", place.Environment); err != nil {
		return err
	}

	s.target = s.environment.Edges.Target

	d, err := current(ctx, client, s.service.ID, s.environment.ID)
	if err != nil || d == nil {
		return err
	}

	return s.take(ctx, client, d)
}

// take takes what a deployment applied, or is to apply.
func (s *diffSide) take(ctx context.Context, client *db.Client, d *db.Deployment) error {
	row, err := client.Deployment.Query().Where(deployment.ID(d.ID)).
		WithService().WithEnvironment().WithTarget().WithSnapshot().WithVersion(func(q *db.VersionQuery) { q.WithImages() }).Only(ctx)
	if err != nil {
		return store.Classify(err)
	}

	s.service, s.environment, s.target = row.Edges.Service, row.Edges.Environment, row.Edges.Target
	s.version, s.snapshot, s.layers = row.Edges.Version, row.Edges.Snapshot, row.Layers

	return nil
}

// hasPlace reports whether it is known where the side is.
func (s diffSide) hasPlace() bool { return s.environment != nil }

// place is what the side is bound to.
func (s diffSide) place() diff.Place {
	if !s.hasPlace() {
		return diff.Place{}
	}

	binding := bindingOf(s.service, s.environment, s.target, s.version)

	return diff.Place{Environment: s.environment.Name, Namespace: binding.Namespace, Host: binding.Host}
}

// placed gives the side: its snapshot, or its version as it would be deployed
// now to its place, or to that of the other side.
func (e *Engine) placed(ctx context.Context, s, other diffSide) (diff.Side, error) {
	side := diff.Side{Place: s.place()}
	if s.version != nil {
		side.Version = s.version.Name
	}

	var err error

	switch {
	case s.snapshot != nil:
		side.Snapshot, err = Snapshot(ctx, e.store.Read, s.snapshot)
	case s.version != nil:
		at := s
		if !s.hasPlace() {
			at = other
			side.Place = other.place()
		}

		side.Snapshot, err = e.rendered(ctx, s, at, nil)
	}

	return side, below(s.field, err)
}

// neutral gives from as it would be in the environment of to; nil when both
// have one place, or one has none, or it cannot be rendered there: then all is
// taken to differ in substance.
func (e *Engine) neutral(ctx context.Context, from, to diffSide) (*diff.Side, error) {
	if from.version == nil || to.version == nil || !from.hasPlace() || !to.hasPlace() || from.environment.ID == to.environment.ID {
		return nil, nil //nolint:nilnil // no neutral side is an answer
	}

	shot, err := e.rendered(ctx, from, to, to.layers)

	switch {
	case fault.Is(err, fault.InvalidInput):
		return nil, nil //nolint:nilnil // see above
	case err != nil:
		return nil, err
	}

	return &diff.Side{Version: from.version.Name, Snapshot: shot, Place: to.place()}, nil
}

// rendered renders the version of a side for the place of another one, without
// asking a registry: images that nobody has asked for stand as they were
// registered. Layers, when they are given, are the revisions that hold in the
// place; of the service's own layer that of the side.
func (e *Engine) rendered(ctx context.Context, s, at diffSide, layers map[string]string) (*spec.Snapshot, error) {
	client := e.store.Read

	workload, err := catalog.Workload(ctx, client, s.version)
	if err != nil {
		return nil, err
	}

	in := spec.RenderInput{Service: s.service.Name, Images: catalog.ImagesOf(s.version), Workload: workload, Target: spec.TargetExternal}

	switch {
	case at.target != nil:
		in.Target = spec.TargetKind(at.target.Kind)
	case workload.Manifests != "":
		in.Target = spec.TargetKubernetes
	}

	if workload.IsEmpty() {
		in.Target = spec.TargetExternal
	}

	if in.Configuration, err = e.layered(ctx, client, s, at, layers); err != nil {
		return nil, err
	}

	return unresolvedShot(ctx, client, in, s.version.ID)
}

// unresolvedShot renders with the digests that are stored, and takes those
// that stand for unasked ones out again.
func unresolvedShot(ctx context.Context, client *db.Client, in spec.RenderInput, versionID string) (*spec.Snapshot, error) {
	var err error
	if in.Target == spec.TargetKubernetes {
		if in.Digests, err = catalog.Digests(ctx, client, versionID); err != nil {
			return nil, err
		}
	}

	open, err := spec.UnpinnedImages(in)
	if err != nil {
		return nil, err
	}

	digests := make(map[string]string, len(open))
	for _, reference := range open {
		digests[reference] = unasked
	}

	shot, err := spec.Render(in.Pin(digests))
	if err != nil {
		return nil, err
	}

	for key, object := range shot.Objects {
		shot.Objects[key] = bytes.ReplaceAll(object, []byte("@"+unasked), nil)
	}

	for name, image := range shot.Images {
		if image.Digest == unasked {
			shot.Images[name] = spec.Image{Reference: image.Reference}
		}
	}

	return shot, nil
}

// layered gives the configuration of the side's version in the place.
func (e *Engine) layered(ctx context.Context, client *db.Client, s, at diffSide, layers map[string]string) (spec.Configuration, error) {
	environmentID := ""
	if at.hasPlace() {
		environmentID = at.environment.ID
	}

	// A side is without layers when it was never planned: what is set now.
	if layers == nil || s.layers == nil {
		c, _, err := catalog.Effective(ctx, client, s.service.ID, environmentID)

		return c, err
	}

	revisions := []string{s.layers["SERVICE"], layers["ENVIRONMENT"], layers["SERVICE_IN_ENVIRONMENT"]}

	return catalog.Merged(ctx, client, slices.DeleteFunc(revisions, func(r string) bool { return r == "" }))
}

// placementOf gives the row of a placement, an empty one for none.
func placementOf(ctx context.Context, client *db.Client, serviceID, environmentID string) (*db.Placement, error) {
	p, err := client.Placement.Get(ctx, id.PlacementID(serviceID, environmentID))
	if db.IsNotFound(err) {
		return &db.Placement{}, nil
	}

	return p, store.Classify(err)
}
