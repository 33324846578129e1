package cli

import (
	"context"
	"strings"
)

type holdCommands struct {
	Create  holdCreate  `cmd:"" help:"Pin a service in an environment against rules."`
	Release holdRelease `cmd:"" help:"Release a hold: the rules go on with the newest version that it held."`
	List    holdList    `cmd:"" help:"List holds, newest first."`
}

type holdCreate struct {
	keyed

	Service     string `arg:"" help:"Name or id."`
	Environment string `arg:"" help:"Name or id."`
	Reason      string `required:"" help:"Why."`
}

// Help teaches by example.
func (holdCreate) Help() string {
	return `Rules deploy nothing there until it is released, and people need --override;
a rollback does not.

Examples:

  shiplog hold create checkout production --reason "we look into the latency"`
}

// Run holds.
func (c *holdCreate) Run(ctx context.Context, s *session) error {
	in := map[string]any{"service": c.Service, "environment": c.Environment, "reason": c.Reason, "idempotencyKey": c.key()}

	type answer struct{ CreateHold struct{ Hold hold } }

	_, err := show(ctx, s, "createHold", input{"input": in}, func(p *printer, a answer) error {
		printHold(p, a.CreateHold.Hold)

		return nil
	})

	return err
}

// printHold says what stands.
func printHold(p *printer, h hold) {
	p.linef("%s %s in %s: %s (%s)", p.paint("held", yellow), h.Service.Name, h.Environment.Name, h.Reason, h.ID)
}

type holdRelease struct {
	Hold   string `arg:"" help:"Id, or SERVICE/ENVIRONMENT for the one that stands there."`
	Reason string `help:"Why."`
	Wait   bool   `short:"w" help:"Follow the deployments that were decided and end by their outcome."`
}

// Help teaches by example.
func (holdRelease) Help() string {
	return `Examples:

  shiplog hold release checkout/production --wait`
}

// Run releases.
func (c *holdRelease) Run(ctx context.Context, s *session) error {
	id, err := s.holdID(ctx, c.Hold)
	if err != nil {
		return err
	}

	in := input{"hold": id}
	in.set("reason", c.Reason)

	type answer struct {
		ReleaseHold struct {
			Hold      hold
			Changed   bool
			Decisions []decision
		}
	}

	a, err := show(ctx, s, "releaseHold", input{"input": map[string]any(in)}, func(p *printer, a answer) error {
		got := a.ReleaseHold
		p.linef("%s %s in %s", changed(got.Changed, "released", "unchanged:"), got.Hold.Service.Name, got.Hold.Environment.Name)
		printDecisions(p, got.Decisions)

		return nil
	})
	if err != nil || !c.Wait {
		return err
	}

	return s.waitForAll(ctx, madeBy(a.ReleaseHold.Decisions), true)
}

// holdID gives the id of a hold that is named by it, or by where it stands.
func (s *session) holdID(ctx context.Context, ref string) (string, error) {
	service, environment, named := strings.Cut(ref, "/")
	if !named {
		return ref, nil
	}

	type answer struct{ Holds page[hold] }

	a, err := get[answer](ctx, s, "holds", input{"first": 1, "filter": map[string]any{"service": service, "environment": environment}})
	if err != nil {
		return "", err
	}

	if len(a.Holds.Nodes) == 0 {
		return "", missing("hold", "%s is not held in %s", service, environment)
	}

	return a.Holds.Nodes[0].ID, nil
}

type holdList struct {
	paged

	Service     string            `help:"Only of this service: name or id."`
	Environment string            `help:"Only there: name or id."`
	Owner       string            `placeholder:"REF" help:"Only services of this owner."`
	Label       map[string]string `mapsep:"none" placeholder:"KEY=VALUE" help:"Only services with this label; may be repeated."`
	Released    bool              `help:"Released ones too."`
}

// Run lists.
func (c *holdList) Run(ctx context.Context, s *session) error {
	filter := input{}
	filter.set("service", c.Service)
	filter.set("environment", c.Environment)
	filter.set("owner", c.Owner)
	filter.set("labels", c.Label)
	filter.set("released", c.Released)

	type answer struct{ Holds page[hold] }

	a, err := show(ctx, s, "holds", c.variables(filter), func(p *printer, a answer) error {
		p.table(func(t *table) {
			for _, one := range a.Holds.Nodes {
				t.row(text(one.ID), cell{one.Service.Name, bold}, text(one.Environment.Name), text(one.Reason),
					text(one.Actor.Display), text(p.when(one.CreatedAt)), text(p.when(one.ReleasedAt)))
			}
		}, "HOLD", "SERVICE", "ENVIRONMENT", "REASON", "BY", "SINCE", "RELEASED")

		return nil
	})
	if err == nil {
		s.page(a.Holds.PageInfo)
	}

	return err
}
