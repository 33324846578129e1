package resolvers

import (
	"context"

	"github.com/shiplog/shiplog/ent/db"
	deploymentrow "github.com/shiplog/shiplog/ent/db/deployment"
	"github.com/shiplog/shiplog/internal/deployment"
	"github.com/shiplog/shiplog/internal/spec/diff"
)

func (q query) Diff(ctx context.Context, from, to deployment.DiffRef) (*deployment.Diff, error) {
	return q.Engine.Diff(ctx, from, to)
}

// Diff compares a deployment with its base: both of one environment.
func (f deploymentFields) Diff(ctx context.Context, d *db.Deployment) (*deployment.Diff, error) {
	if d.SnapshotID == nil && d.Kind != deploymentrow.KindUNDEPLOY {
		return nil, nil //nolint:nilnil // null is the contract's answer
	}

	to, err := f.side(ctx, d)
	if err != nil {
		return nil, err
	}

	base, err := f.Base(ctx, d)
	if err != nil {
		return nil, err
	}

	var from diff.Side
	if base != nil {
		if from, err = f.side(ctx, base); err != nil {
			return nil, err
		}
	}

	return deployment.NewDiff(from, to)
}

// side gives what a deployment applied, out of what is loaded for the whole
// response.
func (f deploymentFields) side(ctx context.Context, d *db.Deployment) (side diff.Side, err error) {
	version, err := f.Version(ctx, d)
	if err != nil {
		return side, err
	}

	if version != nil {
		side.Version = version.Name
	}

	row, err := f.Snapshot(ctx, d)
	if err != nil || row == nil {
		return side, err
	}

	side.Snapshot, err = snapshotFields(f).content(ctx, row)

	return side, err
}

type diffFields struct{}

func (diffFields) Equal(_ context.Context, d *deployment.Diff) (bool, error) {
	return len(d.Changes) == 0, nil
}

func (diffFields) Operations(_ context.Context, d *deployment.Diff) (any, error) {
	return listed(d.Operations), nil
}

func (diffFields) Reverse(_ context.Context, d *deployment.Diff) (any, error) {
	return listed(d.Reverse), nil
}

// listed gives a list also for none.
func listed(operations []diff.Operation) []diff.Operation {
	return append([]diff.Operation{}, operations...)
}

type changeFields struct{}

func (changeFields) Before(_ context.Context, c *diff.Change) (any, error) { return shown(c.Before) }

func (changeFields) After(_ context.Context, c *diff.Change) (any, error) { return shown(c.After) }

// shown gives null for what is not there.
func shown[T ~[]byte](value T) (any, error) {
	if value == nil {
		return nil, nil //nolint:nilnil // null is the contract's answer
	}

	return value, nil
}
