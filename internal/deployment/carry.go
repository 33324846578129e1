package deployment

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	"github.com/shiplog/shiplog/deployer"
	"github.com/shiplog/shiplog/ent/db"
	"github.com/shiplog/shiplog/ent/db/deployment"
	"github.com/shiplog/shiplog/ent/db/step"
	"github.com/shiplog/shiplog/internal/access"
	"github.com/shiplog/shiplog/internal/spec"
	"github.com/shiplog/shiplog/internal/store"
)

// watchEvery is how often a deployment under way looks whether it is to stop.
const watchEvery = 250 * time.Millisecond

// carry carries one deployment on until its end, or until it waits.
func (e *Engine) carry(ctx context.Context, held *store.Held, d *db.Deployment) (err error) {
	defer func() {
		if p := recover(); p != nil {
			// A deployer's or renderer's bug ends this deployment, not the
			// program.
			e.log.ErrorContext(ctx, "a step panicked", "deployment", d.ID, "panic", p, "stack", string(debug.Stack()))

			err = e.end(ctx, held, d, deployment.StatusERRORED, "a fault of the program ended it; see the server's log")
		}
	}()

	err = e.further(ctx, held, d)
	if errors.Is(err, deployer.ErrFenced) {
		return e.foreign(ctx, held, d, err)
	}

	return err
}

// further carries it on from where it stands.
func (e *Engine) further(ctx context.Context, held *store.Held, d *db.Deployment) error {
	switch {
	case len(d.Diagnosis) > 0:
		return e.takeBack(ctx, held, d)
	case d.StopRequestedAt != nil:
		return e.stop(ctx, held, d)
	}

	p, err := e.planOf(ctx, d)
	if err != nil {
		return e.cannotPlan(ctx, held, d, err)
	}

	act := actOf(held, d, p)

	if started, err := e.begin(ctx, held, d, p); err != nil || !started {
		return err
	}

	target := e.deployers[spec.TargetKind(d.Edges.Target.Kind)]

	if applied, err := e.apply(ctx, held, d, target, act); err != nil || !applied {
		return err
	}

	return e.rollout(ctx, held, d, target, act)
}

// actOf is the deployment as its deployer sees it.
func actOf(held *store.Held, d *db.Deployment, p planned) deployer.Act {
	act := deployer.Act{
		Unit:       deployer.Unit{Service: d.Edges.Service.Name, Environment: d.Edges.Environment.Name},
		Deployment: d.ID, Epoch: held.Epoch, Snapshot: p.snapshot, Digest: p.digest, Binding: p.binding, Connection: value(d.Edges.Target.Connection),
	}
	if v := d.Edges.Version; v != nil {
		act.Version, act.VersionName = v.ID, v.Name
	}

	return act
}

// begin stores the plan, takes the slot and says that the target is about to
// be told, in one transaction. It reports false when the deployment is not to
// go on. One that has begun already goes on where it was.
func (e *Engine) begin(ctx context.Context, held *store.Held, d *db.Deployment, plan planned) (started bool, err error) {
	err = e.inTx(ctx, held, d, func(ctx context.Context, tx *store.Tx, p *db.Placement, now *db.Deployment, steps map[step.Kind]*db.Step) error {
		started = false
		actor := access.Engine().Actor
		apply := steps[step.KindAPPLY]

		switch {
		case Final(now.Status) || now.StopRequestedAt != nil || waitsForAttention(now):
			return nil
		case now.ActedAt != nil: // begun before, by us or by an owner that is gone
			started = true

			return e.takeUp(ctx, tx, held, now, steps)
		}

		if rejected, err := e.rejected(ctx, tx, p, now); err != nil || rejected {
			return err
		}

		snapshotID, err := putSnapshot(ctx, tx, plan)
		if err != nil {
			return err
		}

		if err := mark(ctx, tx, actor, now, steps[step.KindPLAN], step.StatusSUCCEEDED, held.Epoch, plan.digest); err != nil {
			return err
		}

		_, err = become(ctx, tx, actor, now, deployment.StatusRUNNING, "", func(u *db.DeploymentUpdateOne) {
			u.SetNillableSnapshotID(snapshotID).SetLayers(plan.layers).SetHoldsSlot(true).SetActedAt(store.Now())
		})
		if err != nil {
			return err
		}

		if err := mark(ctx, tx, actor, now, apply, step.StatusRUNNING, held.Epoch, ""); err != nil {
			return err
		}

		if err := tx.Placement.UpdateOneID(p.ID).SetAppliedID(now.ID).Exec(ctx); err != nil {
			return err
		}

		started = true

		if err := e.lines.Step(ctx, tx, now.ID, "plan", planLines(now, plan)...); err != nil {
			return err
		}

		return e.lines.Step(ctx, tx, now.ID, "apply", "applying")
	})

	return started, err
}

// rejected ends a deployment that has not begun when its version was blocked
// after it was asked for.
func (e *Engine) rejected(ctx context.Context, tx *store.Tx, p *db.Placement, d *db.Deployment) (bool, error) {
	if d.VersionID == nil || d.OverrideReason != nil {
		return false, nil
	}

	v, err := tx.Version.Get(ctx, *d.VersionID)
	if err != nil || v.BlockedReason == nil {
		return false, err
	}

	reason := "version " + v.Name + " is blocked: " + *v.BlockedReason

	return true, e.finish(ctx, tx, access.Engine().Actor, p, d, deployment.StatusREJECTED, reason, nil)
}

// planLines say in the log what was planned.
func planLines(d *db.Deployment, plan planned) []string {
	what := name(d.Edges.Service, d.Edges.Version, d.Edges.Environment)
	if plan.snapshot == nil {
		return []string{"planned to take away " + what}
	}

	return []string{"planned " + what, "snapshot " + plan.digest}
}

