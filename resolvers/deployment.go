package resolvers

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/shiplog/shiplog/deployer"
	"github.com/shiplog/shiplog/ent/db"
	deploymentrow "github.com/shiplog/shiplog/ent/db/deployment"
	"github.com/shiplog/shiplog/ent/db/event"
	"github.com/shiplog/shiplog/ent/db/step"
	"github.com/shiplog/shiplog/graph"
	"github.com/shiplog/shiplog/internal/access"
	"github.com/shiplog/shiplog/internal/contract"
	"github.com/shiplog/shiplog/internal/deployment"
	"github.com/shiplog/shiplog/internal/id"
	"github.com/shiplog/shiplog/internal/journal"
	"github.com/shiplog/shiplog/internal/logs"
	"github.com/shiplog/shiplog/internal/page"
	"github.com/shiplog/shiplog/internal/store"
)

// maxTimeline bounds a deployment's timeline.
const maxTimeline = 500

type deploymentFields struct{ *Resolver }

func (f deploymentFields) Service(ctx context.Context, d *db.Deployment) (*db.Service, error) {
	return load(ctx).service.Load(ctx, d.ServiceID)
}

func (f deploymentFields) Environment(ctx context.Context, d *db.Deployment) (*db.Environment, error) {
	return load(ctx).environment.Load(ctx, d.EnvironmentID)
}

func (f deploymentFields) Version(ctx context.Context, d *db.Deployment) (*db.Version, error) {
	return maybe(ctx, load(ctx).version, d.VersionID)
}

func (f deploymentFields) Target(ctx context.Context, d *db.Deployment) (*db.Target, error) {
	return load(ctx).target.Load(ctx, d.TargetID)
}

func (f deploymentFields) Snapshot(ctx context.Context, d *db.Deployment) (*db.Snapshot, error) {
	return maybe(ctx, load(ctx).snapshot, d.SnapshotID)
}

func (f deploymentFields) Base(ctx context.Context, d *db.Deployment) (*db.Deployment, error) {
	return maybe(ctx, load(ctx).deployment, d.BaseID)
}

func (f deploymentFields) Source(ctx context.Context, d *db.Deployment) (*db.Deployment, error) {
	return maybe(ctx, load(ctx).deployment, d.SourceID)
}

func (f deploymentFields) SupersededBy(ctx context.Context, d *db.Deployment) (*db.Deployment, error) {
	return maybe(ctx, load(ctx).deployment, d.SupersededByID)
}

func (f deploymentFields) Steps(ctx context.Context, d *db.Deployment) ([]*db.Step, error) {
	return load(ctx).steps.Load(ctx, d.ID)
}

func (f deploymentFields) Checks(ctx context.Context, d *db.Deployment) ([]*db.Check, error) {
	return load(ctx).checks.Load(ctx, d.ID)
}

func (f deploymentFields) Decision(ctx context.Context, d *db.Deployment) (*db.Decision, error) {
	return orNone(load(ctx).decisionOf.Load(ctx, d.ID))
}

func (f deploymentFields) Diagnosis(_ context.Context, d *db.Deployment) (*deployer.Diagnosis, error) {
	if len(d.Diagnosis) == 0 {
		return nil, nil //nolint:nilnil // null is the contract's answer
	}

	var diagnosis deployer.Diagnosis
	if err := json.Unmarshal(d.Diagnosis, &diagnosis); err != nil {
		return nil, fmt.Errorf("read diagnosis: %w", err)
	}

	if diagnosis.LastLines == nil {
		diagnosis.LastLines = []string{}
	}

	return &diagnosis, nil
}

func (f deploymentFields) Endpoints(_ context.Context, d *db.Deployment) ([]*graph.Endpoint, error) {
	endpoints := []*graph.Endpoint{}
	for _, name := range slices.Sorted(maps.Keys(d.Endpoints)) {
		endpoints = append(endpoints, &graph.Endpoint{Name: name, URL: d.Endpoints[name]})
	}

	return endpoints, nil
}

func (f deploymentFields) Events(ctx context.Context, d *db.Deployment, first *int, after *string) (*contract.EventConnection, error) {
	return paged(ctx, f.Resolver, func(ctx context.Context, c *db.Client) (*page.Page[*db.Event], error) {
		return journal.List(ctx, c, &journal.Filter{Subject: &d.ID}, page.Args{First: first, After: after})
	})
}

