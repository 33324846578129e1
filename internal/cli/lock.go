package cli

import "context"

type lockCommand struct {
	Environment string `arg:"" help:"Name or id."`
	Reason      string `required:"" help:"Why."`
}

// Help teaches by example.
func (lockCommand) Help() string {
	return `Rules hold there until it is unlocked, and people need --override.

Examples:

  shiplog lock production --reason "the sale is on"`
}

// Run locks.
func (c *lockCommand) Run(ctx context.Context, s *session) error {
	type answer struct {
		LockEnvironment struct {
			Environment environment
			Changed     bool
		}
	}

	variables := input{"input": map[string]any{"environment": c.Environment, "reason": c.Reason}}

	_, err := show(ctx, s, "lockEnvironment", variables, func(p *printer, a answer) error {
		got := a.LockEnvironment
		p.linef("%s %s: %s", changed(got.Changed, "locked", "unchanged:"), got.Environment.Name, got.Environment.LockedReason)

		return nil
	})

	return err
}

type unlockCommand struct {
	Environment string `arg:"" help:"Name or id."`
	Reason      string `help:"Why."`
}

// Help teaches by example.
func (unlockCommand) Help() string {
	return `What the lock held is decided again.

Examples:

  shiplog unlock production`
}

// Run unlocks.
func (c *unlockCommand) Run(ctx context.Context, s *session) error {
	in := input{"environment": c.Environment}
	in.set("reason", c.Reason)

	type answer struct {
		UnlockEnvironment struct {
			Environment environment
			Changed     bool
		}
	}

	_, err := show(ctx, s, "unlockEnvironment", input{"input": map[string]any(in)}, func(p *printer, a answer) error {
		p.linef("%s %s", changed(a.UnlockEnvironment.Changed, "unlocked", "unchanged:"), a.UnlockEnvironment.Environment.Name)

		return nil
	})

	return err
}

type versionBlock struct {
	Service string `arg:"" help:"Name or id."`
	Version string `arg:"" help:"Name or id."`
	Reason  string `required:"" help:"Why."`
}

// Help teaches by example.
func (versionBlock) Help() string {
	return `Rules skip it and people need --override. Where it is, it stays.

Examples:

  shiplog version block checkout 1.4.2 --reason "it loses orders"`
}

// Run blocks.
func (c *versionBlock) Run(ctx context.Context, s *session) error {
	return blocking(ctx, s, "blockVersion", "blocked", input{"service": c.Service, "version": c.Version, "reason": c.Reason})
}

type versionUnblock struct {
	Service string `arg:"" help:"Name or id."`
	Version string `arg:"" help:"Name or id."`
	Reason  string `help:"Why."`
}

// Help teaches by example.
func (versionUnblock) Help() string {
	return `Examples:

  shiplog version unblock checkout 1.4.2`
}

// Run unblocks.
func (c *versionUnblock) Run(ctx context.Context, s *session) error {
	in := input{"service": c.Service, "version": c.Version}
	in.set("reason", c.Reason)

	return blocking(ctx, s, "unblockVersion", "unblocked", in)
}

func blocking(ctx context.Context, s *session, mutation, did string, in input) error {
	type answer map[string]struct {
		Version version
		Changed bool
	}

	_, err := show(ctx, s, mutation, input{"input": map[string]any(in)}, func(p *printer, a answer) error {
		got := a[mutation]
		p.linef("%s %s %s", changed(got.Changed, did, "unchanged:"), got.Version.Service.Name, got.Version.Name)

		return nil
	})

	return err
}
