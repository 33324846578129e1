package cli

import (
	"context"
	"errors"
)

type waitCommand struct {
	Deployment []string `arg:"" help:"Ids, or SERVICE/ENVIRONMENT for the newest there."`
	Quiet      bool     `short:"q" help:"Print only how it ended."`
}

// Help teaches by example.
func (waitCommand) Help() string {
	return `It ends with 0 when every deployment succeeded, 1 when one failed, 6 when one
was cancelled, rejected or superseded, and 5 when --timeout passed.

Examples:

  shiplog wait deployment_01k… --timeout 10m
  shiplog wait checkout/staging checkout/production -q`
}

// Run waits.
func (c *waitCommand) Run(ctx context.Context, s *session) error {
	var ids []string

	for _, ref := range c.Deployment {
		id, err := s.deploymentID(ctx, ref)
		if err != nil {
			return err
		}

		ids = append(ids, id)
	}

	return s.waitForAll(ctx, ids, !c.Quiet)
}

// waitForAll waits for the deployments one after the other and prints how each
// ended, with its log before it if wanted. The error is that of the first that
// failed, else of the first that did not succeed. With -o json it prints the
// deployments alone.
func (s *session) waitForAll(ctx context.Context, ids []string, log bool) error {
	return s.waiting(ctx, func(ctx context.Context) error {
		var worst error

		for _, id := range ids {
			err := s.waitFor(ctx, id, log)

			var ended *outcomeError
			if err != nil && !errors.As(err, &ended) {
				return err
			}

			if worst == nil || (exitCode(err) == exitFailed && exitCode(worst) != exitFailed) {
				worst = err
			}
		}

		return worst
	})
}

// waitFor follows one deployment to its outcome and prints it.
func (s *session) waitFor(ctx context.Context, id string, log bool) error {
	p := s.printer()

	f := follow{deployment: id, follow: true, until: "OUTCOME", quiet: s.json || !log}
	if f.quiet { // one stream is enough to learn of the end
		f.filter = input{"streams": []string{"STEP"}}
	}

	if err := s.follow(ctx, &f, p); err != nil {
		return err
	}

	a, err := show(ctx, s, "outcome", input{"id": id}, func(p *printer, a struct{ Deployment *deployment }) error {
		if a.Deployment == nil {
			return missing("deployment", "there is no deployment %q", id)
		}

		printActed(p, *a.Deployment)
		printDiagnosis(p, a.Deployment.Diagnosis)

		for _, one := range a.Deployment.Endpoints {
			p.linef("  %s: %s", one.Name, one.URL)
		}

		return nil
	})
	if err != nil {
		return err
	}

	if a.Deployment == nil {
		return missing("deployment", "there is no deployment %q", id)
	}

	if a.Deployment.Status != "SUCCEEDED" {
		return &outcomeError{deployment: id, status: a.Deployment.Status, reason: a.Deployment.StatusReason}
	}

	return nil
}
