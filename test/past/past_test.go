package past

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shiplog/shiplog/internal/id"
)

// TestAgainstReplay compares placements and matrix at random moments with a
// replay, as they were and as they were known.
func TestAgainstReplay(t *testing.T) {
	t.Parallel()

	scale, r := scaleOf(), random(t)
	seeds := [2]uint64{r.Uint64(), r.Uint64()}

	each(t, scale.timed > 0, func(t *testing.T, dialect string) {
		r := rand.New(rand.NewPCG(seeds[0], seeds[1]))
		database := filled(t, dialect, scale.size)
		facts := learn(t, database)
		h := inOrder(facts)

		a := serve(t, database)
		k := kinds(t, facts)
		t.Log(k)

		compare(a, h.replay(nil, nil), nil, nil)

		moments := make([]time.Time, scale.moments)
		for i := range moments {
			moments[i] = moment(r, facts)
			want := h.replay(&moments[i], nil)
			compare(a, want, &moments[i], nil)
			compareMatrix(a, want, r, &moments[i], nil)

			// What was known then of the same moment, or of another one.
			known := moments[i]
			if i%2 == 1 {
				known = moment(r, facts)
			}

			want = h.replay(&moments[i], &known)
			compareMatrix(a, want, r, &moments[i], &known)

			// All placements of a large history take their time.
			if i%scale.whole < 2 {
				compare(a, want, &moments[i], &known)
			}

			if t.Failed() {
				t.FailNow()
			}
		}

		if !t.Failed() {
			t.Logf("%d moments, as they were and as they were known, over %d placements: all as the replay says", len(moments), len(h.places))
		}

		if scale.timed > 0 {
			times(a, r, scale, moments)
		}
	})
}

// kinds counts what is in the history; none may be missing.
func kinds(t *testing.T, facts []fact) map[string]int {
	t.Helper()

	counts := map[string]int{"FAILED": 0, "ERRORED": 0, "CANCELLED": 0, "ROLLBACK": 0, "UNDEPLOY": 0, "BACKFILL": 0, "SAME MOMENT": 0}
	seen := map[string]bool{}

	for _, f := range facts {
		counts[f.status]++
		counts[f.kind]++

		if f.backfill {
			counts["BACKFILL"]++
		}

		if f.current != nil {
			key := fmt.Sprint(f.place, f.current.UnixMicro())
			if seen[key] {
				counts["SAME MOMENT"]++
			}

			seen[key] = true
		}
	}

	for what, n := range counts {
		if n == 0 {
			t.Error("the history has none of", what)
		}
	}

	return counts
}

// moment is a random one: often the very moment of a change, or the
// microsecond before it, else anything between the first and the last.
func moment(r *rand.Rand, facts []fact) time.Time {
	f := facts[r.IntN(len(facts))]

	var at time.Time

	switch {
	case r.IntN(3) == 0 && f.current != nil:
		at = *f.current
	case r.IntN(3) == 0:
		at = f.created
	default:
		at = f.created.Add(time.Duration(r.Int64N(int64(96 * time.Hour)))).Truncate(time.Microsecond)
	}

	if r.IntN(4) == 0 {
		at = at.Add(-time.Microsecond)
	}

	return at
}

type found struct {
	ID                   string
	Service, Environment struct{ ID string }
	Recorded, Applied    *struct{ ID string }
}

func (f found) place() place { return place{f.Service.ID, f.Environment.ID} }

func (f found) state() (s state) {
	if f.Recorded != nil {
		s.recorded = f.Recorded.ID
	}

	if f.Applied != nil {
		s.applied = f.Applied.ID
	}

	return s
}

const cell = `service { id } environment { id } recorded { id } applied { id }`

// compare compares all placements.
func compare(a *api, want map[place]state, at, known *time.Time) {
	a.t.Helper()

	got, after := map[place]state{}, (*string)(nil)

	for {
		page := ask[struct {
			Placements struct {
				Nodes    []found
				PageInfo struct {
					HasNextPage bool
					EndCursor   *string
				}
			}
		}](a, `query ($at: Time, $known: Time, $after: Cursor) { placements(at: $at, asKnownAt: $known, first: 1000, after: $after, filter: {archived: true}) {
			nodes { id recorded { id } applied { id } } pageInfo { hasNextPage endCursor } } }`, object{"at": at, "known": known, "after": after}).Placements

		for _, p := range page.Nodes {
			service, environment, err := id.PlacementParts(p.ID)
			if err != nil {
				a.t.Fatal(err)
			}

			got[place{service, environment}] = p.state()
		}

		if !page.PageInfo.HasNextPage {
			break
		}

		after = page.PageInfo.EndCursor
	}

	if !maps.Equal(got, want) {
		a.t.Errorf("placements at %s as known at %s: %s", describe(at), describe(known), difference(got, want))
	}
}

