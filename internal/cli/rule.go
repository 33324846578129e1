package cli

import (
	"context"
	"strconv"
	"strings"
)

type ruleCommands struct {
	Put    rulePut    `cmd:"" help:"Create a rule or change it, by its name."`
	List   ruleList   `cmd:"" help:"List rules."`
	Test   ruleTest   `cmd:"" help:"What would every rule decide for this version now? Nothing is done."`
	Delete ruleDelete `cmd:"" help:"Delete a rule; its decisions stay."`
}

type rulePut struct {
	keyed

	Name      string            `arg:"" help:"A DNS label."`
	On        string            `required:"" enum:"version-registered,deployment-succeeded" help:"What starts it: ${enum}."`
	To        string            `required:"" placeholder:"ENVIRONMENT" help:"Where to: name or id."`
	From      string            `placeholder:"ENVIRONMENT" help:"For deployment-succeeded: only of deployments to this environment."`
	Condition string            `placeholder:"CEL" help:"Only when this holds; over version, service, environment, source and deployment."`
	Kind      []string          `help:"For deployment-succeeded: the kinds of deployments that start it; deploy, promote and patch when left out."`
	Service   []string          `placeholder:"NAME" help:"Only for these services; * stands for any characters."`
	Label     map[string]string `mapsep:"none" placeholder:"KEY=VALUE" help:"Only for services with this label."`
	Owner     []string          `placeholder:"REF" help:"Only for services of these owners."`
	Disabled  bool              `help:"Store it, but let it decide nothing."`
}

// Help teaches by example.
func (rulePut) Help() string {
	return `Examples:

  shiplog rule put every-version --on version-registered --to development
  shiplog rule put promote --on deployment-succeeded --from development --to production \
      --condition 'version.ref == "main"'`
}

// Run puts the rule.
func (c *rulePut) Run(ctx context.Context, s *session) error {
	selector := input{}
	selector.set("names", c.Service)
	selector.set("labels", c.Label)
	selector.set("owners", c.Owner)

	in := input{
		"name": c.Name, "trigger": enum(c.On), "targetEnvironment": c.To,
		"enabled": !c.Disabled, "idempotencyKey": c.key(),
	}
	in.set("sourceEnvironment", c.From)
	in.set("condition", c.Condition)
	in.set("kinds", enums(c.Kind))
	in.set("selector", map[string]any(selector))

	type answer struct {
		PutRule struct {
			Rule    rule
			Changed bool
		}
	}

	_, err := show(ctx, s, "putRule", input{"input": map[string]any(in)}, func(p *printer, a answer) error {
		p.linef("%s rule %s, revision %d",
			changed(a.PutRule.Changed, "put", "unchanged:"), a.PutRule.Rule.Name, a.PutRule.Rule.Revision)

		return nil
	})

	return err
}

type ruleList struct {
	paged

	Environment string `help:"Only with this target."`
	Deleted     bool   `help:"Deleted ones too."`
}

// Run lists.
func (c *ruleList) Run(ctx context.Context, s *session) error {
	filter := input{}
	filter.set("environment", c.Environment)
	filter.set("archived", c.Deleted)

	type answer struct{ Rules page[rule] }

	a, err := show(ctx, s, "rules", c.variables(filter), func(p *printer, a answer) error {
		p.table(func(t *table) {
			for _, one := range a.Rules.Nodes {
				t.row(cell{one.Name, bold}, text(strconv.Itoa(one.Revision)), text(state(one)), text(starts(one)),
					text(selects(one)), text(one.Condition), text(one.TargetEnvironment.Name))
			}
		}, "NAME", "REVISION", "STATE", "ON", "SERVICES", "CONDITION", "TO")

		return nil
	})
	if err == nil {
		s.page(a.Rules.PageInfo)
	}

	return err
}

func state(r rule) string {
	switch {
	case !r.DeletedAt.IsZero():
		return "deleted"
	case !r.Enabled:
		return "disabled"
	default:
		return "enabled"
	}
}

// starts says what starts a rule.
func starts(r rule) string {
	if r.SourceEnvironment != nil {
		return r.Trigger + " in " + r.SourceEnvironment.Name
	}

	return r.Trigger
}

// selects says which services a rule is about.
func selects(r rule) string {
	all := append([]string{}, r.Selector.Names...)
	all = append(all, r.Selector.Owners...)

	if l := labels(r.Selector.Labels); l != "" {
		all = append(all, l)
	}

	if len(all) == 0 {
		return "all"
	}

	return strings.Join(all, " ")
}

type ruleTest struct {
	Service string `arg:"" help:"Name or id."`
	Version string `arg:"" help:"Name or id."`
}

// Help teaches by example.
func (ruleTest) Help() string {
	return `Examples:

  shiplog rule test checkout 1.4.2`
}

// Run asks.
func (c *ruleTest) Run(ctx context.Context, s *session) error {
	type answer struct{ EvaluateRules []decision }

	_, err := show(ctx, s, "evaluateRules", input{"service": c.Service, "version": c.Version},
		func(p *printer, a answer) error {
			p.table(func(t *table) {
				for _, one := range a.EvaluateRules {
					var why []string
					for _, r := range one.Reasons {
						why = append(why, r.Message)
					}

					t.row(cell{one.Rule.Name, bold}, text(one.Environment.Name), status(one.Effect),
						text(strings.Join(why, "; ")))
				}
			}, "RULE", "TO", "WOULD", "WHY")

			return nil
		})

	return err
}

type ruleDelete struct {
	Rule string `arg:"" help:"Name or id."`
}

// Run deletes it.
func (c *ruleDelete) Run(ctx context.Context, s *session) error {
	type answer struct {
		DeleteRule struct {
			Rule    rule
			Changed bool
		}
	}

	variables := input{"input": map[string]any{"rule": c.Rule}}

	_, err := show(ctx, s, "deleteRule", variables, func(p *printer, a answer) error {
		p.linef("%s rule %s", changed(a.DeleteRule.Changed, "deleted", "unchanged:"), a.DeleteRule.Rule.Name)

		return nil
	})

	return err
}
