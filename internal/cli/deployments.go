package cli

import (
	"context"
	"strconv"
	"strings"
	"time"
)

type deploymentsCommand struct {
	paged

	Service     string            `help:"Only of this service: name or id."`
	Environment string            `help:"Only to this environment: name or id."`
	Version     string            `help:"Only of this version: name or id."`
	Tier        string            `help:"Only to environments of this tier."`
	Status      []string          `help:"Only with one of these: queued, running, succeeded, failed, …"`
	Kind        []string          `help:"Only of one of these: deploy, promote, rollback, …"`
	Cause       []string          `help:"Only because of one of these: ci, rule, user, event."`
	Actor       string            `placeholder:"SUBJECT" help:"Only by them."`
	Owner       string            `placeholder:"REF" help:"Only of services of this owner."`
	Label       map[string]string `mapsep:"none" placeholder:"KEY=VALUE" help:"Only of services with this label; may be repeated."`
	Since       string            `placeholder:"TIME" help:"Only created at or after: a moment, or how long ago (3d)."`
	Until       string            `placeholder:"TIME" help:"Only created before."`
}

// Help teaches by example.
func (deploymentsCommand) Help() string {
	return `Examples:

  shiplog deployments --service checkout --environment production
  shiplog deployments --status failed --status errored --since 7d
  shiplog deployments --tier production --kind rollback -o json`
}

// Run lists.
func (c *deploymentsCommand) Run(ctx context.Context, s *session) error {
	filter := input{}
	filter.set("service", c.Service)
	filter.set("environment", c.Environment)
	filter.set("version", c.Version)
	filter.set("tier", enum(c.Tier))
	filter.set("status", enums(c.Status))
	filter.set("kind", enums(c.Kind))
	filter.set("cause", enums(c.Cause))
	filter.set("actor", c.Actor)
	filter.set("owner", c.Owner)
	filter.set("labels", c.Label)

	if err := filter.time("createdAfter", c.Since, s.now()); err != nil {
		return err
	}

	if err := filter.time("createdBefore", c.Until, s.now()); err != nil {
		return err
	}

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

// deploymentID takes an id, or SERVICE/ENVIRONMENT for the newest there.
func (s *session) deploymentID(ctx context.Context, ref string) (string, error) {
	service, environment, ok := strings.Cut(ref, "/")
	if !ok {
		return ref, nil
	}

	type answer struct{ Deployments page[deployment] }

	a, err := get[answer](ctx, s, "deployments", input{
		"first": 1, "filter": map[string]any{"service": service, "environment": environment},
	})
	if err != nil {
		return "", err
	}

	if len(a.Deployments.Nodes) == 0 {
		return "", missing("deployment", "%s was never deployed to %s", service, environment)
	}

	return a.Deployments.Nodes[0].ID, nil
}

type deploymentCommands struct {
	Show deploymentShow `cmd:"" help:"Show a deployment: its steps, what happened to it, why it failed."`
}

type deploymentShow struct {
	Deployment string `arg:"" help:"Id, or SERVICE/ENVIRONMENT for the newest there."`
}

// Help teaches by example.
func (deploymentShow) Help() string {
	return `Examples:

  shiplog deployment show checkout/production
  shiplog deployment show deployment_01k… -o json`
}

// deploymentWhole is everything that `deployment show` shows.
type deploymentWhole struct {
	deployment

	URL                        string
	Backfill                   bool
	Target                     target
	Snapshot                   *struct{ Digest string }
	Base, Source, SupersededBy *deployment
	Decision                   *struct{ Rule named }
	Steps                      []struct {
		Name, Kind, Status, Message string
		Attempt                     int
		StartedAt, FinishedAt       time.Time
	}
	Checks   []check
	Timeline []struct {
		Time          time.Time
		Type, Message string
		Actor         actor
	}
	CanRollback struct {
		Allowed bool
		Reason  string
	}
}

// Run shows it.
func (c *deploymentShow) Run(ctx context.Context, s *session) error {
	id, err := s.deploymentID(ctx, c.Deployment)
	if err != nil {
		return err
	}

	_, err = show(ctx, s, "deployment", input{"id": id}, func(p *printer, a struct{ Deployment *deploymentWhole }) error {
		if a.Deployment == nil {
			return missing("deployment", "there is no deployment %q", c.Deployment)
		}

		printDeployment(p, a.Deployment)

		return nil
	})

	return err
}

func printDeployment(p *printer, one *deploymentWhole) {
	var snapshot, by, took string

	if one.Snapshot != nil {
		snapshot = one.Snapshot.Digest
	}

	if by = one.Actor.Display; one.Decision != nil {
		by += ", rule " + one.Decision.Rule.Name
	}

	if !one.ActedAt.IsZero() && !one.FinishedAt.IsZero() {
		took = one.FinishedAt.Sub(one.ActedAt).Round(time.Millisecond).String()
	}

	p.fields(text("deployment"), text(one.ID), text("what"), cell{one.what(), bold},
		text("where"), text(one.Environment.Name+" ("+place(one.Target)+")"),
		text("status"), status(one.Status), text("because"), text(one.StatusReason),
		text("kind"), text(one.Kind), text("by"), text(by), text("reason"), text(one.Reason),
		text("when"), text(p.when(one.OccurredAt)), text("took"), text(took), text("current from"), text(p.when(one.BecameCurrentAt)),
		text("instead of"), text(reference(one.Base)), text("repeats"), text(reference(one.Source)),
		text("superseded by"), text(reference(one.SupersededBy)),
		text("endpoints"), text(addresses(one.Endpoints)), text("link"), text(one.URL), text("snapshot"), text(snapshot),
		text("rollback to it"), text(changed(one.CanRollback.Allowed, "possible", one.CanRollback.Reason)))
	printDiagnosis(p, one.Diagnosis)
	p.linef("")
	p.table(func(t *table) {
		for _, step := range one.Steps {
			t.row(cell{step.Name, bold}, status(step.Status), text(strconv.Itoa(step.Attempt)),
				text(p.when(step.StartedAt)), text(step.Message))
		}
	}, "STEP", "STATUS", "ATTEMPT", "BEGUN", "MESSAGE")
	p.linef("")
	p.table(func(t *table) {
		for _, entry := range one.Timeline {
			t.row(text(p.when(entry.Time)), text(entry.Type), text(entry.Message), text(entry.Actor.Display))
		}
	}, "WHEN", "WHAT", "", "BY")

	if len(one.Checks) > 0 {
		p.linef("")
		checkTable(p, one.Checks)
	}
}

// reference names another deployment.
func reference(d *deployment) string {
	if d == nil {
		return ""
	}

	return strings.TrimSpace(d.versionName() + " " + d.ID)
}