// aboutStep is the part of an event's payload that names a step.
type aboutStep struct {
	Step string `json:"step"`
}

func (f deploymentFields) Timeline(ctx context.Context, d *db.Deployment) ([]*graph.TimelineEntry, error) {
	events, err := f.Store.Read.Event.Query().Where(event.Subject(d.ID)).Order(event.BySeq()).Limit(maxTimeline).All(ctx)
	if err != nil {
		return nil, store.Classify(err)
	}

	steps, err := load(ctx).steps.Load(ctx, d.ID)
	if err != nil {
		return nil, err
	}

	byID := map[string]*db.Step{}
	for _, s := range steps {
		byID[s.ID] = s
	}

	ids := make([]string, len(events))
	for i, e := range events {
		ids[i] = e.ID
	}

	payloads, err := load(ctx).payload.LoadAll(ctx, ids)
	if err != nil {
		return nil, err
	}

	timeline := make([]*graph.TimelineEntry, len(events))

	for i, e := range events {
		entry := &graph.TimelineEntry{Time: e.Time, Type: e.Type, Message: e.Message}
		if entry.Actor, err = actor(e.ActorKind, e.ActorIssuer, e.ActorSubject, e.ActorDisplay); err != nil {
			return nil, err
		}

		if content := payloads[i].Content; content != nil && e.Type == "deployment.step" {
			var about aboutStep
			if err := json.Unmarshal([]byte(*content), &about); err != nil {
				return nil, fmt.Errorf("read the payload of %s: %w", e.ID, err)
			}

			entry.Step = byID[about.Step]
		}

		timeline[i] = entry
	}

	return timeline, nil
}

func (f deploymentFields) CanRollback(ctx context.Context, d *db.Deployment) (*deployment.CanRollback, error) {
	e, err := load(ctx).environment.Load(ctx, d.EnvironmentID)
	if err != nil {
		return nil, err
	}

	p, err := orNone(load(ctx).placement.Load(ctx, id.PlacementID(d.ServiceID, d.EnvironmentID)))
	if err != nil {
		return nil, err
	}

	v, err := maybe(ctx, load(ctx).version, d.VersionID)
	if err != nil {
		return nil, err
	}

	can := deployment.RollbackAllowed(d, v, e, p)

	return &can, nil
}

func (f deploymentFields) ViewerCan(ctx context.Context, d *db.Deployment) (*graph.DeploymentPermissions, error) {
	caller, err := access.From(ctx)
	if err != nil {
		return nil, err
	}

	back, err := f.CanRollback(ctx, d)
	if err != nil {
		return nil, err
	}

	steps, err := f.Steps(ctx, d)
	if err != nil {
		return nil, err
	}

	unknown := slices.ContainsFunc(steps, func(s *db.Step) bool { return s.Status == step.StatusUNKNOWN })

	return &graph.DeploymentPermissions{
		Cancel:   caller.May("Mutation.cancelDeployment") && !deployment.Final(d.Status) && d.StopRequestedAt == nil,
		Redeploy: caller.May("Mutation.redeploy") && d.SnapshotID != nil && d.Kind != deploymentrow.KindEXTERNAL,
		Rollback: caller.May("Mutation.rollback") && back.Allowed,
		Resolve:  caller.May("Mutation.resolveStep") && unknown,
	}, nil
}

func (f deploymentFields) Logs(ctx context.Context, d *db.Deployment, first *int, after *string, last *int, before *string, filter *logs.Filter) (*contract.LogLineConnection, error) {
	args, err := page.Args{First: first, After: after, Last: last, Before: before}.Size()
	if err != nil {
		return nil, err
	}

	q := logs.PageQuery{First: args.First, Last: args.Last}
	if filter != nil {
		q.Filter = *filter
	}

	if q.After, err = logPlace("after", d.ID, after); err != nil {
		return nil, err
	}

	if q.Before, err = logPlace("before", d.ID, before); err != nil {
		return nil, err
	}

	p, err := f.Resolver.Logs.Page(ctx, f.Store.Read, d.ID, q)
	if err != nil {
		return nil, err
	}

	return contract.NewLogLineConnection(logs.CursorsOf(d.ID), p), nil
}

func logPlace(field, deploymentID string, cursor *string) (*int64, error) {
	if cursor == nil {
		return nil, nil //nolint:nilnil // no place is an answer
	}

	seq, err := logs.DecodeCursor(field, *cursor, deploymentID)

	return &seq, err
}
