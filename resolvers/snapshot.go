package resolvers

import (
	"context"
	"encoding/json"
	"maps"
	"slices"

	"github.com/shiplog/shiplog/ent/db"
	"github.com/shiplog/shiplog/ent/db/target"
	"github.com/shiplog/shiplog/internal/deployment"
	"github.com/shiplog/shiplog/internal/spec"
)

type snapshotFields struct{ *Resolver }

// content reads the snapshot's document, once a response.
func (f snapshotFields) content(ctx context.Context, s *db.Snapshot) (*spec.Snapshot, error) {
	document, err := load(ctx).document.Load(ctx, s.ContentDigest)
	if err != nil {
		return nil, err
	}

	var shot spec.Snapshot

	return &shot, json.Unmarshal([]byte(document.Content), &shot)
}

func (f snapshotFields) Target(_ context.Context, s *db.Snapshot) (target.Kind, error) {
	return target.Kind(s.Target), nil
}

func (f snapshotFields) Images(ctx context.Context, s *db.Snapshot) ([]*db.Image, error) {
	shot, err := f.content(ctx, s)
	if err != nil {
		return nil, err
	}

	images := []*db.Image{}

	for _, name := range slices.Sorted(maps.Keys(shot.Images)) {
		image := &db.Image{Name: name, Reference: shot.Images[name].Reference}
		if digest := shot.Images[name].Digest; digest != "" {
			image.Digest = &digest
		}

		images = append(images, image)
	}

	return images, nil
}

func (f snapshotFields) Workload(ctx context.Context, s *db.Snapshot) (any, error) {
	shot, err := f.content(ctx, s)
	if err != nil || shot.Workload.IsEmpty() {
		return nil, err
	}

	return shot.Workload, nil
}

func (f snapshotFields) Configuration(ctx context.Context, s *db.Snapshot) (any, error) {
	shot, err := f.content(ctx, s)
	if err != nil {
		return nil, err
	}

	return shot.Configuration, nil
}

func (f snapshotFields) Objects(ctx context.Context, s *db.Snapshot) (any, error) {
	shot, err := f.content(ctx, s)
	if err != nil {
		return nil, err
	}

	return shot.Objects, nil
}

type planFields struct{}

func (planFields) Objects(_ context.Context, p *deployment.Plan) (any, error) { return p.Objects, nil }

func (planFields) Configuration(_ context.Context, p *deployment.Plan) (any, error) {
	return p.Configuration, nil
}
