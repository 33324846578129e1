package deployment

import (
	"context"
	"fmt"
	"strings"

	"github.com/shiplog/shiplog/ent/db"
	"github.com/shiplog/shiplog/ent/db/deployment"
	"github.com/shiplog/shiplog/ent/db/step"
	"github.com/shiplog/shiplog/internal/access"
	"github.com/shiplog/shiplog/internal/fault"
	"github.com/shiplog/shiplog/internal/id"
	"github.com/shiplog/shiplog/internal/spec"
	"github.com/shiplog/shiplog/internal/store"
)

// Cancel is the input of cancelDeployment.
type Cancel struct {
	Deployment string
	Reason     *string
}

// Cancel stops a deployment: at once when it has not acted, else at its next
// safe point. Cancelling again changes nothing. Errors: NOT_FOUND; CONFLICT
// when it is over.
func (e *Engine) Cancel(ctx context.Context, in Cancel) (*Result, error) {
	caller, err := access.From(ctx)
	if err != nil {
		return nil, err
	}

	if in.Reason != nil {
		if err := spec.ValidateText("reason", *in.Reason, maxReason); err != nil {
			return nil, err
		}
	}

	reason := "cancelled by " + caller.Actor.Display
	if said := value(in.Reason); said != "" {
		reason += ": " + said
	}

	err = e.store.WithTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		d, p, err := lockDeployment(ctx, tx, "deployment", in.Deployment)
		if err != nil {
			return err
		}

		switch {
		case d.Status == deployment.StatusCANCELLED, d.StopRequestedAt != nil && !Final(d.Status):
			return nil // done, or on its way
		case Final(d.Status):
			return fault.New(fault.Conflict, "deployment %s is over: %s", d.ID, d.Status).At("deployment")
		case d.ActedAt == nil:
			return e.finish(ctx, tx, caller.Actor, p, d, deployment.StatusCANCELLED, reason, nil)
		}

		if err := requestStop(ctx, tx, caller.Actor, d, reason, nil); err != nil {
			return err
		}

		return e.jobs.advance(ctx, tx, d.ServiceID, d.EnvironmentID)
	})
	if err != nil {
		return nil, err
	}

	d, err := Find(ctx, e.store.Read, "deployment", in.Deployment)

	return &Result{d}, err
}

// lockDeployment locks the placement of a deployment and gives both as they
// are now.
func lockDeployment(ctx context.Context, tx *store.Tx, field, ref string) (*db.Deployment, *db.Placement, error) {
	d, err := Find(ctx, tx.Client, field, ref)
	if err != nil {
		return nil, nil, err
	}

	p, err := lockPlacement(ctx, tx, d.ServiceID, d.EnvironmentID)
	if err != nil {
		return nil, nil, err
	}

	d, err = tx.Deployment.Get(ctx, d.ID)

	return d, p, err
}

// Outcome is what became of a step.
type Outcome string

// The outcomes.
const (
	OutcomeSucceeded Outcome = "SUCCEEDED"
	OutcomeFailed    Outcome = "FAILED"
	OutcomeRetry     Outcome = "RETRY"
)

// ResolveStep is the input of resolveStep.
type ResolveStep struct {
	Step    string
	Outcome Outcome
	Reason  string
}

// ResolveStepResult is the payload of resolveStep.
type ResolveStepResult struct {
	Step       *db.Step
	Deployment *db.Deployment
}

// ResolveStep says what became of a step whose outcome is not known. Errors:
// NOT_FOUND; CONFLICT when it is known.
func (e *Engine) ResolveStep(ctx context.Context, in ResolveStep) (*ResolveStepResult, error) {
	caller, err := access.From(ctx)
	if err != nil {
		return nil, err
	}

	if strings.TrimSpace(in.Reason) == "" {
		return nil, fault.Invalid("reason", "want how it is known")
	}

	if err := spec.ValidateText("reason", in.Reason, maxReason); err != nil {
		return nil, err
	}

	var result ResolveStepResult

	return &result, e.store.WithTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		if !id.IsOf(in.Step, id.Step) {
			return fault.Missing("step", "there is no step %q", in.Step)
		}

		s, err := tx.Step.Get(ctx, in.Step)

		switch {
		case db.IsNotFound(err):
			return fault.Missing("step", "there is no step %q", in.Step)
		case err != nil:
			return err
		}

		d, _, err := lockDeployment(ctx, tx, "step", s.DeploymentID)
		if err != nil {
			return err
		}

		if s, err = tx.Step.Get(ctx, s.ID); err != nil {
			return err
		}

		if s.Status != step.StatusUNKNOWN {
			return fault.New(fault.Conflict, "step %s is %s: there is nothing to resolve", s.Name, s.Status).At("step")
		}

		if err := e.resolve(ctx, tx, caller, in, d, s); err != nil {
			return err
		}

		result.Deployment = d
		result.Step, err = tx.Step.Get(ctx, s.ID)

		return err
	})
}

func (e *Engine) resolve(ctx context.Context, tx *store.Tx, caller access.Caller, in ResolveStep, d *db.Deployment, s *db.Step) error {
	said := fmt.Sprintf("%s says %s: %s", caller.Actor.Display, in.Outcome, in.Reason)

	if err := e.lines.Step(ctx, tx, d.ID, s.Name, said); err != nil {
		return err
	}

	switch in.Outcome {
	case OutcomeFailed:
		if err := mark(ctx, tx, caller.Actor, d, s, step.StatusFAILED, s.Epoch, said); err != nil {
			return err
		}

		// Part of it may be there: the owner takes it back before the end.
		if err := requestStop(ctx, tx, caller.Actor, d, said, nil); err != nil {
			return err
		}

		return e.jobs.advance(ctx, tx, d.ServiceID, d.EnvironmentID)
	case OutcomeRetry:
		if err := mark(ctx, tx, caller.Actor, d, s, step.StatusPENDING, s.Epoch, said); err != nil {
			return err
		}
	case OutcomeSucceeded:
		if err := mark(ctx, tx, caller.Actor, d, s, step.StatusSUCCEEDED, s.Epoch, said); err != nil {
			return err
		}
	}

	// A rollout is watched again, also one that was seen to work: its target
	// may have something left to do, such as ending what was there before. An
	// apply is made again or followed by its rollout.
	to := deployment.StatusRUNNING
	if s.Kind == step.KindROLLOUT || in.Outcome == OutcomeSucceeded {
		to = deployment.StatusVERIFYING
	}

	if _, err := become(ctx, tx, caller.Actor, d, to, "", nil); err != nil {
		return err
	}

	return e.jobs.advance(ctx, tx, d.ServiceID, d.EnvironmentID)
}
