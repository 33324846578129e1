package cli

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"time"
)

// scope says of what services and environments something is asked.
type scope struct {
	Environment string `aliases:"env" help:"Only there: name or id."`
	Tier        string `help:"Only in environments of this tier."`
	Service     string `help:"Only of this service: name or id."`
	Owner       string `placeholder:"REF" help:"Only of services of this owner."`
	Between     string `placeholder:"FROM,TO" help:"From one moment to another, as in '2026-03-03 10:00,2026-03-03 12:00' or 3d; until now without TO." required:""`
}

func (c scope) variables(now time.Time) (input, error) {
	filter := input{}
	filter.set("environment", c.Environment)
	filter.set("tier", enum(c.Tier))
	filter.set("service", c.Service)
	filter.set("owner", c.Owner)

	from, to, _ := strings.Cut(c.Between, ",")
	between := input{}

	if err := between.time("from", strings.TrimSpace(from), now); err != nil {
		return nil, err
	}

	if err := between.time("to", strings.TrimSpace(to), now); err != nil {
		return nil, err
	}

	variables := input{"between": map[string]any(between)}
	variables.set("scope", map[string]any(filter))

	return variables, nil
}

type changesCommand struct {
	paged
	scope

	Kind []string `help:"Only of these: deployment, configuration, hold, lock, block, drift, …"`
}

// Help teaches by example.
func (changesCommand) Help() string {
	return `Examples:

  shiplog changes --env production --between '2026-03-03 10:00,2026-03-03 12:00'
  shiplog changes --owner group:default/payments --between 2h --kind configuration,drift`
}

// Run asks.
func (c *changesCommand) Run(ctx context.Context, s *session) error {
	variables, err := c.scope.variables(s.now())
	if err != nil {
		return err
	}

	maps.Copy(variables, c.paged.variables(nil))

	variables.set("kinds", enums(c.Kind))

	type answer struct {
		Changes page[struct {
			Kind, Type, Message  string
			Time                 time.Time
			Actor                *actor
			Service, Environment *named
		}]
	}

	a, err := show(ctx, s, "changes", variables, func(p *printer, a answer) error {
		p.table(func(t *table) {
			for _, one := range a.Changes.Nodes {
				by := ""
				if one.Actor != nil {
					by = one.Actor.Display
				}

				t.row(text(p.when(one.Time)), cell{one.Kind, bold}, text(nameOf(one.Service)), text(nameOf(one.Environment)), text(one.Message), text(by))
			}
		}, "WHEN", "KIND", "SERVICE", "ENVIRONMENT", "WHAT", "BY")

		return nil
	})
	if err == nil {
		s.page(a.Changes.PageInfo)
	}

	return err
}

type metricsCommand struct{ scope }

// Help teaches by example.
func (metricsCommand) Help() string {
	return `Examples:

  shiplog metrics --tier production --between 30d
  shiplog metrics --service checkout --env production --between 2026-01-01,2026-04-01`
}

// Run asks.
func (c *metricsCommand) Run(ctx context.Context, s *session) error {
	variables, err := c.variables(s.now())
	if err != nil {
		return err
	}

	// The period has two ends.
	if between, ok := variables["between"].(map[string]any); ok && between["to"] == nil {
		between["to"] = s.now().UTC().Format(time.RFC3339Nano)
	}

	type timed struct {
		Count, Open               int
		MedianSeconds, P90Seconds *int64
	}

	type answer struct {
		DeliveryMetrics struct {
			From, To            time.Time
			DeploymentFrequency struct {
				Count  int
				PerDay float64
			}
			LeadTime, TimeToRestore timed
			ChangeFailureRate       struct {
				Changes, Failures int
				Rate              *float64
				Deployments       page[deployment]
			}
		}
	}

	_, err = show(ctx, s, "deliveryMetrics", variables, func(p *printer, a answer) error {
		m := a.DeliveryMetrics
		rate := "no changes"

		if m.ChangeFailureRate.Rate != nil {
			rate = fmt.Sprintf("%.1f%%, %d of %d", *m.ChangeFailureRate.Rate*100, m.ChangeFailureRate.Failures, m.ChangeFailureRate.Changes)
		}

		p.fields(text("period"), text(p.when(m.From)+" to "+p.when(m.To)),
			text("deployments"), text(fmt.Sprintf("%d, %.2f a day", m.DeploymentFrequency.Count, m.DeploymentFrequency.PerDay)),
			text("lead time"), text(timespan(m.LeadTime.MedianSeconds, m.LeadTime.P90Seconds)),
			text("changes that fail"), text(rate),
			text("time to restore"), text(timespan(m.TimeToRestore.MedianSeconds, m.TimeToRestore.P90Seconds)+changed(m.TimeToRestore.Open > 0, fmt.Sprintf(", %d open", m.TimeToRestore.Open), "")))

		if len(m.ChangeFailureRate.Deployments.Nodes) > 0 {
			p.linef("\nfailed")
			deploymentTable(p, m.ChangeFailureRate.Deployments.Nodes)
		}

		return nil
	})

	return err
}

// timespan shows the middle and the end of times.
func timespan(median, p90 *int64) string {
	if median == nil || p90 == nil {
		return "none"
	}

	return fmt.Sprintf("median %s, nine of ten within %s", time.Duration(*median)*time.Second, time.Duration(*p90)*time.Second)
}
