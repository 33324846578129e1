package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

type diffCommand struct {
	From       string `arg:"" help:"The older side: a deployment's or snapshot's id, SERVICE/ENVIRONMENT for what is in place there, SERVICE@VERSION for a version."`
	To         string `arg:"" help:"The newer side."`
	Unified    bool   `short:"u" help:"Show the rendered objects that differ as unified text." xor:"form"`
	SideBySide bool   `short:"y" help:"Show them side by side." xor:"form"`
	Width      int    `default:"160" placeholder:"COLUMNS" help:"The width of both sides together (${default})."`
}

// Help teaches by example.
func (diffCommand) Help() string {
	return `What differs only because the environments do is told apart: promoting does not
bring it along.

Examples:

  shiplog diff checkout/staging checkout/production
  shiplog diff checkout/production checkout@1.5.0 --unified
  shiplog diff deployment_01k3a… deployment_01k4b… -o json`
}

// diffRef reads a side.
func diffRef(ref string) map[string]any {
	if service, environment, ok := strings.Cut(ref, "/"); ok {
		return map[string]any{"environment": map[string]any{"service": service, "environment": environment}}
	}

	if service, version, ok := strings.Cut(ref, "@"); ok {
		return map[string]any{"version": map[string]any{"service": service, "version": version}}
	}

	if strings.HasPrefix(ref, "snapshot_") {
		return map[string]any{"snapshot": ref}
	}

	return map[string]any{"deployment": ref}
}

type change struct {
	Path, Kind, Category, Origin string
	Before, After                json.RawMessage
	Masked                       bool
}

type difference struct {
	Equal           bool
	Changes         []change
	Objects         []struct{ Object, Kind, Unified string }
	Versions        []version
	VersionsOmitted int
}

// Run compares.
func (c *diffCommand) Run(ctx context.Context, s *session) error {
	type answer struct{ Diff difference }

	_, err := show(ctx, s, "diff", input{"from": diffRef(c.From), "to": diffRef(c.To)}, func(p *printer, a answer) error {
		c.print(p, a.Diff)

		return nil
	})

	return err
}

func (c *diffCommand) print(p *printer, d difference) {
	if d.Equal {
		p.linef("nothing differs")

		return
	}

	switch {
	case c.Unified:
		for _, o := range d.Objects {
			printUnified(p, o.Unified)
		}
	case c.SideBySide:
		for _, o := range d.Objects {
			p.linef("%s", p.paint(o.Object, bold))
			printSides(p, o.Unified, max(c.Width, 2*minSide))
		}
	default:
		printChanges(p, d)
	}
}

func printChanges(p *printer, d difference) {
	for _, origin := range []struct{ name, title string }{
		{"SUBSTANCE", "Differs in substance:"}, {"ENVIRONMENT", "Differs because the environments do:"},
	} {
		changes := slices.DeleteFunc(slices.Clone(d.Changes), func(c change) bool { return c.Origin != origin.name })
		if len(changes) == 0 {
			continue
		}

		p.linef("%s", p.paint(origin.title, bold))
		p.table(func(t *table) {
			for _, one := range changes {
				t.row(cell{one.mark(), one.style()}, text(one.Category), text(one.Path), cell{one.values(), one.style()})
			}
		}, "", "ABOUT", "PATH", "")
	}

	if len(d.Versions) == 0 {
		return
	}

	p.linef("%s", p.paint("In between:", bold))
	versionTable(p, d.Versions)

	if d.VersionsOmitted > 0 {
		p.linef("and %d more", d.VersionsOmitted)
	}
}

func (c change) mark() string {
	switch c.Kind {
	case "ADDED":
		return "+"
	case "REMOVED":
		return "-"
	default:
		return "~"
	}
}

func (c change) style() style {
	switch c.Kind {
	case "ADDED":
		return green
	case "REMOVED":
		return red
	default:
		return yellow
	}
}

// maxShown bounds a value in a line, in characters.
const maxShown = 60

// values shows before and after in one line.
func (c change) values() string {
	before, after := c.value(c.Before), c.value(c.After)

	switch c.Kind {
	case "ADDED":
		return after
	case "REMOVED":
		return before
	default:
		return before + " → " + after
	}
}

func (c change) value(raw json.RawMessage) string {
	if c.Masked && (raw == nil || string(raw) == "null") {
		return "(masked)"
	}

	return cut(string(raw), maxShown)
}

// cut shortens a text to so many characters.
func cut(text string, to int) string {
	if utf8.RuneCountInString(text) <= to {
		return text
	}

	return string([]rune(text)[:to-1]) + "…"
}

func printUnified(p *printer, unified string) {
	for line := range strings.Lines(unified) {
		line = strings.TrimSuffix(line, "\n")
		painted := plain

		switch {
		case strings.HasPrefix(line, "---"), strings.HasPrefix(line, "+++"):
			painted = bold
		case strings.HasPrefix(line, "@@"):
			painted = blue
		case strings.HasPrefix(line, "-"):
			painted = red
		case strings.HasPrefix(line, "+"):
			painted = green
		}

		p.linef("%s", p.paint(line, painted))
	}
}

const (
	// minSide is the least width of one side.
	minSide = 20
	// between is the width of what stands between the sides.
	between = 3
)

// printSides puts the lines that went beside those that came in their place.
func printSides(p *printer, unified string, width int) {
	var went, came []string

	side := (width - between) / 2

	flush := func() {
		for i := range max(len(went), len(came)) {
			var left, right string
			if i < len(went) {
				left = went[i]
			}

			if i < len(came) {
				right = came[i]
			}

			p.linef("%s │ %s", p.paint(padded(left, side), red), p.paint(cut(right, side), green))
		}

		went, came = nil, nil
	}

	for line := range strings.Lines(unified) {
		line = strings.TrimSuffix(line, "\n")

		switch {
		case strings.HasPrefix(line, "--- "), strings.HasPrefix(line, "+++ "):
		case strings.HasPrefix(line, "-"):
			went = append(went, line[1:])
		case strings.HasPrefix(line, "+"):
			came = append(came, line[1:])
		case strings.HasPrefix(line, "@@"):
			flush()
			p.linef("%s", p.paint(line, blue))
		default:
			flush()

			shown := strings.TrimPrefix(line, " ")
			p.linef("%s │ %s", padded(shown, side), cut(shown, side))
		}
	}

	flush()
}

func padded(text string, to int) string { return fmt.Sprintf("%-*s", to, cut(text, to)) }
