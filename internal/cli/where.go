package cli

import "context"

type whereCommand struct {
	paged

	Service     string            `arg:"" optional:"" help:"Name or id; every service when left out."`
	Version     string            `arg:"" optional:"" help:"Name or id; every version when left out."`
	Environment string            `help:"Only there: name or id."`
	Tier        string            `help:"Only in environments of this tier."`
	Image       string            `placeholder:"REFERENCE" help:"Only with this image."`
	Digest      string            `placeholder:"sha256:…" help:"Only with an image of this digest."`
	Commit      string            `help:"Only of this commit, at least its first 7 characters."`
	Drift       []string          `help:"Only where what runs differs so: in-sync, version-differs, missing, …"`
	Owner       string            `placeholder:"REF" help:"Only services of this owner."`
	Label       map[string]string `mapsep:"none" placeholder:"KEY=VALUE" help:"Only services with this label; may be repeated."`
	Archived    bool              `help:"Archived services and environments too."`
	At          string            `placeholder:"TIME" help:"Then instead of now: 2026-03-01T12:00:00Z, '2026-03-01 12:00', 90m, 3d."`
	AsKnownAt   string            `placeholder:"TIME" help:"Only what was known then: without what was recorded later."`
}

// Help teaches by example.
func (whereCommand) Help() string {
	return `VERSION is what was last deployed with success; RUNNING is what was seen, with
ready and wanted instances; DRIFT says how it differs from what was applied.

Examples:

  shiplog where checkout
  shiplog where checkout 1.4.2
  shiplog where --commit 3f2a91c --tier production
  shiplog where checkout --at 3d
  shiplog where checkout --at 3d --as-known-at 3d   # without what was recorded since`
}

// Run asks.
func (c *whereCommand) Run(ctx context.Context, s *session) error {
	filter := input{}
	filter.set("service", c.Service)
	filter.set("version", c.Version)
	filter.set("environment", c.Environment)
	filter.set("tier", enum(c.Tier))
	filter.set("image", c.Image)
	filter.set("digest", c.Digest)
	filter.set("commit", c.Commit)
	filter.set("drift", enums(c.Drift))
	filter.set("owner", c.Owner)
	filter.set("labels", c.Label)
	filter.set("archived", c.Archived)

	variables := c.variables(filter)
	if err := variables.moment(c.At, c.AsKnownAt, s.now()); err != nil {
		return err
	}

	type answer struct{ Placements page[placement] }

	a, err := show(ctx, s, "placements", variables, func(p *printer, a answer) error {
		placementTable(p, a.Placements.Nodes)

		return nil
	})
	if err == nil {
		s.page(a.Placements.PageInfo)
	}

	return err
}

type matrixCommand struct {
	paged

	Service     []string `help:"Only these services: name or id; may be repeated."`
	Environment []string `help:"Only these environments: name or id; may be repeated."`
	Owner       string   `placeholder:"REF" help:"Only services of this owner."`
	At          string   `placeholder:"TIME" help:"Then instead of now."`
	AsKnownAt   string   `placeholder:"TIME" help:"Only what was known then: without what was recorded later."`
}

// Help teaches by example.
func (matrixCommand) Help() string {
	return `Examples:

  shiplog matrix --owner group:default/payments
  shiplog matrix --at '2026-03-01 12:00'`
}

// Run asks.
func (c *matrixCommand) Run(ctx context.Context, s *session) error {
	variables := c.variables(nil)
	variables.set("services", c.Service)
	variables.set("environments", c.Environment)
	variables.set("owner", c.Owner)

	if err := variables.moment(c.At, c.AsKnownAt, s.now()); err != nil {
		return err
	}

	type answer struct{ Matrix matrix }

	a, err := show(ctx, s, "matrix", variables, func(p *printer, a answer) error {
		matrixTable(p, a.Matrix)

		return nil
	})
	if err == nil {
		s.page(a.Matrix.PageInfo)
	}

	return err
}

type matrix struct {
	Environments []named
	Rows         []struct {
		Service    named
		Placements []*placement
	}
	PageInfo pageInfo
}

func matrixTable(p *printer, m matrix) {
	header := []string{"SERVICE"}
	for _, one := range m.Environments {
		header = append(header, one.Name)
	}

	p.table(func(t *table) {
		for _, row := range m.Rows {
			cells := []cell{{row.Service.Name, bold}}
			for _, one := range row.Placements {
				cells = append(cells, matrixCell(one))
			}

			t.row(cells...)
		}
	}, header...)
}

// matrixCell shows the version, and what is odd about it.
func matrixCell(one *placement) cell {
	if one == nil || one.Recorded == nil {
		return cell{"-", dim}
	}

	shown := one.Recorded.leaves()

	if one.Drift != "" && one.Drift != "IN_SYNC" {
		shown += " " + one.Drift
	}

	if one.Pending != nil {
		shown += " ← " + one.Pending.leaves()
	}

	return cell{shown, statusStyle(one.Drift)}
}
