package deployment

import (
	"context"
	"fmt"

	"github.com/shiplog/shiplog/ent/db"
	"github.com/shiplog/shiplog/ent/db/deployment"
	"github.com/shiplog/shiplog/ent/db/step"
	"github.com/shiplog/shiplog/internal/fault"
	"github.com/shiplog/shiplog/internal/journal"
	"github.com/shiplog/shiplog/internal/store"
)

// statusChange is the payload of deployment.status.
type statusChange struct {
	From       deployment.Status `json:"from"`
	To         deployment.Status `json:"to"`
	Reason     string            `json:"reason,omitempty"`
	Superseder string            `json:"supersededBy,omitempty"`
}

// become changes the status, with its event, in the transaction. More of the
// row can be changed through change. It is the only way a status changes.
func become(ctx context.Context, tx *store.Tx, actor journal.Actor, d *db.Deployment, to deployment.Status, reason string, change func(*db.DeploymentUpdateOne)) (eventID string, err error) {
	if !CanBecome(d.Status, to) {
		return "", fault.New(fault.Conflict, "deployment %s is %s and cannot become %s", d.ID, d.Status, to)
	}

	update := tx.Deployment.UpdateOneID(d.ID).SetStatus(to)
	assign(text(&reason), update.SetStatusReason, update.ClearStatusReason)

	if Final(to) {
		update.SetFinishedAt(store.Now()).SetHoldsSlot(false)
	}

	if change != nil {
		change(update)
	}

	after, err := update.Save(ctx)
	if err != nil {
		return "", err
	}

	// The edges that were loaded stay loaded.
	after.Edges = d.Edges
	payload := statusChange{From: d.Status, To: to, Reason: reason, Superseder: value(after.SupersededByID)}
	message := fmt.Sprintf("%s: %s", d.ID, to)

	if reason != "" {
		message += ": " + reason
	}

	*d = *after

	tx.Wake(Topic(d.ServiceID, d.EnvironmentID))

	return journal.Record(tx, journal.Entry{
		Type: "deployment.status", Actor: actor, Source: "engine", Subject: d.ID, Service: d.ServiceID, Message: message, Payload: payload,
	})
}

// stepChange is the payload of deployment.step.
type stepChange struct {
	Step    string      `json:"step"`
	Kind    step.Kind   `json:"kind"`
	From    step.Status `json:"from"`
	To      step.Status `json:"to"`
	Attempt int         `json:"attempt"`
	Epoch   int64       `json:"epoch"`
	Message string      `json:"message,omitempty"`
}

// mark changes a step, with its event.
func mark(ctx context.Context, tx *store.Tx, actor journal.Actor, d *db.Deployment, s *db.Step, to step.Status, epoch int64, message string) error {
	now := store.Now()
	update := tx.Step.UpdateOneID(s.ID).SetStatus(to).SetEpoch(epoch)
	assign(text(&message), update.SetMessage, update.ClearMessage)

	switch to {
	case step.StatusRUNNING:
		update.AddAttempt(1).SetStartedAt(now)
	case step.StatusPENDING:
		update.ClearStartedAt()
	case step.StatusUNKNOWN, step.StatusWAITING:
	default:
		update.SetFinishedAt(now)

		if s.StartedAt == nil && to != step.StatusSKIPPED && to != step.StatusCANCELLED {
			update.SetStartedAt(now).AddAttempt(1)
		}
	}

	after, err := update.Save(ctx)
	if err != nil {
		return err
	}

	payload := stepChange{Step: s.ID, Kind: s.Kind, From: s.Status, To: to, Attempt: after.Attempt, Epoch: epoch, Message: message}
	text := fmt.Sprintf("%s: step %s %s", d.ID, s.Name, to)

	if message != "" {
		text += ": " + message
	}

	*s = *after

	_, err = journal.Record(tx, journal.Entry{
		Type: "deployment.step", Actor: actor, Source: "engine", Subject: d.ID, Service: d.ServiceID, Message: text, Payload: payload,
	})

	return err
}

// finish brings a deployment to a final status: the slot is given free, steps
// that were not done are skipped, the placement learns of a success, the rules
// are asked, and the log of one that never acted is whole. The placement is
// locked.
func (e *Engine) finish(ctx context.Context, tx *store.Tx, actor journal.Actor, p *db.Placement, d *db.Deployment, to deployment.Status, reason string, change func(*db.DeploymentUpdateOne)) error {
	steps, err := tx.Step.Query().Where(step.DeploymentID(d.ID)).Order(step.ByIndex()).All(ctx)
	if err != nil {
		return err
	}

	for _, s := range steps {
		switch s.Status {
		case step.StatusPENDING:
			err = mark(ctx, tx, actor, d, s, step.StatusSKIPPED, s.Epoch, "")
		case step.StatusRUNNING, step.StatusWAITING, step.StatusUNKNOWN:
			err = mark(ctx, tx, actor, d, s, stepEnd(to), s.Epoch, reason)
		default:
		}

		if err != nil {
			return err
		}
	}

	acted := d.ActedAt != nil
	now := store.Now()

	eventID, err := become(ctx, tx, actor, d, to, reason, func(u *db.DeploymentUpdateOne) {
		if to == deployment.StatusSUCCEEDED {
			u.SetBecameCurrentAt(now).SetCurrentOrder(p.CurrentOrder + 1)
		}

		if change != nil {
			change(u)
		}
	})
	if err != nil {
		return err
	}

	if to == deployment.StatusSUCCEEDED {
		if err := becomeCurrent(ctx, tx, p, d); err != nil {
			return err
		}

		if err := e.askRules(ctx, tx, d, eventID); err != nil {
			return err
		}
	}

	if err := e.lines.Step(ctx, tx, d.ID, "", outcomeLine(to, reason)); err != nil {
		return err
	}

	if !acted {
		return e.lines.Close(ctx, tx, d.ID)
	}

	return e.jobs.compact(ctx, tx, d.ID)
}

// stepEnd is what a step under way becomes with its deployment.
func stepEnd(to deployment.Status) step.Status {
	switch to {
	case deployment.StatusSUCCEEDED:
		return step.StatusSUCCEEDED
	case deployment.StatusCANCELLED, deployment.StatusSUPERSEDED, deployment.StatusREJECTED:
		return step.StatusCANCELLED
	default:
		return step.StatusFAILED
	}
}

func outcomeLine(to deployment.Status, reason string) string {
	if reason == "" {
		return string(to)
	}

	return string(to) + ": " + reason
}
