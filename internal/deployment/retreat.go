package deployment

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/shiplog/shiplog/deployer"
	"github.com/shiplog/shiplog/ent/db"
	"github.com/shiplog/shiplog/ent/db/deployment"
	"github.com/shiplog/shiplog/ent/db/step"
	"github.com/shiplog/shiplog/internal/access"
	"github.com/shiplog/shiplog/internal/spec"
	"github.com/shiplog/shiplog/internal/store"
)

// failed takes back a rollout that did not work and ends the deployment. Why
// it failed is stored first: whoever has to go on from here takes it back too,
// and does not apply again what the target has given up already.
func (e *Engine) failed(ctx context.Context, held *store.Held, d *db.Deployment, diagnosis *deployer.Diagnosis) error {
	raw, err := json.Marshal(diagnosis)
	if err != nil {
		return fmt.Errorf("write diagnosis: %w", err)
	}

	lines := notEmpty([]string{string(diagnosis.Kind) + ": " + diagnosis.Summary, diagnosis.Advice})

	var now *db.Deployment

	err = e.inTx(ctx, held, d, func(ctx context.Context, tx *store.Tx, _ *db.Placement, d *db.Deployment, steps map[step.Kind]*db.Step) error {
		now = d

		if Final(d.Status) || len(d.Diagnosis) > 0 {
			return nil // stored already
		}

		if err := mark(ctx, tx, access.Engine().Actor, d, steps[step.KindROLLOUT], step.StatusFAILED, held.Epoch, diagnosis.Summary); err != nil {
			return err
		}

		if err := tx.Deployment.UpdateOneID(d.ID).SetDiagnosis(raw).Exec(ctx); err != nil {
			return err
		}

		now.Diagnosis = raw

		return e.lines.Step(ctx, tx, d.ID, "rollout", lines...)
	})
	if err != nil {
		return err
	}

	if Final(now.Status) {
		return nil
	}

	return e.takeBack(ctx, held, now)
}

// takeBack takes back what can be taken back of a deployment that has failed,
// and ends it.
func (e *Engine) takeBack(ctx context.Context, held *store.Held, d *db.Deployment) error {
	var diagnosis deployer.Diagnosis
	if err := json.Unmarshal(d.Diagnosis, &diagnosis); err != nil {
		return fmt.Errorf("read diagnosis: %w", err)
	}

	left, err := e.abandon(ctx, held, d)
	if err != nil {
		return err
	}

	return e.end(ctx, held, d, deployment.StatusFAILED, diagnosis.Summary, left.Message)
}

// abandon tells the target to take back what it can.
func (e *Engine) abandon(ctx context.Context, held *store.Held, d *db.Deployment) (deployer.Left, error) {
	p, err := e.planOf(ctx, d)
	if err != nil {
		return deployer.Left{}, err
	}

	return e.deployers[spec.TargetKind(d.Edges.Target.Kind)].Abandon(ctx, actOf(held, d, p))
}

// stop ends a deployment that somebody asked to stop, at this safe point: as
// FAILED when it is to stop because one of its steps has failed.
func (e *Engine) stop(ctx context.Context, held *store.Held, d *db.Deployment) error {
	said := "nothing was applied"

	failed, err := e.store.Read.Step.Query().Where(step.DeploymentID(d.ID), step.StatusEQ(step.StatusFAILED)).Exist(ctx)
	if err != nil {
		return store.Classify(err)
	}

	if d.ActedAt != nil {
		left, err := e.abandon(ctx, held, d)
		if err != nil {
			return err
		}

		said = left.Message
	}

	reason := value(d.StopReason)
	if said != "" {
		reason += "; " + said
	}

	to := deployment.StatusCANCELLED
	if failed {
		to = deployment.StatusFAILED
	}

	return e.end(ctx, held, d, to, reason)
}
