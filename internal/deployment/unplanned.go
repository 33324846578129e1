package deployment

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/shiplog/shiplog/deployer"
	"github.com/shiplog/shiplog/ent/db"
	"github.com/shiplog/shiplog/ent/db/deployment"
	"github.com/shiplog/shiplog/ent/db/step"
	"github.com/shiplog/shiplog/internal/access"
	"github.com/shiplog/shiplog/internal/fault"
	"github.com/shiplog/shiplog/internal/journal"
	"github.com/shiplog/shiplog/internal/store"
)

// cannotPlan ends a deployment whose snapshot cannot be made. What only is
// not to be had now is tried again later.
func (e *Engine) cannotPlan(ctx context.Context, held *store.Held, d *db.Deployment, cause error) error {
	var refusal *fault.Error
	if errors.As(cause, &refusal) && errors.Is(cause, errAway) {
		return cmp.Or(e.waits(ctx, held, d, refusal.Message), cause)
	}

	if refusal == nil || refusal.Code == fault.Unavailable || refusal.Code == fault.Internal {
		return cause
	}

	reason := refusal.Message
	if refusal.Field != "" {
		reason = refusal.Field + ": " + reason
	}

	diagnosis, err := diagnosisOf(cause, refusal, d.Edges.Version)
	if err != nil {
		return err
	}

	return e.inTx(ctx, held, d, func(ctx context.Context, tx *store.Tx, p *db.Placement, d *db.Deployment, steps map[step.Kind]*db.Step) error {
		if Final(d.Status) {
			return nil
		}

		if s := steps[step.KindPLAN]; s.Status == step.StatusPENDING {
			if err := mark(ctx, tx, access.Engine().Actor, d, s, step.StatusFAILED, held.Epoch, reason); err != nil {
				return err
			}
		}

		return e.finish(ctx, tx, access.Engine().Actor, p, d, deployment.StatusFAILED, "it cannot be planned: "+reason, func(u *db.DeploymentUpdateOne) {
			if diagnosis != nil {
				u.SetDiagnosis(diagnosis)
			}
		})
	})
}

// waits says, once for every reason, what a candidate waits for.
func (e *Engine) waits(ctx context.Context, held *store.Held, d *db.Deployment, reason string) error {
	reason = "waits: " + reason

	return e.inTx(ctx, held, d, func(ctx context.Context, tx *store.Tx, _ *db.Placement, d *db.Deployment, _ map[step.Kind]*db.Step) error {
		if Final(d.Status) || d.ActedAt != nil || value(d.StatusReason) == reason {
			return nil
		}

		if err := tx.Deployment.UpdateOneID(d.ID).SetStatusReason(reason).Exec(ctx); err != nil {
			return err
		}

		_, err := journal.Record(tx, journal.Entry{
			Type: "deployment.status", Actor: access.Engine().Actor, Source: "engine", Subject: d.ID, Service: d.ServiceID,
			Message: fmt.Sprintf("%s: %s: %s", d.ID, d.Status, reason), Payload: statusChange{From: d.Status, To: d.Status, Reason: reason},
		})
		if err != nil {
			return err
		}

		tx.Wake(Topic(d.ServiceID, d.EnvironmentID))

		return e.lines.Step(ctx, tx, d.ID, "plan", reason+"; it is tried again")
	})
}

// diagnosisOf gives what stands at a deployment that cannot be planned, beside
// its reason; nil when that says it all.
func diagnosisOf(cause error, refusal *fault.Error, version *db.Version) (json.RawMessage, error) {
	if !errors.Is(cause, errImage) {
		return nil, nil
	}

	raw, err := json.Marshal(deployer.Diagnosis{
		Kind: deployer.ImageUnavailable, Summary: refusal.Message,
		Advice: "push the image, or let the server see it, and deploy " + version.Name + " again; an image that was named wrongly needs a version of another name",
	})
	if err != nil {
		return nil, fmt.Errorf("write diagnosis: %w", err)
	}

	return raw, nil
}
