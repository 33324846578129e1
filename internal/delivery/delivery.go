// Package delivery is pure: it makes the figures known as DORA's out of what
// was deployed. What counts as what is written down at DeliveryMetrics in
// schema.graphql, in the same words.
package delivery

import (
	"cmp"
	"slices"
	"time"
)

// Act is a deployment that began to act and ended SUCCEEDED, FAILED or ERRORED.
type Act struct {
	ID string
	// Place is the service in its environment.
	Place string
	// Began is when it began to act; Ended when it became current or failed.
	Began, Ended time.Time
	Succeeded    bool
	// Rollback and Undeploy are its kind.
	Rollback, Undeploy bool
	// Built is when its version was built; zero without one.
	Built time.Time
}

// Span is a period, from inclusive, to exclusive.
type Span struct{ From, To time.Time }

func (s Span) holds(t time.Time) bool { return !t.Before(s.From) && t.Before(s.To) }

// Timed is a deployment with a duration.
type Timed struct {
	ID   string
	Took time.Duration
}

// Figures are those of a period; all lists are in the order in which the
// deployments began.
type Figures struct {
	// Deployed are the changes that succeeded.
	Deployed []string
	// Led are those of them that brought something newer, with their lead time.
	Led []Timed
	// Failed are the changes that failed; Changes counts all.
	Failed  []string
	Changes int
	// Restored are the deployments that restored, with how long that took; Open
	// counts what is not restored yet.
	Restored []Timed
	Open     int
}

// Compute makes the figures of a period. The acts may come in any order, and
// must hold for each place, beside those that began in the period: the last two
// successes before it with all failures since, and what follows it up to the
// first success.
func Compute(acts []Act, period Span) Figures {
	ordered := slices.SortedFunc(slices.Values(acts), func(a, b Act) int {
		return cmp.Or(cmp.Compare(a.Place, b.Place), a.Began.Compare(b.Began), cmp.Compare(a.ID, b.ID))
	})

	c := counting{period: period}

	for len(ordered) > 0 {
		n := 1
		for n < len(ordered) && ordered[n].Place == ordered[0].Place {
			n++
		}

		c.place(ordered[:n])
		ordered = ordered[n:]
	}

	return c.inOrder(acts)
}

type counting struct {
	period  Span
	figures Figures
}

// success is a deployment that worked.
type success struct {
	*Act

	change bool
}

// place counts what happened in one place: stretches of failures, each between
// two successes.
func (c *counting) place(acts []Act) {
	var (
		before   *success
		failures []Act
	)

	for i := range acts {
		if !acts[i].Succeeded {
			failures = append(failures, acts[i])

			continue
		}

		next := &success{Act: &acts[i]}
		next.change = !next.Undeploy && !next.goesBack(before)

		c.success(before, next)
		c.stretch(before, failures, next)
		before, failures = next, nil
	}

	c.stretch(before, failures, nil)
}

// goesBack reports whether it goes back from the success before it.
func (s *success) goesBack(before *success) bool {
	return s.Rollback || before != nil && !s.Built.IsZero() && s.Built.Before(before.Built)
}

// success counts a change that succeeded, and the one before it as failed when
// it is gone back from.
func (c *counting) success(before, next *success) {
	if next.change && c.period.holds(next.Began) {
		c.figures.Changes++
		c.figures.Deployed = append(c.figures.Deployed, next.ID)

		if before == nil || next.Built.After(before.Built) {
			c.figures.Led = append(c.figures.Led, Timed{next.ID, max(0, next.Ended.Sub(next.Built))})
		}
	}

	if before != nil && before.change && next.goesBack(before) && c.period.holds(before.Began) {
		c.figures.Failed = append(c.figures.Failed, before.ID)
	}
}

// stretch counts the failures between two successes, and how long it took to
// restore; next is nil when nothing has succeeded since.
func (c *counting) stretch(before *success, failures []Act, next *success) {
	for _, f := range failures {
		if !f.Rollback && !f.Undeploy && c.period.holds(f.Began) {
			c.figures.Changes++
			c.figures.Failed = append(c.figures.Failed, f.ID)
		}
	}

	var first *Act

	switch {
	case before != nil && before.change && next != nil && next.goesBack(before):
		first = before.Act
	case len(failures) > 0:
		first = &failures[0]
	}

	if first == nil || !c.period.holds(first.Began) {
		return
	}

	switch {
	case next == nil:
		c.figures.Open++
	case !next.Undeploy:
		c.figures.Restored = append(c.figures.Restored, Timed{next.ID, max(0, next.Ended.Sub(first.Ended))})
	}
}

// inOrder brings the lists of all places into one order.
func (c *counting) inOrder(acts []Act) Figures {
	began := make(map[string]time.Time, len(acts))
	for _, a := range acts {
		began[a.ID] = a.Began
	}

	compare := func(a, b string) int { return cmp.Or(began[a].Compare(began[b]), cmp.Compare(a, b)) }
	timed := func(a, b Timed) int { return compare(a.ID, b.ID) }

	slices.SortFunc(c.figures.Deployed, compare)
	slices.SortFunc(c.figures.Failed, compare)
	slices.SortFunc(c.figures.Led, timed)
	slices.SortFunc(c.figures.Restored, timed)

	return c.figures
}

// Median is the middle duration, of an even number the mean of the two in the
// middle; false without any.
func Median(all []Timed) (time.Duration, bool) {
	sorted := durations(all)
	if len(sorted) == 0 {
		return 0, false
	}

	low, high := sorted[(len(sorted)-1)/2], sorted[len(sorted)/2]

	return low + (high-low)/2, true
}

// P90 is the shortest duration that nine of ten do not exceed; false without
// any.
func P90(all []Timed) (time.Duration, bool) {
	sorted := durations(all)
	if len(sorted) == 0 {
		return 0, false
	}

	return sorted[(len(sorted)*9+9)/10-1], true
}

func durations(all []Timed) []time.Duration {
	sorted := make([]time.Duration, len(all))
	for i, t := range all {
		sorted[i] = t.Took
	}

	slices.Sort(sorted)

	return sorted
}
