package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
)

type configCommands struct {
	Set  configSet  `cmd:"" help:"Set a layer of configuration as a new revision. It deploys nothing."`
	Show configShow `cmd:"" help:"Show a layer, or what is in effect for a service in an environment."`
}

type layer struct {
	Service     string `help:"The service: name or id."`
	Environment string `help:"The environment: name or id. With --service it is the layer of that service there."`
}

type configSet struct {
	keyed
	layer

	Var      map[string]string `mapsep:"none" placeholder:"NAME=VALUE" help:"A variable; may be repeated."`
	Unset    []string          `placeholder:"NAME" help:"A variable of a lower layer that is taken away; may be repeated."`
	Replicas *int              `help:"How many instances."`
	File     string            `placeholder:"FILE" help:"The whole layer as JSON; - reads standard input."`
	Reason   string            `help:"Why."`
	Expect   *int              `placeholder:"REVISION" help:"The revision that you saw (0 for none); another one is refused."`
}

// Help teaches by example.
func (configSet) Help() string {
	return `What is given replaces the whole layer.

Examples:

  shiplog config set --environment production --var LOG_LEVEL=warn
  shiplog config set --service checkout --environment production --replicas 3 --var CURRENCY=EUR
  shiplog config set --service checkout --file checkout.json --expect 4`
}

// Run sets the layer.
func (c *configSet) Run(ctx context.Context, s *session) error {
	content, err := c.content(s)
	if err != nil {
		return err
	}

	in := input{"content": content, "idempotencyKey": c.key()}
	in.set("service", c.Service)
	in.set("environment", c.Environment)
	in.set("reason", c.Reason)

	if c.Expect != nil {
		in["expectedRevision"] = *c.Expect
	}

	type answer struct {
		SetConfiguration struct {
			Configuration configuration
			Changed       bool
		}
	}

	_, err = show(ctx, s, "setConfiguration", input{"input": map[string]any(in)}, func(p *printer, a answer) error {
		p.linef("%s configuration of %s, revision %d", changed(a.SetConfiguration.Changed, "set", "unchanged:"),
			layerName(a.SetConfiguration.Configuration), a.SetConfiguration.Configuration.Revision)

		return nil
	})

	return err
}

// content is the layer as given by --file or by the other flags.
func (c *configSet) content(s *session) (any, error) {
	if c.Service == "" && c.Environment == "" {
		return nil, usage("say which layer: --service, --environment or both")
	}

	flags := len(c.Var) > 0 || len(c.Unset) > 0 || c.Replicas != nil
	if flags == (c.File != "") {
		return nil, usage("give the layer either by --var, --unset and --replicas or by --file")
	}

	if c.File != "" {
		return s.jsonFile(c.File)
	}

	variables := map[string]any{}
	for name, value := range c.Var {
		variables[name] = value
	}

	for _, name := range c.Unset {
		variables[name] = nil
	}

	content := input{}
	content.set("variables", variables)

	if c.Replicas != nil {
		content["replicas"] = *c.Replicas
	}

	return map[string]any(content), nil
}

// layerName says which layer it is.
func layerName(c configuration) string {
	switch {
	case c.Service != nil && c.Environment != nil:
		return c.Service.Name + " in " + c.Environment.Name
	case c.Service != nil:
		return c.Service.Name
	default:
		return nameOf(c.Environment)
	}
}

type configShow struct{ layer }

// Help teaches by example.
func (configShow) Help() string {
	return `With --service or --environment it shows that layer; with both, what the
deployment in place was made with, all layers merged.

Examples:

  shiplog config show --environment production
  shiplog config show --service checkout --environment production`
}

// Run shows it.
func (c *configShow) Run(ctx context.Context, s *session) error {
	type holder struct{ Configuration *configuration }

	switch {
	case c.Service != "" && c.Environment != "":
		return c.effective(ctx, s)
	case c.Service != "":
		_, err := show(ctx, s, "serviceConfiguration", input{"name": c.Service},
			func(p *printer, a struct{ Service *holder }) error {
				if a.Service == nil {
					return missing("service", "there is no service %q", c.Service)
				}

				return printLayer(p, a.Service.Configuration)
			})

		return err
	case c.Environment != "":
		_, err := show(ctx, s, "environmentConfiguration", input{"name": c.Environment},
			func(p *printer, a struct{ Environment *holder }) error {
				if a.Environment == nil {
					return missing("environment", "there is no environment %q", c.Environment)
				}

				return printLayer(p, a.Environment.Configuration)
			})

		return err
	default:
		return usage("say which layer: --service, --environment or both")
	}
}

func (c *configShow) effective(ctx context.Context, s *session) error {
	type answer struct {
		Placements page[struct {
			PendingConfiguration bool
			Recorded             *struct {
				ID       string
				Version  *named
				Snapshot *struct {
					Digest        string
					Configuration json.RawMessage
				}
			}
		}]
	}

	variables := input{"filter": map[string]any{"service": c.Service, "environment": c.Environment}}

	_, err := show(ctx, s, "effectiveConfiguration", variables, func(p *printer, a answer) error {
		if len(a.Placements.Nodes) == 0 || a.Placements.Nodes[0].Recorded == nil ||
			a.Placements.Nodes[0].Recorded.Snapshot == nil {
			p.linef("nothing was deployed there by Shiplog")

			return nil
		}

		one := a.Placements.Nodes[0]

		var pending string
		if one.PendingConfiguration {
			pending = "yes: a layer was set since"
		}

		p.fields(text("deployment"), text(one.Recorded.ID), text("version"), text(nameOf(one.Recorded.Version)),
			text("snapshot"), text(one.Recorded.Snapshot.Digest), text("pending"), cell{pending, yellow})

		return printContent(p, one.Recorded.Snapshot.Configuration)
	})

	return err
}

func printLayer(p *printer, c *configuration) error {
	if c == nil {
		p.linef("nothing is set")

		return nil
	}

	p.fields(text("layer"), text(layerName(*c)), text("revision"), text(strconv.Itoa(c.Revision)),
		text("set"), text(p.when(c.CreatedAt)), text("by"), text(c.Actor.Display), text("reason"), text(c.Reason))

	return printContent(p, c.Content)
}

func printContent(p *printer, content json.RawMessage) error {
	var out bytes.Buffer
	if err := json.Indent(&out, content, "", "  "); err != nil {
		return fmt.Errorf("indent the configuration: %w", err)
	}

	p.linef("%s", out.String())

	return nil
}
