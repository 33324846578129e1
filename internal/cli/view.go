package cli

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/shiplog/shiplog/internal/client"
	"github.com/shiplog/shiplog/internal/fault"
)

// missing is the refusal for a query that found nothing.
func missing(field, format string, args ...any) error {
	return &client.Error{Code: fault.NotFound, Field: field, Message: fmt.Sprintf(format, args...)}
}

// changed is one word for a change and another for none.
func changed(was bool, yes, no string) string {
	if was {
		return yes
	}

	return no
}

// labels shows labels in a fixed order.
func labels(all map[string]string) string {
	var out []string
	for _, key := range slices.Sorted(maps.Keys(all)) {
		out = append(out, key+"="+all[key])
	}

	return strings.Join(out, " ")
}

// short is a commit as people write it.
func short(commit string) string { return commit[:min(len(commit), 10)] }

func nameOf(n *named) string {
	if n == nil {
		return ""
	}

	return n.Name
}

func versionTable(p *printer, versions []version) {
	p.table(func(t *table) {
		for _, one := range versions {
			var note string
			if one.BlockedReason != "" {
				note = "blocked: " + one.BlockedReason
			}

			t.row(text(one.Service.Name), cell{one.Name, bold}, text(short(one.Commit)), text(one.Ref),
				text(p.when(one.BuiltAt)), cell{note, red})
		}
	}, "SERVICE", "VERSION", "COMMIT", "REF", "BUILT", "")
}

func deploymentTable(p *printer, deployments []deployment) {
	p.table(func(t *table) {
		for _, one := range deployments {
			t.row(text(one.ID), text(one.Service.Name), text(one.Environment.Name), cell{one.versionName(), bold},
				text(one.Kind), status(one.Status), text(p.when(one.OccurredAt)), text(one.Actor.Display))
		}
	}, "DEPLOYMENT", "SERVICE", "ENVIRONMENT", "VERSION", "KIND", "STATUS", "WHEN", "BY")
}

func placementTable(p *printer, placements []placement) {
	p.table(func(t *table) {
		for _, one := range placements {
			var (
				recorded deployment
				in       string
			)

			if one.Recorded != nil {
				recorded, in = *one.Recorded, one.Recorded.leaves()
			}

			t.row(text(one.Service.Name), text(one.Environment.Name), cell{in, bold},
				text(running(one.Observed)), status(one.Drift), text(p.when(recorded.BecameCurrentAt)),
				text(addresses(recorded.Endpoints)), cell{notes(one), yellow})
		}
	}, "SERVICE", "ENVIRONMENT", "VERSION", "RUNNING", "DRIFT", "SINCE", "ENDPOINT", "")
}

// running says which versions run, with ready and desired instances; "" where
// nobody can look.
func running(o *observed) string {
	if o == nil {
		return ""
	}

	if len(o.Versions) == 0 {
		return "nothing"
	}

	var out []string

	for _, one := range o.Versions {
		name := nameOf(one.Version)
		if name == "" {
			name = "?"
		}

		out = append(out, fmt.Sprintf("%s %d/%d", name, one.Ready, one.Desired))
	}

	return strings.Join(out, ", ")
}

func addresses(endpoints []endpoint) string {
	var out []string
	for _, one := range endpoints {
		out = append(out, one.URL)
	}

	return strings.Join(out, " ")
}

// notes says what a placement waits for, and what stands against it.
func notes(one placement) string {
	var out []string

	if one.Pending != nil {
		out = append(out, fmt.Sprintf("%s %s", one.Pending.leaves(), one.Pending.Status))
	}

	if one.Hold != nil {
		out = append(out, "held: "+one.Hold.Reason)
	}

	if one.Recorded != nil && one.Recorded.Version != nil && one.Recorded.Version.BlockedReason != "" {
		out = append(out, "blocked: "+one.Recorded.Version.BlockedReason)
	}

	if one.PendingConfiguration {
		out = append(out, "configuration not deployed")
	}

	return strings.Join(out, ", ")
}

// decisions prints what the rules decided, one a line.
func printDecisions(p *printer, decisions []decision) {
	for _, one := range decisions {
		line := fmt.Sprintf("  %s %s → %s", p.status(one.Effect), one.Rule.Name, one.Environment.Name)
		if one.Deployment != nil {
			line += "  " + one.Deployment.ID
		}

		var why []string
		for _, r := range one.Reasons {
			why = append(why, r.Message)
		}

		if len(why) > 0 {
			line += "  " + p.paint(strings.Join(why, "; "), dim)
		}

		p.linef("%s", line)
	}
}

// printDiagnosis says why a deployment failed and what to look at.
func printDiagnosis(p *printer, d *diagnosis) {
	if d == nil {
		return
	}

	line := d.Kind

	if d.ExitCode != nil {
		line += fmt.Sprintf(", exit code %d", *d.ExitCode)
	}

	if d.Signal != "" {
		line += ", signal " + d.Signal
	}

	if d.Attempts != nil && *d.Attempts > 1 {
		line += fmt.Sprintf(", %d attempts", *d.Attempts)
	}

	p.linef("  %s: %s", p.paint(line, red), d.Summary)

	for _, output := range d.LastLines {
		p.linef("    %s %s", p.paint("|", dim), output)
	}

	if d.Advice != "" {
		p.linef("  %s", d.Advice)
	}
}
