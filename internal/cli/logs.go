package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

type logsCommand struct {
	Deployment string   `arg:"" help:"Id, or SERVICE/ENVIRONMENT for the newest there."`
	Follow     bool     `short:"f" help:"Go on with what is written from now on."`
	Until      string   `default:"outcome" enum:"outcome,replaced" help:"With -f: until its outcome, or replaced: on with what it put in place until another deployment takes over."`
	After      string   `xor:"from" placeholder:"CURSOR" help:"Only what comes after this cursor."`
	Last       int      `short:"n" xor:"from" help:"Begin with the last so many lines."`
	Stream     []string `help:"Only of these: step, container, cluster."`
	Container  string   `help:"Only of this container."`
	Instance   string   `help:"Only of this instance."`
	Contains   string   `placeholder:"TEXT" help:"Only lines that contain this."`
}

// Help teaches by example.
func (logsCommand) Help() string {
	return `A lost connection is resumed; every line comes once. When it is interrupted it
says the cursor to go on from.

Examples:

  shiplog logs -f checkout/production
  shiplog logs deployment_01k… --last 50 --stream container
  shiplog logs -f checkout/production --until replaced --contains ERROR
  shiplog logs deployment_01k… -f --after CURSOR -o json`
}

// Run prints the log.
func (c *logsCommand) Run(ctx context.Context, s *session) error {
	id, err := s.deploymentID(ctx, c.Deployment)
	if err != nil {
		return err
	}

	follow := follow{deployment: id, after: c.After, follow: c.Follow, until: enum(c.Until), filter: input{}}
	follow.filter.set("streams", enums(c.Stream))
	follow.filter.set("container", c.Container)
	follow.filter.set("instance", c.Instance)
	follow.filter.set("contains", c.Contains)

	p := s.printer()

	return s.waiting(ctx, func(ctx context.Context) error {
		if c.Last > 0 {
			if err := c.last(ctx, s, &follow); err != nil || !c.Follow {
				return err
			}
		}

		return s.follow(ctx, &follow, p)
	})
}

// last prints the end of the log and lets the following begin after it.
func (c *logsCommand) last(ctx context.Context, s *session, f *follow) error {
	type answer struct {
		Deployment *struct {
			Logs struct {
				Nodes    []logLine
				Gaps     []logGap
				Position string
			}
		}
	}

	variables := input{"id": f.deployment, "last": c.Last}
	variables.set("filter", map[string]any(f.filter))

	a, err := show(ctx, s, "lastLogs", variables, func(p *printer, a answer) error {
		if a.Deployment == nil {
			return missing("deployment", "there is no deployment %q", c.Deployment)
		}

		for _, gap := range a.Deployment.Logs.Gaps {
			printGap(p, &gap)
		}

		for _, line := range a.Deployment.Logs.Nodes {
			printLine(p, line)
		}

		return nil
	})
	if err == nil && a.Deployment != nil {
		f.after = a.Deployment.Logs.Position
	}

	return err
}

// follow is the following of one log; after is kept up to date.
type follow struct {
	deployment, after, until string
	follow                   bool
	filter                   input
	// quiet leaves the lines out.
	quiet bool
}

// follow prints a log until it is complete. A lost connection is resumed by the
// client; when that fails, or on an interrupt, it says how to go on.
func (s *session) follow(ctx context.Context, f *follow, p *printer) error {
	text, err := document("deploymentLogs")
	if err != nil {
		return err
	}

	variables := input{"deployment": f.deployment, "follow": f.follow, "until": f.until}
	variables.set("after", f.after)
	variables.set("filter", map[string]any(f.filter))

	err = s.client.Subscribe(ctx, text, variables, func(data json.RawMessage) error {
		var answer struct{ DeploymentLogs logBatch }
		if err := json.Unmarshal(data, &answer); err != nil {
			return fmt.Errorf("decode a part of the log: %w", err)
		}

		f.after = answer.DeploymentLogs.Cursor

		return s.batch(p, f, data, answer.DeploymentLogs)
	})
	if err != nil && !s.json && !f.quiet && f.after != "" && !errors.Is(err, errPrinting) {
		fmt.Fprintf(s.err, "to go on: shiplog logs -f %s --after %s\n", f.deployment, f.after)
	}

	return err
}

// errPrinting says that standard output cannot be written.
var errPrinting = errors.New("print")

