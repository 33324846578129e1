package cli

import (
	"context"
	"time"
)

type journeyCommand struct {
	Service string `arg:"" help:"Name or id."`
	Version string `arg:"" help:"Name or id."`
}

// Help teaches by example.
func (journeyCommand) Help() string {
	return `Examples:

  shiplog journey checkout 1.4.2`
}

// Run asks.
func (c *journeyCommand) Run(ctx context.Context, s *session) error {
	type stay struct {
		Since, Until        time.Time
		Deployment, EndedBy *deployment
	}

	type answer struct {
		Version *struct {
			Journey []struct {
				Environment named
				SoakSeconds int64
				Verdict     string
				IsCurrent   bool
				Stays       []stay
				Deployments []deployment
				Checks      []check
			}
		}
	}

	_, err := show(ctx, s, "journey", input{"service": c.Service, "name": c.Version}, func(p *printer, a answer) error {
		if a.Version == nil {
			return missing("version", "there is no version %q of %q", c.Version, c.Service)
		}

		for _, stop := range a.Version.Journey {
			p.linef("%s  %s  %s", p.paint(stop.Environment.Name, bold), p.status(stop.Verdict),
				changed(stop.IsCurrent, "current", "")+changed(stop.SoakSeconds > 0, " for "+rough(time.Duration(stop.SoakSeconds)*time.Second)+" in all", ""))

			for _, one := range stop.Deployments {
				p.linef("  %s  %s %s by %s  %s", p.when(one.OccurredAt), one.Kind, p.status(one.Status), one.Actor.Display, p.paint(one.StatusReason, dim))
			}

			for _, one := range stop.Stays {
				if one.EndedBy != nil {
					p.linef("  %s  ended by %s to %s, by %s", p.when(one.Until), one.EndedBy.Kind, one.EndedBy.leaves(), one.EndedBy.Actor.Display)
				}
			}

			for _, one := range stop.Checks {
				p.linef("  %s  check %s %s by %s  %s", p.when(one.CreatedAt), one.Name, p.status(one.Result), one.Actor.Display, p.paint(one.Summary, dim))
			}
		}

		if len(a.Version.Journey) == 0 {
			p.linef("%s of %s was nowhere yet", c.Version, c.Service)
		}

		return nil
	})

	return err
}

type historyCommand struct {
	paged

	Service     string `arg:"" help:"Name or id."`
	Environment string `arg:"" optional:"" help:"Name or id; every environment when left out."`
}

// Help teaches by example.
func (historyCommand) Help() string {
	return `Examples:

  shiplog history checkout production`
}

// Run asks.
func (c *historyCommand) Run(ctx context.Context, s *session) error {
	filter := input{"service": c.Service}
	filter.set("environment", c.Environment)

	type answer struct{ Deployments page[deployment] }

	a, err := show(ctx, s, "deployments", c.variables(filter), func(p *printer, a answer) error {
		deploymentTable(p, a.Deployments.Nodes)

		return nil
	})
	if err == nil {
		s.page(a.Deployments.PageInfo)
	}

	return err
}
