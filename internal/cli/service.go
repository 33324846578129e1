package cli

import (
	"context"
)

type serviceCommands struct {
	Create  serviceCreate  `cmd:"" help:"Create a service."`
	List    serviceList    `cmd:"" help:"List services."`
	Show    serviceShow    `cmd:"" help:"Show a service: where it is, its newest versions and deployments."`
	Archive serviceArchive `cmd:"" help:"Archive a service; nothing of it is lost."`
}

// described is what services and environments have in common.
type described struct {
	Title string            `help:"Its name for people."`
	Owner string            `placeholder:"REF" help:"Who answers for it, such as group:default/payments."`
	Label map[string]string `mapsep:"none" placeholder:"KEY=VALUE" help:"A label; may be repeated."`
}

// paged is part of every command that lists.
type paged struct {
	Limit int    `default:"50" help:"How many (${default})."`
	After string `placeholder:"CURSOR" help:"Go on after this cursor."`
}

func (p paged) variables(filter input) input {
	variables := input{"first": p.Limit}
	variables.set("after", p.After)
	variables.set("filter", filter)

	return variables
}

type serviceCreate struct {
	keyed
	described

	Name       string `arg:"" help:"A DNS label, such as checkout; it never changes."`
	Repository string `placeholder:"URL" help:"Where the source is."`
	CatalogRef string `placeholder:"REF" help:"The entity of a catalogue, such as component:default/checkout."`
}

// Help teaches by example.
func (serviceCreate) Help() string {
	return `Examples:

  shiplog service create checkout --owner group:default/payments --label team=payments`
}

// Run creates the service.
func (c *serviceCreate) Run(ctx context.Context, s *session) error {
	in := input{"name": c.Name, "idempotencyKey": c.key()}
	in.set("title", c.Title)
	in.set("owner", c.Owner)
	in.set("labels", c.Label)
	in.set("repositoryUrl", c.Repository)
	in.set("catalogRef", c.CatalogRef)

	type answer struct{ CreateService struct{ Service service } }

	_, err := show(ctx, s, "createService", input{"input": map[string]any(in)}, func(p *printer, a answer) error {
		p.linef("created service %s (%s)", a.CreateService.Service.Name, a.CreateService.Service.ID)

		return nil
	})

	return err
}

type serviceList struct {
	paged

	Owner    string            `placeholder:"REF" help:"Only of this owner."`
	Label    map[string]string `mapsep:"none" placeholder:"KEY=VALUE" help:"Only with this label; may be repeated."`
	Search   string            `help:"Only whose name or title contains this."`
	Archived bool              `help:"Only archived ones."`
}

// Run lists.
func (c *serviceList) Run(ctx context.Context, s *session) error {
	filter := input{}
	filter.set("owner", c.Owner)
	filter.set("labels", c.Label)
	filter.set("search", c.Search)
	filter.set("archived", c.Archived)

	type answer struct{ Services page[service] }

	a, err := show(ctx, s, "services", c.variables(filter), func(p *printer, a answer) error {
		p.table(func(t *table) {
			for _, one := range a.Services.Nodes {
				t.row(cell{one.Name, bold}, text(one.Title), text(one.Owner), text(p.when(one.CreatedAt)))
			}
		}, "NAME", "TITLE", "OWNER", "CREATED")

		return nil
	})
	if err == nil {
		s.page(a.Services.PageInfo)
	}

	return err
}

type serviceShow struct {
	Service string `arg:"" help:"Name or id."`
}

// Help teaches by example.
func (serviceShow) Help() string {
	return `Examples:

  shiplog service show checkout`
}

// Run shows it.
func (c *serviceShow) Run(ctx context.Context, s *session) error {
	type answer struct {
		Service *struct {
			service

			Placements  []placement
			Versions    page[version]
			Deployments page[deployment]
		}
	}

	_, err := show(ctx, s, "service", input{"name": c.Service}, func(p *printer, a answer) error {
		if a.Service == nil {
			return missing("service", "there is no service %q", c.Service)
		}

		one := a.Service
		p.fields(text("service"), cell{one.Name, bold}, text("id"), text(one.ID), text("title"), text(one.Title),
			text("owner"), text(one.Owner), text("repository"), text(one.RepositoryURL),
			text("catalogue"), text(one.CatalogRef), text("labels"), text(labels(one.Labels)),
			text("created"), text(p.when(one.CreatedAt)), text("archived"), text(p.when(one.ArchivedAt)))
		p.linef("")
		placementTable(p, one.Placements)
		p.linef("")
		versionTable(p, one.Versions.Nodes)
		p.linef("")
		deploymentTable(p, one.Deployments.Nodes)

		return nil
	})

	return err
}

type serviceArchive struct {
	Service string `arg:"" help:"Name or id."`
	Reason  string `help:"Why."`
}

// Run archives it.
func (c *serviceArchive) Run(ctx context.Context, s *session) error {
	in := input{"service": c.Service}
	in.set("reason", c.Reason)

	type answer struct {
		ArchiveService struct {
			Service service
			Changed bool
		}
	}

	_, err := show(ctx, s, "archiveService", input{"input": map[string]any(in)}, func(p *printer, a answer) error {
		p.linef("%s service %s", changed(a.ArchiveService.Changed, "archived", "unchanged:"), a.ArchiveService.Service.Name)

		return nil
	})

	return err
}