// batch prints one part of a log.
func (s *session) batch(p *printer, f *follow, data json.RawMessage, got logBatch) error {
	switch {
	case f.quiet:
		return nil
	case s.json:
		p.linef("%s", data)
	default:
		printGap(p, got.Gap)

		for _, line := range got.Lines {
			printLine(p, line)
		}
	}

	if p.failed != nil {
		return fmt.Errorf("%w: %w", errPrinting, p.failed)
	}

	return nil
}

func printGap(p *printer, gap *logGap) {
	if gap == nil {
		return
	}

	lines := "lines"
	if gap.Lines != nil {
		lines = fmt.Sprintf("%d lines", *gap.Lines)
	}

	p.linef("%s", p.paint(fmt.Sprintf("… %s are missing (%s)", lines, gap.Reason), yellow))
}

// printLine prints a line: when, from where, what.
func printLine(p *printer, line logLine) {
	at := line.Time.In(p.now.Location()).Format("15:04:05.000")

	cut := ""
	if line.Truncated {
		cut = p.paint(" … (cut)", yellow)
	}

	p.linef("%s %s %s%s", p.paint(at, dim), p.paint(origin(line), originStyle(line.Stream)), line.Text, cut)
}

// origin says where a line comes from, in a column of its own.
func origin(line logLine) string {
	from := line.Source.Instance

	switch {
	case line.Stream == "STEP":
		from = "shiplog"
		if line.Source.Step != "" {
			from = line.Source.Step
		}
	case line.Stream == "CLUSTER":
		from = "cluster" // the text names the object
	case from == "":
		from = line.Source.Container
	case line.Source.Attempt > 1:
		from = fmt.Sprintf("%s#%d", from, line.Source.Attempt)
	}

	return fmt.Sprintf("%-16s", from)
}

func originStyle(stream string) style {
	switch stream {
	case "STEP":
		return blue
	case "CLUSTER":
		return yellow
	default:
		return green
	}
}

type eventsCommand struct {
	Follow  bool     `short:"f" help:"Go on with what happens from now on."`
	Last    int      `short:"n" default:"20" help:"Begin with the last so many (${default})."`
	Type    []string `help:"Only of these types; deployment.* stands for all that begin so."`
	Service string   `help:"Only about this service, its versions and deployments."`
	Subject string   `placeholder:"ID" help:"Only about this."`
	Actor   string   `placeholder:"SUBJECT" help:"Only by them."`
	Since   string   `placeholder:"TIME" help:"Only at or after: a moment, or how long ago (3d)."`
}

// Help teaches by example.
func (eventsCommand) Help() string {
	return `Examples:

  shiplog events -f --type 'deployment.*'
  shiplog events --service checkout --last 100 -o json`
}

// Run prints the journal.
func (c *eventsCommand) Run(ctx context.Context, s *session) error {
	filter := input{}
	filter.set("types", c.Type)
	filter.set("service", c.Service)
	filter.set("subject", c.Subject)
	filter.set("actor", c.Actor)

	if err := filter.time("after", c.Since, s.now()); err != nil {
		return err
	}

	variables := input{"last": c.Last}
	variables.set("filter", map[string]any(filter))

	type answer struct{ Events page[event] }

	a, err := show(ctx, s, "eventsPage", variables, func(p *printer, a answer) error {
		for _, one := range a.Events.Nodes {
			printEvent(p, one)
		}

		return nil
	})
	if err != nil || !c.Follow {
		return err
	}

	text, err := document("eventsFollow")
	if err != nil {
		return err
	}

	variables = input{"after": a.Events.Position}
	variables.set("filter", map[string]any(filter))

	p := s.printer()

	return s.waiting(ctx, func(ctx context.Context) error {
		return s.client.Subscribe(ctx, text, variables, func(data json.RawMessage) error {
			var answer struct{ Events struct{ Event event } }
			if err := json.Unmarshal(data, &answer); err != nil {
				return fmt.Errorf("decode an entry of the journal: %w", err)
			}

			if s.json {
				p.linef("%s", data)
			} else {
				printEvent(p, answer.Events.Event)
			}

			return p.failed
		})
	})
}

func printEvent(p *printer, one event) {
	at := one.Time.In(p.now.Location()).Format(time.DateTime)
	p.linef("%s %s %-24s %s %s", p.paint(at, dim), p.paint(fmt.Sprintf("%6d", one.Seq), dim),
		one.Type, one.Message, p.paint("("+one.Actor.Display+")", dim))
}
