package resolvers

import (
	"context"
	"errors"
	"time"

	"github.com/shiplog/shiplog/ent/db"
	versionrow "github.com/shiplog/shiplog/ent/db/version"
	"github.com/shiplog/shiplog/internal/contract"
	"github.com/shiplog/shiplog/internal/deployment"
	"github.com/shiplog/shiplog/internal/page"
)

type versionFields struct{ *Resolver }

func (f versionFields) Service(ctx context.Context, v *db.Version) (*db.Service, error) {
	return load(ctx).service.Load(ctx, v.ServiceID)
}

func (f versionFields) Images(ctx context.Context, v *db.Version) ([]*db.Image, error) {
	if v.Edges.Images != nil {
		return v.Edges.Images, nil
	}

	return load(ctx).images.Load(ctx, v.ID)
}

func (f versionFields) Notes(ctx context.Context, v *db.Version) (*string, error) {
	document, err := maybe(ctx, load(ctx).document, v.NotesDigest)
	if err != nil || document == nil {
		return nil, err
	}

	return &document.Content, nil
}

func (f versionFields) Workload(ctx context.Context, v *db.Version) (*contract.Workload, error) {
	document, err := maybe(ctx, load(ctx).document, v.WorkloadDigest)
	if err != nil || document == nil {
		return nil, err
	}

	if v.WorkloadKind == versionrow.WorkloadKindMANIFESTS {
		return &contract.Workload{Digest: document.ID, Manifests: &document.Content}, nil
	}

	return &contract.Workload{Digest: document.ID, Score: rawJSON(document.Content)}, nil
}

func (f versionFields) WorkloadFrom(ctx context.Context, v *db.Version) (*db.Version, error) {
	return maybe(ctx, load(ctx).version, v.WorkloadFromID)
}

func (f versionFields) Decisions(ctx context.Context, v *db.Version) ([]*db.Decision, error) {
	return load(ctx).decisions.Load(ctx, v.ID)
}

func (f versionFields) Checks(ctx context.Context, v *db.Version, environment *string) ([]*db.Check, error) {
	return load(ctx).checksOf.Load(ctx, keyWith(v.ID, value(environment)))
}

func (f versionFields) Placements(ctx context.Context, v *db.Version, at *time.Time) ([]*deployment.Placement, error) {
	found, err := versionPlacements(ctx, v, atKey(at))
	if err != nil {
		return nil, err
	}

	return found, wanted(ctx, "Placement").placements(found)
}

// versionPlacements are where a version is: now by an index of its own, at a
// past moment among all placements of the service.
func versionPlacements(ctx context.Context, v *db.Version, at string) ([]*deployment.Placement, error) {
	if at == "" {
		return load(ctx).placementsOfVersion.Load(ctx, v.ID)
	}

	all, err := load(ctx).placementsOf.Load(ctx, keyWith(v.ServiceID, at))
	if err != nil {
		return nil, err
	}

	found := []*deployment.Placement{}

	for _, p := range all {
		if value(p.RecordedVersionID) == v.ID {
			found = append(found, p)
		}
	}

	return found, nil
}

func (f versionFields) Journey(ctx context.Context, v *db.Version) ([]*deployment.JourneyStop, error) {
	stops, err := f.Engine.Journey(ctx, v)
	if err != nil {
		return nil, err
	}

	var (
		deployments  []*db.Deployment
		began, ended []string
	)

	for _, s := range stops {
		deployments = append(deployments, s.Deployments...)
		load(ctx).environment.keep(s.Environment.ID, s.Environment)

		for _, stay := range s.Stays {
			began, ended = append(began, stay.DeploymentID), append(ended, value(stay.EndedByID))
		}
	}

	for _, d := range deployments {
		load(ctx).deployment.keep(d.ID, d)
	}

	stays := wanted(ctx, "JourneyStop").at("JourneyStay", "stays")

	if err := errors.Join(
		follow(stays, "deployment", "Deployment", load(ctx).deployment, began, want.deployments),
		follow(stays, "endedBy", "Deployment", load(ctx).deployment, ended, want.deployments),
	); err != nil {
		return nil, err
	}

	return stops, wanted(ctx, "JourneyStop").at("Deployment", "deployments").deployments(deployments)
}

func (f versionFields) Deployments(ctx context.Context, v *db.Version, first *int, after *string, last *int, before *string) (*contract.DeploymentConnection, error) {
	return f.deployments(ctx, &deployment.Filter{Version: &v.ID}, page.Args{First: first, After: after, Last: last, Before: before})
}

type workloadFields struct{}

func (workloadFields) Score(_ context.Context, w *contract.Workload) (any, error) {
	if w.Score == nil {
		return nil, nil //nolint:nilnil // null is the contract's answer
	}

	return w.Score, nil
}
