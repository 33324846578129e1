package deployment

import (
	"context"
	"errors"
	"time"

	"github.com/shiplog/shiplog/deployer"
	"github.com/shiplog/shiplog/ent/db"
	"github.com/shiplog/shiplog/ent/db/deployment"
	"github.com/shiplog/shiplog/ent/db/step"
	"github.com/shiplog/shiplog/internal/access"
	"github.com/shiplog/shiplog/internal/store"
)

// applyAttempts and applyBackoff bound how often a target that refuses without
// having changed anything is asked again.
const (
	applyAttempts = 4
	applyBackoff  = 200 * time.Millisecond
)

// apply tells the target what is wanted. It reports false when the deployment
// is not to go on.
func (e *Engine) apply(ctx context.Context, held *store.Held, d *db.Deployment, target deployer.Deployer, act deployer.Act) (bool, error) {
	var (
		applied deployer.Applied
		err     error
		absent  = absence{engine: e, held: held, kind: step.KindAPPLY}
	)

	defer absent.leave()

	for attempt := 1; ; attempt++ {
		// Said again by every owner, also when it was done: the target has
		// to know whom to listen to.
		applied, err = target.Apply(ctx, act)
		if err == nil {
			break
		}

		switch {
		case errors.Is(err, deployer.ErrFenced), ctx.Err() != nil:
			return false, err
		case errors.Is(err, deployer.ErrUnreachable):
			if stopped, err := absent.wait(ctx, d, err); stopped || err != nil {
				return false, err
			}

			attempt--

			continue
		case errors.Is(err, deployer.ErrUnknown):
			return false, e.unknown(ctx, held, d, step.KindAPPLY, err)
		case attempt == applyAttempts:
			return false, e.end(ctx, held, d, deployment.StatusERRORED, "the target did not take it: "+err.Error())
		}

		e.log.WarnContext(ctx, "the target did not take it, trying again", "deployment", d.ID, "attempt", attempt, "error", err)

		// It has changed nothing: this is a safe point.
		now, err := e.await(ctx, d, applyBackoff<<attempt)
		if err != nil {
			return false, err
		}

		if now.StopRequestedAt != nil {
			return false, e.stop(ctx, held, now)
		}
	}

	if _, err := absent.over(ctx, d); err != nil {
		return false, err
	}

	now, err := e.taken(ctx, held, d, applied)
	if err != nil {
		return false, err
	}

	if now.StopRequestedAt != nil { // a safe point too
		return false, e.stop(ctx, held, now)
	}

	return true, nil
}

// taken stores that the target has taken it, and gives the deployment as it is
// then.
func (e *Engine) taken(ctx context.Context, held *store.Held, d *db.Deployment, applied deployer.Applied) (now *db.Deployment, err error) {
	err = e.inTx(ctx, held, d, func(ctx context.Context, tx *store.Tx, _ *db.Placement, d *db.Deployment, steps map[step.Kind]*db.Step) error {
		now = d

		if steps[step.KindAPPLY].Status != step.StatusRUNNING {
			return nil // an owner before us has stored it
		}

		actor := access.Engine().Actor
		message := "taken by the target"

		if applied.Unchanged {
			message = "no change: the target has exactly this already"
			if d.Kind == deployment.KindUNDEPLOY {
				message = "no change: the target has nothing of it"
			}
		}

		if err := mark(ctx, tx, actor, d, steps[step.KindAPPLY], step.StatusSUCCEEDED, held.Epoch, message); err != nil {
			return err
		}

		_, err := become(ctx, tx, actor, d, deployment.StatusVERIFYING, "", func(u *db.DeploymentUpdateOne) { u.SetEndpoints(applied.Endpoints) })
		if err != nil {
			return err
		}

		if err := mark(ctx, tx, actor, d, steps[step.KindROLLOUT], step.StatusRUNNING, held.Epoch, ""); err != nil {
			return err
		}

		return e.lines.Step(ctx, tx, d.ID, "apply", append(applied.Changes, message)...)
	})

	return now, err
}

// now reads the deployment as it is now.
func (e *Engine) now(ctx context.Context, d *db.Deployment) (*db.Deployment, error) {
	now, err := e.store.Read.Deployment.Get(ctx, d.ID)
	if err != nil {
		return nil, store.Classify(err)
	}

	now.Edges = d.Edges

	return now, nil
}

// await lets the time pass, or less when the deployment is to stop, and gives
// it as it is then.
func (e *Engine) await(ctx context.Context, d *db.Deployment, limit time.Duration) (*db.Deployment, error) {
	for until := time.Now().Add(limit); ; {
		now, err := e.now(ctx, d)
		if err != nil || now.StopRequestedAt != nil || !time.Now().Before(until) {
			return now, err
		}

		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(min(watchEvery, time.Until(until))):
		}
	}
}
