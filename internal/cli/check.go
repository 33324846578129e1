package cli

import (
	"context"
	"strconv"
	"time"
)

type checkCommands struct {
	Report checkReport `cmd:"" help:"Report the result of a check."`
}

type checkReport struct {
	keyed

	Service     string `arg:"" help:"Name or id."`
	Version     string `arg:"" help:"Name or id."`
	Name        string `arg:"" help:"Which check, such as e2e."`
	Result      string `arg:"" enum:"passed,failed,inconclusive" help:"Its result: ${enum}."`
	Environment string `help:"Where it ran: name or id."`
	URL         string `help:"The report."`
	Summary     string `help:"In a few words, Markdown."`
}

// Help teaches by example.
func (checkReport) Help() string {
	return `Examples:

  shiplog check report checkout 1.4.2 e2e passed --environment staging --url "$BUILD_URL"`
}

// Run reports it.
func (c *checkReport) Run(ctx context.Context, s *session) error {
	in := input{
		"service": c.Service, "version": c.Version, "name": c.Name,
		"result": enum(c.Result), "idempotencyKey": c.key(),
	}
	in.set("environment", c.Environment)
	in.set("url", c.URL)
	in.set("summary", c.Summary)

	type answer struct{ ReportCheck struct{ Check check } }

	_, err := show(ctx, s, "reportCheck", input{"input": map[string]any(in)}, func(p *printer, a answer) error {
		one := a.ReportCheck.Check
		p.linef("%s %s of %s %s (%s)", one.Name, p.status(one.Result), c.Service, one.Version.Name, one.ID)

		return nil
	})

	return err
}

func checkTable(p *printer, checks []check) {
	p.table(func(t *table) {
		for _, one := range checks {
			t.row(cell{one.Name, bold}, status(one.Result), text(nameOf(one.Environment)),
				text(p.when(one.CreatedAt)), text(one.Summary), text(one.URL))
		}
	}, "CHECK", "RESULT", "ENVIRONMENT", "WHEN", "SUMMARY", "REPORT")
}

// stop is a stop of a version's journey.
type stop struct {
	Environment                                 named
	FirstDeployedAt, CurrentSince, CurrentUntil time.Time
	IsCurrent                                   bool
	Deployments                                 []struct{ ID, Status string }
	Checks                                      []struct{ Name, Result string }
}

func journeyTable(p *printer, journey []stop) {
	p.table(func(t *table) {
		for _, one := range journey {
			until := p.when(one.CurrentUntil)
			if one.IsCurrent {
				until = "now"
			}

			t.row(cell{one.Environment.Name, bold}, text(p.when(one.FirstDeployedAt)), text(p.when(one.CurrentSince)),
				text(until), text(strconv.Itoa(len(one.Deployments))), text(strconv.Itoa(len(one.Checks))))
		}
	}, "ENVIRONMENT", "FIRST DEPLOYED", "CURRENT FROM", "UNTIL", "DEPLOYMENTS", "CHECKS")
}