// takeUp records that an owner goes on with the step that another one, or it
// itself before a pause, had begun.
func (e *Engine) takeUp(ctx context.Context, tx *store.Tx, held *store.Held, d *db.Deployment, steps map[step.Kind]*db.Step) error {
	current := steps[step.KindAPPLY]
	if current.Status == step.StatusSUCCEEDED {
		current = steps[step.KindROLLOUT]
	}

	// A rollout that is done already was seen by a person.
	if current.Status == step.StatusSUCCEEDED || current.Status == step.StatusRUNNING && current.Epoch == held.Epoch {
		return nil
	}

	said := "taken up again by " + held.Owner
	if err := mark(ctx, tx, access.Engine().Actor, d, current, step.StatusRUNNING, held.Epoch, said); err != nil {
		return err
	}

	return e.lines.Step(ctx, tx, d.ID, current.Name, said)
}

// rollout watches until it works or does not.
func (e *Engine) rollout(ctx context.Context, held *store.Held, d *db.Deployment, target deployer.Deployer, act deployer.Act) error {
	limit := time.Now().Add(rolloutLimit)
	watched := time.Now()
	said := ""
	absent := absence{engine: e, held: held, kind: step.KindROLLOUT}

	defer absent.leave()

	for {
		progress, err := target.Rollout(ctx, act)

		if errors.Is(err, deployer.ErrUnreachable) {
			if stopped, err := absent.wait(ctx, d, err); stopped || err != nil {
				return err
			}

			continue
		}

		// It answers, though it may be that it refuses.
		took, unsaid := absent.over(ctx, d)
		if unsaid != nil {
			return unsaid
		}

		limit = limit.Add(took)

		switch {
		case errors.Is(err, deployer.ErrUnknown):
			return e.unknown(ctx, held, d, step.KindROLLOUT, err)
		case err != nil:
			return err
		case progress.Verdict == deployer.Ready:
			return e.endWith(ctx, held, d, deployment.StatusSUCCEEDED, "", func(u *db.DeploymentUpdateOne) { u.SetEndpoints(progress.Endpoints) }, progress.Message)
		case progress.Verdict == deployer.Failed:
			return e.failed(ctx, held, d, progress.Diagnosis)
		case time.Now().After(limit):
			return e.failed(ctx, held, d, &deployer.Diagnosis{
				Kind: deployer.TimedOut, Summary: fmt.Sprintf("nothing conclusive within %s: %s", rolloutLimit, progress.Message),
			})
		}

		if progress.Message != "" && progress.Message != said {
			said = progress.Message

			if err := e.say(ctx, held, d, said); err != nil {
				return err
			}
		}

		if time.Since(watched) >= watchEvery {
			watched = time.Now()

			now, err := e.now(ctx, d)
			if err != nil {
				return err
			}

			if now.StopRequestedAt != nil {
				return e.stop(ctx, held, now)
			}
		}

		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(e.poll):
		}
	}
}

func (e *Engine) say(ctx context.Context, held *store.Held, d *db.Deployment, lines ...string) error {
	return e.store.WithTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := tx.Fence(ctx, held); err != nil {
			return err
		}

		return e.lines.Step(ctx, tx, d.ID, "rollout", lines...)
	})
}

// end brings the deployment to a final status, in the lease's name.
func (e *Engine) end(ctx context.Context, held *store.Held, d *db.Deployment, to deployment.Status, reason string, lines ...string) error {
	return e.endWith(ctx, held, d, to, reason, nil, lines...)
}

// endWith is end, with more of the row to be changed.
func (e *Engine) endWith(ctx context.Context, held *store.Held, d *db.Deployment, to deployment.Status, reason string, change func(*db.DeploymentUpdateOne), lines ...string) error {
	return e.inTx(ctx, held, d, func(ctx context.Context, tx *store.Tx, p *db.Placement, d *db.Deployment, _ map[step.Kind]*db.Step) error {
		if Final(d.Status) {
			return nil
		}

		if said := notEmpty(lines); len(said) > 0 {
			if err := e.lines.Step(ctx, tx, d.ID, "rollout", said...); err != nil {
				return err
			}
		}

		return e.finish(ctx, tx, access.Engine().Actor, p, d, to, reason, change)
	})
}

func notEmpty(lines []string) []string {
	var kept []string

	for _, line := range lines {
		if strings.TrimSpace(line) != "" {
			kept = append(kept, line)
		}
	}

	return kept
}

// unknown stores that nobody knows whether a step was done: a person decides.
// A person who has decided already is believed.
func (e *Engine) unknown(ctx context.Context, held *store.Held, d *db.Deployment, kind step.Kind, cause error) error {
	return e.inTx(ctx, held, d, func(ctx context.Context, tx *store.Tx, p *db.Placement, d *db.Deployment, steps map[step.Kind]*db.Step) error {
		if Final(d.Status) {
			return nil
		}

		actor := access.Engine().Actor
		if kind == step.KindROLLOUT && steps[kind].Status == step.StatusSUCCEEDED {
			return e.finish(ctx, tx, actor, p, d, deployment.StatusSUCCEEDED, "", nil)
		}

		if err := mark(ctx, tx, actor, d, steps[kind], step.StatusUNKNOWN, held.Epoch, cause.Error()); err != nil {
			return err
		}

		reason := "the outcome of " + steps[kind].Name + " is not known: look at the target, then resolveStep"
		if _, err := become(ctx, tx, actor, d, deployment.StatusWAITING, reason, nil); err != nil {
			return err
		}

		return e.lines.Step(ctx, tx, d.ID, steps[kind].Name, reason)
	})
}