// compareMatrix compares the matrix of some services.
func compareMatrix(a *api, all map[place]state, r *rand.Rand, at, known *time.Time) {
	a.t.Helper()

	owner := scaleOf().size.Owner(1 + r.IntN(scaleOf().size.Services))

	m := ask[struct {
		Matrix struct {
			Environments []struct{ ID string }
			Rows         []struct {
				Service    struct{ ID string }
				Placements []*found
			}
		}
	}](a, `query ($owner: String, $at: Time, $known: Time) { matrix(owner: $owner, at: $at, asKnownAt: $known, first: 50) {
		environments { id } rows { service { id } placements { `+cell+` } } } }`, object{"owner": owner, "at": at, "known": known}).Matrix

	if len(m.Rows) == 0 || len(m.Environments) == 0 {
		a.t.Fatal("an empty matrix")
	}

	for _, row := range m.Rows {
		for i, p := range row.Placements {
			where := place{row.Service.ID, m.Environments[i].ID}
			want, ok := all[where]

			switch {
			case p == nil && ok:
				a.t.Errorf("matrix at %s as known at %s: nothing at %v, want %v", describe(at), describe(known), where, want)
			case p != nil && (p.place() != where || p.state() != want):
				a.t.Errorf("matrix at %s as known at %s: %v at %v, want %v", describe(at), describe(known), *p, where, want)
			}
		}
	}
}

func difference(got, want map[place]state) string {
	var text strings.Builder

	for where := range want {
		if got[where] != want[where] {
			fmt.Fprintf(&text, "\n%v is %v, want %v", where, got[where], want[where])
		}
	}

	for where := range got {
		if _, ok := want[where]; !ok {
			fmt.Fprintf(&text, "\n%v is %v, want nothing", where, got[where])
		}
	}

	return text.String()[:min(text.Len(), 2_000)]
}

// times prints how long the portal's reads take, now, then, and as known then,
// one request after the other.
func times(a *api, r *rand.Rand, scale scale, moments []time.Time) {
	a.t.Helper()

	z := scale.size
	service := func() object { return object{"s": z.Service(1 + r.IntN(z.Services))} }

	for _, read := range []struct {
		name, document string
		variables      func() object
	}{
		{"the first 50 placements", `query ($at: Time, $known: Time) { placements(first: 50, at: $at, asKnownAt: $known) { nodes { ` + cell + ` } } }`, func() object { return object{} }},
		{"the placements of a service", `query ($s: ID, $at: Time, $known: Time) { placements(first: 50, at: $at, asKnownAt: $known, filter: {service: $s}) { nodes { ` + cell + ` } } }`, service},
		{"where a version is", `query ($s: ID, $v: ID, $at: Time, $known: Time) { placements(first: 50, at: $at, asKnownAt: $known, filter: {service: $s, version: $v}) { nodes { ` + cell + ` } } }`, func() object {
			s := 1 + r.IntN(z.Services)

			return object{"s": z.Service(s), "v": z.Running(s, 1+r.IntN(z.Environments))}
		}},
		{"50 placements of an owner", `query ($o: String, $at: Time, $known: Time) { placements(first: 50, at: $at, asKnownAt: $known, filter: {owner: $o}) { nodes { ` + cell + ` } } }`, func() object {
			return object{"o": z.Owner(1 + r.IntN(z.Services))}
		}},
		{"a page of 1,000 placements", `query ($at: Time, $known: Time) { placements(first: 1000, at: $at, asKnownAt: $known) { nodes { ` + cell + ` } } }`, func() object { return object{} }},
		{"the matrix of 50 services", `query ($o: String, $at: Time, $known: Time) { matrix(first: 50, owner: $o, at: $at, asKnownAt: $known) { environments { name } rows { service { name } placements { recorded { version { name } } } } } }`, func() object {
			return object{"o": z.Owner(1 + r.IntN(z.Services))}
		}},
	} {
		var text strings.Builder

		text.WriteString(read.name + ":")

		for _, when := range []string{"now", "at", "as known at"} {
			var took []time.Duration

			for i := range scale.timed {
				variables := read.variables()

				if when != "now" {
					variables["at"] = moments[i%len(moments)]
				}

				if when == "as known at" {
					variables["known"] = moments[i%len(moments)]
				}

				began := time.Now()

				ask[any](a, read.document, variables)

				took = append(took, time.Since(began))
			}

			slices.Sort(took)

			fmt.Fprintf(&text, " %s p50 %s p95 %s;", when, took[len(took)/2].Round(10*time.Microsecond), took[len(took)*95/100].Round(10*time.Microsecond))
		}

		a.t.Log(text.String())
	}
}
