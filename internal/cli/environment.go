package cli

import (
	"context"
	"strconv"
)

type environmentCommands struct {
	Create  environmentCreate  `cmd:"" help:"Create an environment."`
	List    environmentList    `cmd:"" help:"List environments by rank."`
	Promote environmentPromote `cmd:"" help:"Promote all that differs from one environment to another, as one reviewed set."`
	Archive environmentArchive `cmd:"" help:"Archive an environment; nothing of it is lost."`
}

type environmentCreate struct {
	keyed
	described

	Name       string `arg:"" help:"A DNS label, such as staging; it never changes."`
	Tier       string `required:"" enum:"development,testing,staging,production,other" help:"Which kind of place: ${enum}."`
	Rank       int    `required:"" help:"The order of promotion, smallest first."`
	Target     string `required:"" enum:"process,kubernetes,external" help:"Where it really is: ${enum}."`
	Connection string `help:"The connection, for kubernetes."`
	Namespace  string `help:"The namespace, for kubernetes; {service} and {environment} stand for their names."`
	Host       string `help:"The DNS name from outside, for kubernetes; {service} and {environment} stand for their names."`

	Allow []string `help:"What may be made there beyond objects of the namespace, for kubernetes: namespaces, cluster-scoped, rbac."`
}

// Help teaches by example.
func (environmentCreate) Help() string {
	return `Examples:

  shiplog environment create development --tier development --rank 10 --target process
  shiplog environment create production --tier production --rank 30 --target external`
}

// Run creates the environment.
func (c *environmentCreate) Run(ctx context.Context, s *session) error {
	to := input{"kind": enum(c.Target)}
	to.set("connection", c.Connection)
	to.set("namespace", c.Namespace)
	to.set("host", c.Host)
	to.set("allow", enums(c.Allow))

	in := input{
		"name": c.Name, "tier": enum(c.Tier), "rank": c.Rank,
		"target": map[string]any(to), "idempotencyKey": c.key(),
	}
	in.set("title", c.Title)
	in.set("owner", c.Owner)
	in.set("labels", c.Label)

	type answer struct {
		CreateEnvironment struct{ Environment environment }
	}

	_, err := show(ctx, s, "createEnvironment", input{"input": map[string]any(in)}, func(p *printer, a answer) error {
		p.linef("created environment %s (%s)", a.CreateEnvironment.Environment.Name, a.CreateEnvironment.Environment.ID)

		return nil
	})

	return err
}

type environmentList struct {
	paged

	Owner    string            `placeholder:"REF" help:"Only of this owner."`
	Label    map[string]string `mapsep:"none" placeholder:"KEY=VALUE" help:"Only with this label; may be repeated."`
	Tier     string            `help:"Only of this tier."`
	Archived bool              `help:"Only archived ones."`
}

// Run lists.
func (c *environmentList) Run(ctx context.Context, s *session) error {
	filter := input{}
	filter.set("owner", c.Owner)
	filter.set("labels", c.Label)
	filter.set("tier", enum(c.Tier))
	filter.set("archived", c.Archived)

	type answer struct{ Environments page[environment] }

	a, err := show(ctx, s, "environments", c.variables(filter), func(p *printer, a answer) error {
		p.table(func(t *table) {
			for _, one := range a.Environments.Nodes {
				var locked string
				if one.LockedReason != "" {
					locked = "locked: " + one.LockedReason
				}

				t.row(cell{one.Name, bold}, text(one.Tier), text(strconv.Itoa(one.Rank)), text(place(one.Target)),
					text(one.Owner), text(p.when(one.CreatedAt)), cell{locked, red})
			}
		}, "NAME", "TIER", "RANK", "TARGET", "OWNER", "CREATED", "")

		return nil
	})
	if err == nil {
		s.page(a.Environments.PageInfo)
	}

	return err
}

// place shows a target.
func place(t target) string {
	if t.Connection == "" {
		return t.Kind
	}

	return t.Kind + " " + t.Connection + "/" + t.Namespace
}

type environmentArchive struct {
	Environment string `arg:"" help:"Name or id."`
	Reason      string `help:"Why."`
}

// Run archives it.
func (c *environmentArchive) Run(ctx context.Context, s *session) error {
	in := input{"environment": c.Environment}
	in.set("reason", c.Reason)

	type answer struct {
		ArchiveEnvironment struct {
			Environment environment
			Changed     bool
		}
	}

	_, err := show(ctx, s, "archiveEnvironment", input{"input": map[string]any(in)}, func(p *printer, a answer) error {
		p.linef("%s environment %s",
			changed(a.ArchiveEnvironment.Changed, "archived", "unchanged:"), a.ArchiveEnvironment.Environment.Name)

		return nil
	})

	return err
}
