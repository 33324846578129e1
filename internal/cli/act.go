package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
)

// acting is what the commands that deploy have in common.
type acting struct {
	keyed

	Reason          string `help:"Why."`
	Preempt         bool   `help:"Stop what is under way at its next safe point."`
	Override        string `placeholder:"REASON" help:"Pass a lock, hold or block, with the right to; recorded."`
	ExpectedCurrent string `placeholder:"DEPLOYMENT" help:"The current deployment that you saw; another one is refused."`
	DryRun          bool   `help:"Only plan: print what would be applied, and what stands against it."`
	Wait            bool   `short:"w" help:"Follow its log and end by its outcome."`
}

func (c acting) fill(in input) {
	in["idempotencyKey"] = c.key()
	in.set("reason", c.Reason)
	in.set("preempt", c.Preempt)
	in.set("dryRun", c.DryRun)
	in.set("expectedCurrent", c.ExpectedCurrent)

	if c.Override != "" {
		in["override"] = map[string]any{"reason": c.Override}
	}
}

// act sends the mutation, prints the deployment that it made, and waits for it
// if wanted.
func (c acting) act(ctx context.Context, s *session, mutation string, in input) error {
	c.fill(in)

	type answer map[string]struct {
		Deployment *deployment
		Plan       *plan
		Hold       *hold
	}

	a, err := show(ctx, s, mutation, input{"input": map[string]any(in)}, func(p *printer, a answer) error {
		switch got := a[mutation]; {
		case got.Plan != nil:
			return printPlan(p, got.Plan)
		case got.Deployment != nil:
			printActed(p, *got.Deployment)
		}

		if got := a[mutation]; got.Hold != nil {
			printHold(p, *got.Hold)
		}

		return nil
	})
	if err != nil || !c.Wait || a[mutation].Deployment == nil {
		return err
	}

	return s.waitForAll(ctx, []string{a[mutation].Deployment.ID}, true)
}

func printActed(p *printer, d deployment) {
	p.linef("%s %s: %s → %s (%s)", d.Kind, p.status(d.Status), d.what(), d.Environment.Name, d.ID)
}

type plan struct {
	Digest                 string
	Unchanged              bool
	Objects, Configuration json.RawMessage
	Current                *deployment
	Unmet                  []reason
}

func printPlan(p *printer, got *plan) error {
	p.fields(text("snapshot"), text(got.Digest),
		text("in place"), text(changed(got.Unchanged, "already", "not yet")))

	for _, gate := range got.Unmet {
		p.linef("%s: %s", p.paint(gate.Code, red), gate.Message)
	}

	for name, part := range map[string]json.RawMessage{"objects": got.Objects} {
		var out bytes.Buffer
		if err := json.Indent(&out, part, "", "  "); err != nil {
			return fmt.Errorf("indent the plan's %s: %w", name, err)
		}

		p.linef("%s", out.String())
	}

	return nil
}

type deployCommand struct {
	acting

	Service     string `arg:"" help:"Name or id."`
	Version     string `arg:"" help:"Name or id."`
	Environment string `arg:"" help:"Name or id."`
}

// Help teaches by example.
func (deployCommand) Help() string {
	return `Examples:

  shiplog deploy checkout 1.4.2 production --wait --reason "fixes the rounding"
  shiplog deploy checkout 1.4.2 production --dry-run`
}

// Run deploys.
func (c *deployCommand) Run(ctx context.Context, s *session) error {
	return c.act(ctx, s, "deploy", input{"service": c.Service, "version": c.Version, "environment": c.Environment})
}

type promoteCommand struct {
	acting

	Service string `arg:"" help:"Name or id."`
	From    string `arg:"" help:"The environment in which the version is in place: name or id."`
	To      string `arg:"" help:"The environment to deploy it to: name or id."`
}

// Help teaches by example.
func (promoteCommand) Help() string {
	return `Examples:

  shiplog promote checkout staging production --wait --reason "the suites are green"
  shiplog promote checkout staging production --dry-run`
}

// Run promotes.
func (c *promoteCommand) Run(ctx context.Context, s *session) error {
	return c.act(ctx, s, "promote", input{"service": c.Service, "from": c.From, "to": c.To})
}

