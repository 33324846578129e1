package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// row is what was measured of one thing on one database.
type row struct {
	what, database string
	// figures are ours; beside are those of the limit in the same run, and
	// ratio is ours to them. Empty where there is none.
	figures, beside, ratio string
	goals                  []goal
}

// goal is a bound of a figure, and whether it holds.
type goal struct {
	text string
	met  bool
}

func atMost[T cmp.Ordered](what string, got, most T) goal {
	return goal{strings.TrimSpace(fmt.Sprintf("%s ≤ %v", what, shown(most))), got <= most}
}

func atLeast[T cmp.Ordered](what string, got, least T) goal {
	return goal{strings.TrimSpace(fmt.Sprintf("%s ≥ %v", what, shown(least))), got >= least}
}

// as gives the goal other words.
func (g goal) as(format string, args ...any) goal {
	g.text = fmt.Sprintf(format, args...)

	return g
}

// shown is a bound as people write it.
func shown(bound any) any {
	switch b := bound.(type) {
	case time.Duration:
		return span(b)
	case int:
		return count(float64(b))
	default:
		return bound
	}
}

// verdict is met, or missed with what was missed, or nothing without a goal.
func (r *row) verdict() string {
	var missed []string

	for _, g := range r.goals {
		if !g.met {
			missed = append(missed, g.text)
		}
	}

	switch {
	case len(r.goals) == 0:
		return ""
	case len(missed) == 0:
		return "met"
	case len(missed) == len(r.goals):
		return "missed"
	}

	return "missed: " + strings.Join(missed, ", ")
}

func (r *row) goal() string {
	all := make([]string, len(r.goals))
	for i, g := range r.goals {
		all[i] = g.text
	}

	return strings.Join(all, ", ")
}

// render writes the table.
func render(out io.Writer, rows []row) error {
	w := tabwriter.NewWriter(out, 0, 1, 2, ' ', 0)

	fmt.Fprintln(w, "WHAT\tDATABASE\tFIGURES\tLIMIT IN THE SAME RUN\tRATIO\tGOAL\tMET?")

	for _, r := range rows {
		fmt.Fprintln(w, strings.Join([]string{r.what, r.database, r.figures, r.beside, r.ratio, r.goal(), r.verdict()}, "\t"))
	}

	return w.Flush()
}

// span is a duration with three digits.
func span(d time.Duration) string {
	switch {
	case d >= 100*time.Millisecond && d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d >= time.Second:
		return fmt.Sprintf("%.3g s", d.Seconds())
	case d >= time.Millisecond:
		return fmt.Sprintf("%.3g ms", d.Seconds()*1e3)
	}

	return fmt.Sprintf("%.3g µs", d.Seconds()*1e6)
}

// count is a number with its thousands apart.
func count(n float64) string {
	text := fmt.Sprintf("%.0f", n)
	for at := len(text) - 3; at > 0; at -= 3 {
		text = text[:at] + "," + text[at:]
	}

	return text
}

// spread is the middle and the end of durations.
func spread(p50, p99 time.Duration) string { return "p50 " + span(p50) + ", p99 " + span(p99) }
