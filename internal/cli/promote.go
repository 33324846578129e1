package cli

import (
	"context"
	"fmt"
	"strings"
)

type environmentPromote struct {
	keyed

	From     string   `arg:"" help:"The environment in which the versions are in place: name or id."`
	To       string   `arg:"" help:"The environment to deploy them to: name or id."`
	Service  []string `help:"Only these services: name or id; may be repeated."`
	Expected string   `placeholder:"DIGEST" help:"The digest of the set that was reviewed; without it the set is only shown."`
	Reason   string   `help:"Why."`
	Preempt  bool     `help:"Stop what is under way at its next safe point."`
	Override string   `placeholder:"REASON" help:"Pass a lock, holds and blocks, with the right to; recorded."`
	Wait     bool     `short:"w" help:"Follow the deployments and end by their outcome."`
}

// Help teaches by example.
func (environmentPromote) Help() string {
	return `Shows what differs and the digest of that set; with the digest, exactly that set
is promoted, or nothing when it is another one by now.

Examples:

  shiplog environment promote staging production
  shiplog environment promote staging production --expected sha256:… --wait`
}

type promotionSet struct {
	Digest string
	Items  []struct {
		Service, Version named
		Current          *deployment
		Plan             *struct{ Unmet []reason }
		Refusal          *reason
	}
}

// Run shows or promotes.
func (c *environmentPromote) Run(ctx context.Context, s *session) error {
	in := input{"from": c.From, "to": c.To}
	in.set("services", c.Service)
	in.set("expected", c.Expected)
	in.set("dryRun", c.Expected == "")
	in.set("reason", c.Reason)
	in.set("preempt", c.Preempt)

	if c.Override != "" {
		in["override"] = map[string]any{"reason": c.Override}
	}

	if c.Expected != "" {
		in["idempotencyKey"] = c.key()
	}

	type answer struct {
		PromoteEnvironment struct {
			Set         *promotionSet
			Deployments []deployment
		}
	}

	a, err := show(ctx, s, "promoteEnvironment", input{"input": map[string]any(in)}, func(p *printer, a answer) error {
		if set := a.PromoteEnvironment.Set; set != nil {
			printSet(p, *set)
		}

		for _, one := range a.PromoteEnvironment.Deployments {
			printActed(p, one)
		}

		return nil
	})
	if err != nil || !c.Wait {
		return err
	}

	var made []string
	for _, one := range a.PromoteEnvironment.Deployments {
		made = append(made, one.ID)
	}

	return s.waitForAll(ctx, made, true)
}

func printSet(p *printer, set promotionSet) {
	p.table(func(t *table) {
		for _, one := range set.Items {
			var (
				against []string
				now     string
			)

			if one.Current != nil {
				now = one.Current.leaves()
			}

			if one.Refusal != nil {
				against = append(against, fmt.Sprintf("%s: %s", one.Refusal.Code, one.Refusal.Message))
			}

			if one.Plan != nil {
				for _, gate := range one.Plan.Unmet {
					against = append(against, fmt.Sprintf("%s: %s", gate.Code, gate.Message))
				}
			}

			t.row(cell{one.Service.Name, bold}, text(now), cell{one.Version.Name, bold}, cell{strings.Join(against, "; "), red})
		}
	}, "SERVICE", "NOW", "WOULD BE", "")
	p.linef("\nexpected %s", set.Digest)
}