type redeployCommand struct {
	acting

	Deployment string `arg:"" help:"Id, or SERVICE/ENVIRONMENT for the newest there."`
	Latest     bool   `help:"With the latest configuration instead of that of then."`
}

// Help teaches by example.
func (redeployCommand) Help() string {
	return `Examples:

  shiplog redeploy deployment_01k… --wait
  shiplog redeploy checkout/production --latest`
}

// Run redeploys.
func (c *redeployCommand) Run(ctx context.Context, s *session) error {
	id, err := s.deploymentID(ctx, c.Deployment)
	if err != nil {
		return err
	}

	in := input{"deployment": id, "configuration": changed(c.Latest, "LATEST", "THEN")}

	return c.act(ctx, s, "redeploy", in)
}

type rollbackCommand struct {
	acting

	Service     string `arg:"" help:"Name or id."`
	Environment string `arg:"" help:"Name or id."`
	To          string `placeholder:"DEPLOYMENT" help:"The deployment to go back to; the last good one before when left out. One that never worked needs --override."`
	Hold        bool   `default:"true" negatable:"" help:"Hold it there, so that no rule undoes it; release it with hold release."`
}

// Help teaches by example.
func (rollbackCommand) Help() string {
	return `Examples:

  shiplog rollback checkout production --wait --reason "checkout fails for guests"
  shiplog rollback checkout staging --no-hold`
}

// Run rolls back.
func (c *rollbackCommand) Run(ctx context.Context, s *session) error {
	in := input{"service": c.Service, "environment": c.Environment}
	in.set("to", c.To)

	if !c.Hold {
		in["hold"] = false
	}

	return c.act(ctx, s, "rollback", in)
}

type undeployCommand struct {
	acting

	Service     string `arg:"" help:"Name or id."`
	Environment string `arg:"" help:"Name or id."`
}

// Help teaches by example.
func (undeployCommand) Help() string {
	return `What runs there is removed; redeploy or rollback bring it back.

Examples:

  shiplog undeploy checkout preview-17 --wait --reason "the branch is merged"`
}

// Run takes it away.
func (c *undeployCommand) Run(ctx context.Context, s *session) error {
	return c.act(ctx, s, "undeploy", input{"service": c.Service, "environment": c.Environment})
}

type cancelCommand struct {
	Deployment string `arg:"" help:"Id, or SERVICE/ENVIRONMENT for the newest there."`
	Reason     string `help:"Why."`
}

// Help teaches by example.
func (cancelCommand) Help() string {
	return `Examples:

  shiplog cancel checkout/production --reason "wrong version"`
}

// Run cancels.
func (c *cancelCommand) Run(ctx context.Context, s *session) error {
	id, err := s.deploymentID(ctx, c.Deployment)
	if err != nil {
		return err
	}

	in := input{"deployment": id}
	in.set("reason", c.Reason)

	type answer struct {
		CancelDeployment struct{ Deployment deployment }
	}

	_, err = show(ctx, s, "cancelDeployment", input{"input": map[string]any(in)}, func(p *printer, a answer) error {
		printActed(p, a.CancelDeployment.Deployment)

		return nil
	})

	return err
}

type resolveCommand struct {
	Step    string `arg:"" help:"The id of the step."`
	Outcome string `arg:"" enum:"succeeded,failed,retry" help:"What became of it: ${enum}."`
	Reason  string `required:"" help:"How that is known."`
}

// Help teaches by example.
func (resolveCommand) Help() string {
	return `Examples:

  shiplog resolve step_01k… retry --reason "nothing of it is in the cluster"`
}

// Run resolves.
func (c *resolveCommand) Run(ctx context.Context, s *session) error {
	in := map[string]any{"step": c.Step, "outcome": enum(c.Outcome), "reason": c.Reason}

	type answer struct {
		ResolveStep struct{ Deployment deployment }
	}

	_, err := show(ctx, s, "resolveStep", input{"input": in}, func(p *printer, a answer) error {
		printActed(p, a.ResolveStep.Deployment)

		return nil
	})

	return err
}
