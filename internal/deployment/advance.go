package deployment

import (
	"context"
	"errors"
	"time"

	"github.com/shiplog/shiplog/ent/db"
	"github.com/shiplog/shiplog/ent/db/deployment"
	"github.com/shiplog/shiplog/ent/db/step"
	"github.com/shiplog/shiplog/internal/store"
)

// Advance carries on what there is to do for a service in an environment, as
// far as it goes, if nobody else does. It may be called at any time and by
// anybody, again and again.
func (e *Engine) Advance(ctx context.Context, serviceID, environmentID string) error {
	for {
		held, err := e.leases.Take(ctx, unitLease(serviceID, environmentID))
		if errors.Is(err, store.ErrNotOwner) {
			return nil // whoever has it carries on
		}

		if err != nil {
			return err
		}

		err = e.own(ctx, held, serviceID, environmentID)

		if releaseErr := e.release(ctx, held); err == nil {
			err = releaseErr
		}

		if err != nil {
			return err
		}

		// A job that came while we held the lease has gone away empty.
		d, err := e.next(ctx, serviceID, environmentID)
		if err != nil || d == nil {
			return err
		}
	}
}

func (e *Engine) release(ctx context.Context, held *store.Held) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), store.Term)
	defer cancel()

	return e.leases.Release(ctx, held)
}

// own carries on, as the owner, until there is nothing more to do.
func (e *Engine) own(ctx context.Context, held *store.Held, serviceID, environmentID string) error {
	ctx, stop := e.keep(ctx, held)
	defer stop()

	for {
		d, err := e.next(ctx, serviceID, environmentID)
		if err != nil || d == nil {
			return err
		}

		if err := e.carry(ctx, held, d); err != nil {
			if cause := context.Cause(ctx); cause != nil {
				return cause
			}

			return err
		}
	}
}

// keep renews the lease until stop is called. The context ends, with the
// cause ErrNotOwner, when the lease is lost or could not be renewed for its
// term.
func (e *Engine) keep(ctx context.Context, held *store.Held) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	done := make(chan struct{})

	go func() {
		defer close(done)

		ticker := time.NewTicker(store.Beat)
		defer ticker.Stop()

		renewed := time.Now()

		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}

			began := time.Now()

			renewing, cancelRenewal := context.WithDeadline(ctx, renewed.Add(store.Term))
			err := e.leases.Renew(renewing, held)

			cancelRenewal()

			switch {
			case err == nil:
				renewed = began
			case errors.Is(err, store.ErrNotOwner), time.Since(renewed) >= store.Term:
				cancel(store.ErrNotOwner)

				return
			default:
				e.log.WarnContext(ctx, "lease is not renewed", "lease", held.Name, "error", err)
			}
		}
	}()

	return ctx, func() {
		cancel(context.Canceled)
		<-done
	}
}

// next gives what is to be carried on: the holder of the slot, else the newest
// candidate; nil when there is nothing, or nothing that we can do.
func (e *Engine) next(ctx context.Context, serviceID, environmentID string) (*db.Deployment, error) {
	rows, err := e.store.Read.Deployment.Query().
		Where(deployment.ServiceID(serviceID), deployment.EnvironmentID(environmentID), deployment.FinishedAtIsNil()).
		Order(db.Desc(deployment.FieldHoldsSlot), db.Desc(deployment.FieldID)).
		WithService().WithEnvironment().WithVersion(func(q *db.VersionQuery) { q.WithImages() }).WithTarget().
		Limit(1).All(ctx)
	if err != nil {
		return nil, store.Classify(err)
	}

	if len(rows) == 0 || waitsForAttention(rows[0]) {
		return nil, nil //nolint:nilnil // nothing to do is an answer
	}

	return rows[0], nil
}

// waitsForAttention: a person has to say what became of it, or to stop it.
func waitsForAttention(d *db.Deployment) bool {
	return d.Status == deployment.StatusWAITING && d.StopRequestedAt == nil
}

// inTx runs body in a transaction that is ours only while the lease is, with
// the placement locked and the deployment and its steps as they are now.
func (e *Engine) inTx(ctx context.Context, held *store.Held, d *db.Deployment, body func(ctx context.Context, tx *store.Tx, p *db.Placement, d *db.Deployment, steps map[step.Kind]*db.Step) error) error {
	return e.store.WithTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		p, err := lockPlacement(ctx, tx, d.ServiceID, d.EnvironmentID)
		if err != nil {
			return err
		}

		if err := tx.Fence(ctx, held); err != nil {
			return err
		}

		now, err := tx.Deployment.Get(ctx, d.ID)
		if err != nil {
			return err
		}

		now.Edges = d.Edges

		rows, err := tx.Step.Query().Where(step.DeploymentID(d.ID)).All(ctx)
		if err != nil {
			return err
		}

		steps := make(map[step.Kind]*db.Step, len(rows))
		for _, s := range rows {
			steps[s.Kind] = s
		}

		return body(ctx, tx, p, now, steps)
	})
}
