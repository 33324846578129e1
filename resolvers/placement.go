package resolvers

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/shiplog/shiplog/ent/db"
	deploymentrow "github.com/shiplog/shiplog/ent/db/deployment"
	"github.com/shiplog/shiplog/graph"
	"github.com/shiplog/shiplog/internal/catalog"
	"github.com/shiplog/shiplog/internal/deployment"
	"github.com/shiplog/shiplog/internal/observe"
)

type placementFields struct{ *Resolver }

func (f placementFields) Service(ctx context.Context, p *deployment.Placement) (*db.Service, error) {
	return load(ctx).service.Load(ctx, p.ServiceID)
}

func (f placementFields) Environment(ctx context.Context, p *deployment.Placement) (*db.Environment, error) {
	return load(ctx).environment.Load(ctx, p.EnvironmentID)
}

func (f placementFields) Recorded(ctx context.Context, p *deployment.Placement) (*db.Deployment, error) {
	return maybe(ctx, load(ctx).deployment, p.RecordedID)
}

func (f placementFields) Applied(ctx context.Context, p *deployment.Placement) (*db.Deployment, error) {
	return maybe(ctx, load(ctx).deployment, p.AppliedID)
}

func (f placementFields) Pending(ctx context.Context, p *deployment.Placement) (*db.Deployment, error) {
	if p.Past {
		return nil, nil //nolint:nilnil // null is the contract's answer
	}

	return orNone(load(ctx).pending.Load(ctx, p.ID))
}

func (f placementFields) Observed(ctx context.Context, p *deployment.Placement) (*graph.Observed, error) {
	if p.ObservedAt == nil {
		return nil, nil //nolint:nilnil // null is the contract's answer
	}

	seen, err := observe.Read(p.Observed)
	if err != nil {
		return nil, fmt.Errorf("read what was observed of %s: %w", p.ID, err)
	}

	o := &graph.Observed{
		At: *p.ObservedAt, Versions: make([]*graph.ObservedVersion, len(seen.Versions)), ChangedBy: make([]*graph.ObservedHand, len(seen.Hands)),
	}

	for i, h := range seen.Hands {
		o.ChangedBy[i] = &graph.ObservedHand{Object: h.Object, Manager: h.Manager}
		if !h.At.IsZero() {
			o.ChangedBy[i].At = &h.At
		}
	}

	for i, s := range seen.Versions {
		v := &graph.ObservedVersion{Ready: s.Ready, Desired: s.Desired}

		if s.VersionID != "" {
			if v.Version, err = maybe(ctx, load(ctx).version, &s.VersionID); err != nil {
				return nil, err
			}
		}

		// The first by name stands for all.
		for _, name := range slices.Sorted(maps.Keys(s.Images))[:min(1, len(s.Images))] {
			image := s.Images[name]
			v.Image = &image.Reference

			if image.Digest != "" {
				v.Digest = &image.Digest
			}
		}

		o.Versions[i] = v
	}

	return o, nil
}

// PendingConfiguration reports whether a layer has another revision than the
// recorded deployment was made with.
func (f placementFields) PendingConfiguration(ctx context.Context, p *deployment.Placement) (bool, error) {
	if p.Past || p.RecordedID == nil {
		return false, nil
	}

	d, err := load(ctx).deployment.Load(ctx, *p.RecordedID)
	if err != nil || d.Kind == deploymentrow.KindEXTERNAL || d.VersionID == nil {
		return false, err
	}

	return slices.ContainsFunc(placementLayers(p), func(layer string) bool {
		var c *db.Configuration
		if c, err = orNone(load(ctx).configuration.Load(ctx, layer)); err != nil || c == nil {
			return err != nil
		}

		return d.Layers[string(c.Scope)] != c.ID
	}) && err == nil, err
}

// placementLayers are the keys of the layers of a placement's configuration.
func placementLayers(p *deployment.Placement) []string {
	return []string{
		catalog.LayerKey(p.ServiceID, ""), catalog.LayerKey("", p.EnvironmentID), catalog.LayerKey(p.ServiceID, p.EnvironmentID),
	}
}
