package observe

import (
	"context"

	"entgo.io/ent/dialect/sql"

	"github.com/shiplog/shiplog/ent/db"
	"github.com/shiplog/shiplog/ent/db/deployment"
	"github.com/shiplog/shiplog/ent/db/placement"
	"github.com/shiplog/shiplog/ent/db/snapshot"
	"github.com/shiplog/shiplog/internal/store"
)

// recent is how many deployments of a unit are looked at together: more than
// a target keeps the output of.
const recent = 12

// load brings the book up to date with the memory.
func (u *unit) load(ctx context.Context) error {
	first := u.book.accounts == nil
	if first {
		u.book.accounts = map[string]*account{}
	}

	// The first time back to where everything is settled; later only what
	// may have changed since.
	for offset := 0; ; offset += recent {
		rows, err := u.deployments(ctx, offset)
		if err != nil {
			return err
		}

		open, err := u.enter(ctx, rows)
		if err != nil {
			return err
		}

		if !first || !open || len(rows) < recent {
			break
		}
	}

	return u.loadPlacement(ctx)
}

func (u *unit) deployments(ctx context.Context, offset int) ([]*db.Deployment, error) {
	rows, err := u.tenure.store.Read.Deployment.Query().
		Where(deployment.ServiceID(u.service), deployment.EnvironmentID(u.environment), deployment.ActedAtNotNil()).
		Order(deployment.ByActedAt(sql.OrderDesc())).Offset(offset).Limit(recent).
		Select(deployment.FieldID, deployment.FieldKind, deployment.FieldActedAt, deployment.FieldFinishedAt, deployment.FieldHoldsSlot).All(ctx)
	if err != nil {
		return nil, store.Classify(err)
	}

	return rows, nil
}

// enter enters deployments into the book and says whether a log among theirs
// is open.
func (u *unit) enter(ctx context.Context, rows []*db.Deployment) (open bool, err error) {
	ids := make([]string, len(rows))
	for i, row := range rows {
		ids[i] = row.ID
	}

	heads, err := u.tenure.logs.Heads(ctx, u.tenure.store.Read, ids...)
	if err != nil {
		return false, err
	}

	for _, row := range rows {
		head, logged := heads[row.ID]
		a := u.book.accounts[row.ID]

		if a == nil {
			a = &account{deployment: row.ID, undeploy: row.Kind == deployment.KindUNDEPLOY}
			a.rewind(head.Sources)
			u.book.accounts[row.ID] = a
		}

		if row.ActedAt != nil {
			a.actedAt = *row.ActedAt
		}

		if a.finishedAt == nil && row.FinishedAt != nil && !row.HoldsSlot {
			// What was drained before may have got more since.
			a.finishedAt, a.drained = row.FinishedAt, false
		}

		a.marked, a.closed = head.Outcome != nil, head.Closed
		open = open || logged && !head.Closed
	}

	return open, nil
}

// open gives the account of a deployment that a line is from, which may be an
// old one; fresh when it was not in the book.
func (u *unit) open(ctx context.Context, id string) (a *account, fresh bool, err error) {
	if a := u.book.accounts[id]; a != nil {
		return a, false, nil
	}

	rows, err := u.tenure.store.Read.Deployment.Query().
		Where(deployment.ID(id), deployment.ServiceID(u.service), deployment.EnvironmentID(u.environment)).All(ctx)
	if err != nil {
		return nil, false, store.Classify(err)
	}

	if len(rows) == 0 {
		u.tenure.log.WarnContext(ctx, "output of a deployment that the memory does not have is left alone", "unit", u.name, "deployment", id)

		a = &account{deployment: id, missing: true}
		a.rewind(nil)
		u.book.accounts[id] = a

		return a, true, nil
	}

	if _, err := u.enter(ctx, rows); err != nil {
		return nil, false, err
	}

	return u.book.accounts[id], true, nil
}

func (u *unit) loadPlacement(ctx context.Context) error {
	row, err := u.tenure.store.Read.Placement.Query().Where(placement.ID(u.placement)).
		WithApplied(func(q *db.DeploymentQuery) {
			q.WithSnapshot(func(q *db.SnapshotQuery) { q.Select(snapshot.FieldID, snapshot.FieldDigest) })
		}).Only(ctx)
	if err != nil {
		return store.Classify(err)
	}

	u.book.applied, u.book.recorded = nil, nil

	if d := row.Edges.Applied; d != nil {
		u.book.applied = &Applied{
			Deployment: d.ID, Undeploy: d.Kind == deployment.KindUNDEPLOY, Final: d.FinishedAt != nil,
		}
		if d.VersionID != nil {
			u.book.applied.Version = *d.VersionID
		}

		if d.Edges.Snapshot != nil {
			u.book.applied.Digest = d.Edges.Snapshot.Digest

			if row.RecordedID != nil && *row.RecordedID == d.ID {
				u.book.recorded = &Recorded{Deployment: d.ID, Digest: d.Edges.Snapshot.Digest, Endpoints: d.Endpoints}
			}
		}
	}

	if !u.written.loaded {
		seen, err := Read(row.Observed)
		if err != nil {
			// Written anew below.
			u.tenure.log.WarnContext(ctx, "the observed side of a placement cannot be read", "placement", u.placement, "error", err)
		}

		u.written = written{loaded: err == nil && row.ObservedAt != nil, seen: seen}
		if row.ObservedAt != nil {
			u.written.at = *row.ObservedAt
		}

		if row.Drift != nil {
			u.written.drift = *row.Drift
		}
	}

	return nil
}
