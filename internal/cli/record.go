package cli

import "context"

type recordCommand struct {
	keyed

	Service       string `arg:"" help:"Name or id."`
	Version       string `arg:"" help:"Name or id."`
	Environment   string `arg:"" help:"Name or id."`
	Status        string `default:"succeeded" enum:"succeeded,failed,errored,cancelled" help:"How it ended: ${enum}."`
	StartedAt     string `placeholder:"TIME" help:"When it began."`
	FinishedAt    string `placeholder:"TIME" help:"When it ended; now when left out. A past one takes its place in the history."`
	By            string `placeholder:"NAME" help:"Who did it."`
	URL           string `help:"Where to read about it."`
	Backfill      bool   `help:"Without rules or notices; so it is anyway when it ended over an hour ago."`
	CreateMissing bool   `help:"Create a service or version that is not known."`
}

// Help teaches by example.
func (recordCommand) Help() string {
	return `Examples:

  shiplog record checkout 1.4.2 production --url "$BUILD_URL" --create-missing
  shiplog record checkout 1.3.0 production --finished-at 2026-01-31T09:00:00Z`
}

// Run records.
func (c *recordCommand) Run(ctx context.Context, s *session) error {
	in := input{
		"service": c.Service, "version": c.Version, "environment": c.Environment,
		"status": enum(c.Status), "idempotencyKey": c.key(),
	}
	in.set("actor", c.By)
	in.set("url", c.URL)
	in.set("backfill", c.Backfill)
	in.set("createMissing", c.CreateMissing)

	if err := in.time("startedAt", c.StartedAt, s.now()); err != nil {
		return err
	}

	if err := in.time("finishedAt", c.FinishedAt, s.now()); err != nil {
		return err
	}

	type answer struct {
		RecordDeployment struct {
			Deployment deployment
			Created    bool
		}
	}

	_, err := show(ctx, s, "recordDeployment", input{"input": map[string]any(in)}, func(p *printer, a answer) error {
		if !a.RecordDeployment.Created {
			p.linef("unchanged: it was recorded before")
		}

		printActed(p, a.RecordDeployment.Deployment)

		return nil
	})

	return err
}
