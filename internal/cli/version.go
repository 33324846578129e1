package cli

import (
	"context"
	"strings"
)

type versionCommands struct {
	Register versionRegister `cmd:"" help:"Announce a new version. The rules decide at once where it goes."`
	List     versionList     `cmd:"" help:"List the versions of a service, newest first."`
	Block    versionBlock    `cmd:"" help:"Block a version: no rule and nobody without an override deploys it."`
	Unblock  versionUnblock  `cmd:"" help:"Unblock a version."`
	Show     versionShow     `cmd:"" help:"Show a version: decisions, checks and its way through the environments."`
}

type versionRegister struct {
	keyed

	Service   string            `arg:"" help:"Name or id."`
	Version   string            `arg:"" help:"Such as 1.4.2."`
	Image     string            `placeholder:"REFERENCE" help:"Its image."`
	Digest    string            `placeholder:"sha256:…" help:"The digest of the image."`
	Commit    string            `help:"The commit that it was built from."`
	Ref       string            `help:"The branch or tag."`
	BuiltAt   string            `placeholder:"TIME" help:"When it was built; now when left out. Newer means later."`
	Author    string            `help:"Who made the commit."`
	BuildURL  string            `placeholder:"URL" help:"The build."`
	Notes     string            `help:"Release notes, Markdown."`
	Score     string            `xor:"workload" placeholder:"FILE" help:"What it runs: a Score document; - reads standard input. That of the version before when left out."`
	Manifests string            `xor:"workload" placeholder:"FILE" help:"What it runs: Kubernetes manifests; - reads standard input."`
	Label     map[string]string `mapsep:"none" placeholder:"KEY=VALUE" help:"A label; may be repeated."`
	Backfill  bool              `help:"Store it without rules or notices."`
	Wait      bool              `short:"w" help:"Follow the deployments that were decided and end by their outcome."`
}

// Help teaches by example.
func (versionRegister) Help() string {
	return `The same content again changes nothing, so CI may repeat it.

Examples:

  shiplog version register checkout 1.4.2 --score score.yaml --commit "$GIT_COMMIT" --ref main --wait
  shiplog version register checkout 1.4.2 --image registry.example/checkout:1.4.2 --manifests k8s.yaml -o json`
}

// Run registers the version.
func (c *versionRegister) Run(ctx context.Context, s *session) error {
	in, err := c.input(s)
	if err != nil {
		return err
	}

	type answer struct {
		RegisterVersion struct {
			Version       version
			Created       bool
			IgnoredFields []string
			Decisions     []decision
		}
	}

	a, err := show(ctx, s, "registerVersion", input{"input": map[string]any(in)}, func(p *printer, a answer) error {
		got := a.RegisterVersion
		p.linef("%s %s %s (%s)", changed(got.Created, "registered", "unchanged:"), c.Service, got.Version.Name, got.Version.ID)

		if got.Version.WorkloadFrom != nil {
			p.linef("  its workload is that of %s", got.Version.WorkloadFrom.Name)
		}

		if len(got.IgnoredFields) > 0 {
			p.linef("  %s: %s", p.paint("ignored, because the first wins", yellow), strings.Join(got.IgnoredFields, ", "))
		}

		printDecisions(p, got.Decisions)

		return nil
	})
	if err != nil || !c.Wait {
		return err
	}

	return s.waitForAll(ctx, madeBy(a.RegisterVersion.Decisions), true)
}

// madeBy gives the deployments that decisions made.
func madeBy(decisions []decision) (made []string) {
	for _, one := range decisions {
		if one.Deployment != nil {
			made = append(made, one.Deployment.ID)
		}
	}

	return made
}

func (c *versionRegister) input(s *session) (input, error) {
	in := input{"service": c.Service, "version": c.Version, "idempotencyKey": c.key()}
	in.set("image", c.Image)
	in.set("digest", c.Digest)
	in.set("commit", c.Commit)
	in.set("ref", c.Ref)
	in.set("author", c.Author)
	in.set("buildUrl", c.BuildURL)
	in.set("notes", c.Notes)
	in.set("labels", c.Label)
	in.set("backfill", c.Backfill)

	for name, path := range map[string]string{"score": c.Score, "manifests": c.Manifests} {
		if path == "" {
			continue
		}

		content, err := s.readFile(path)
		if err != nil {
			return nil, err
		}

		in["workload"] = map[string]any{name: content}
	}

	return in, in.time("builtAt", c.BuiltAt, s.now())
}

type versionList struct {
	paged

	Service string `arg:"" help:"Name or id."`
}

// Run lists.
func (c *versionList) Run(ctx context.Context, s *session) error {
	type answer struct {
		Service *struct{ Versions page[version] }
	}

	variables := c.variables(nil)
	variables["service"] = c.Service

	a, err := show(ctx, s, "versions", variables, func(p *printer, a answer) error {
		if a.Service == nil {
			return missing("service", "there is no service %q", c.Service)
		}

		versionTable(p, a.Service.Versions.Nodes)

		return nil
	})
	if err == nil && a.Service != nil {
		s.page(a.Service.Versions.PageInfo)
	}

	return err
}

type versionShow struct {
	Service string `arg:"" help:"Name or id."`
	Version string `arg:"" help:"Name or id."`
}

// Help teaches by example.
func (versionShow) Help() string {
	return `Examples:

  shiplog version show checkout 1.4.2`
}

// Run shows it.
func (c *versionShow) Run(ctx context.Context, s *session) error {
	type answer struct {
		Version *struct {
			version

			Decisions []decision
			Checks    []check
			Journey   []stop
		}
	}

	_, err := show(ctx, s, "version", input{"service": c.Service, "name": c.Version}, func(p *printer, a answer) error {
		if a.Version == nil {
			return missing("version", "there is no version %q of %q", c.Version, c.Service)
		}

		one := a.Version

		var images []string
		for _, i := range one.Images {
			images = append(images, i.Reference)
		}

		p.fields(text("version"), cell{one.Service.Name + " " + one.Name, bold}, text("id"), text(one.ID),
			text("commit"), text(one.Commit), text("ref"), text(one.Ref), text("author"), text(one.Author),
			text("built"), text(p.when(one.BuiltAt)), text("build"), text(one.BuildURL),
			text("images"), text(strings.Join(images, " ")), text("workload of"), text(nameOf(one.WorkloadFrom)),
			text("labels"), text(labels(one.Labels)), text("blocked"), cell{one.BlockedReason, red},
			text("notes"), text(one.Notes))

		if len(one.Decisions) > 0 {
			p.linef("\ndecisions")
			printDecisions(p, one.Decisions)
		}

		p.linef("")
		journeyTable(p, one.Journey)

		if len(one.Checks) > 0 {
			p.linef("")
			checkTable(p, one.Checks)
		}

		return nil
	})

	return err
}
