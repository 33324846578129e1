package delivery

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"
	"testing"
	"time"
)

var start = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

func hour(n int) time.Time { return start.Add(time.Duration(n) * time.Hour) }

// naive reads the definitions word by word, one deployment at a time, over the
// whole history.
type naive struct {
	all    []Act
	period Span
}

// sequence is what happened in a place, in order.
func (n naive) sequence(place string) (found []Act) {
	for _, a := range n.all {
		if a.Place == place {
			found = append(found, a)
		}
	}

	slices.SortFunc(found, func(a, b Act) int {
		if a.Began.Equal(b.Began) {
			return len(a.ID) - len(b.ID) + 2*compareText(a.ID, b.ID)
		}

		return a.Began.Compare(b.Began)
	})

	return found
}

func compareText(a, b string) int {
	if a < b {
		return -1
	}

	if a > b {
		return 1
	}

	return 0
}

func (n naive) at(a Act) int {
	return slices.IndexFunc(n.sequence(a.Place), func(other Act) bool { return other.ID == a.ID })
}

// lastSuccess and nextSuccess are those before and after an act.
func (n naive) lastSuccess(a Act) (found *Act) {
	for _, other := range n.sequence(a.Place)[:n.at(a)] {
		if other.Succeeded {
			found = &other
		}
	}

	return found
}

func (n naive) nextSuccess(a Act) *Act {
	for _, other := range n.sequence(a.Place)[n.at(a)+1:] {
		if other.Succeeded {
			return &other
		}
	}

	return nil
}

func (n naive) goesBack(a Act) bool {
	before := n.lastSuccess(a)

	return a.Rollback || before != nil && !a.Built.IsZero() && a.Built.Before(before.Built)
}

func (n naive) isChange(a Act) bool {
	if a.Undeploy || a.Rollback {
		return false
	}

	return !a.Succeeded || !n.goesBack(a)
}

func (n naive) fails(a Act) bool {
	if !n.isChange(a) {
		return false
	}

	next := n.nextSuccess(a)

	return !a.Succeeded || next != nil && n.goesBack(*next)
}

// breaks says whether the act is the first of a failure: a change that is gone
// back from, or one that failed right after a success that is not.
func (n naive) breaks(a Act) bool {
	if a.Succeeded {
		return n.fails(a)
	}

	i := n.at(a)
	if i == 0 {
		return true
	}

	before := n.sequence(a.Place)[i-1]

	return before.Succeeded && !n.fails(before)
}

func (n naive) figures() (f Figures) {
	inOrder := slices.Clone(n.all)
	slices.SortFunc(inOrder, func(a, b Act) int {
		if c := a.Began.Compare(b.Began); c != 0 {
			return c
		}

		return compareText(a.ID, b.ID)
	})

	restored := map[string]time.Duration{}

	for _, a := range inOrder {
		if a.Began.Before(n.period.From) || !a.Began.Before(n.period.To) {
			continue
		}

		if n.isChange(a) {
			f.Changes++

			if a.Succeeded {
				f.Deployed = append(f.Deployed, a.ID)

				if before := n.lastSuccess(a); before == nil || a.Built.After(before.Built) {
					f.Led = append(f.Led, Timed{a.ID, a.Ended.Sub(a.Built)})
				}
			}
		}

		if n.fails(a) {
			f.Failed = append(f.Failed, a.ID)
		}

		if !n.breaks(a) {
			continue
		}

		switch next := n.nextSuccess(a); {
		case next == nil:
			f.Open++
		case !next.Undeploy:
			restored[next.ID] = max(0, next.Ended.Sub(a.Ended)) // two may overlap that others deployed
		}
	}

	for _, a := range inOrder {
		if took, ok := restored[a.ID]; ok {
			f.Restored = append(f.Restored, Timed{a.ID, took})
		}
	}

	return f
}

// random is a history of some places.
func random(r *rand.Rand) []Act {
	var all []Act

	for place := range 1 + r.IntN(3) {
		hours := 0

		for range r.IntN(14) {
			hours += r.IntN(5)
			a := Act{
				ID: fmt.Sprintf("d%03d", r.IntN(1000)*10+len(all)%10), Place: strconv.Itoa(place), Began: hour(hours), Ended: hour(hours).Add(time.Duration(r.IntN(50)) * time.Minute),
				Succeeded: r.IntN(3) > 0, Built: hour(-r.IntN(6)),
			}

			switch r.IntN(8) {
			case 0:
				a.Rollback = true
			case 1:
				a.Undeploy, a.Built = true, time.Time{}
			}

			if !slices.ContainsFunc(all, func(b Act) bool { return b.ID == a.ID }) {
				all = append(all, a)
			}
		}
	}

	return all
}

// needed leaves of a history only what Compute asks for.
func needed(all []Act, period Span) (kept []Act) {
	n := naive{all, period}

	places := map[string]bool{}
	for _, a := range all {
		places[a.Place] = true
	}

	for place := range places {
		var before, after []Act

		successes := 0

		for _, a := range n.sequence(place) {
			switch {
			case a.Began.Before(period.From):
				before = append(before, a)
			case !a.Began.Before(period.To) && (len(after) == 0 || !after[len(after)-1].Succeeded):
				after = append(after, a)
			case a.Began.Before(period.To):
				kept = append(kept, a)
			}
		}

		for i := len(before) - 1; i >= 0 && successes < 2; i-- {
			kept = append(kept, before[i])

			if before[i].Succeeded {
				successes++
			}
		}

		kept = append(kept, after...)
	}

	return kept
}

func TestComputeIsWhatTheDefinitionsSay(t *testing.T) {
	t.Parallel()

	seed := uint64(time.Now().UnixNano())
	r := rand.New(rand.NewPCG(seed, 1))

	for i := range 10_000 {
		all := random(r)
		from := r.IntN(30)
		period := Span{hour(from), hour(from + r.IntN(30))}
		want := naive{all, period}.figures()

		for name, acts := range map[string][]Act{"all": all, "what is needed": needed(all, period)} {
			r.Shuffle(len(acts), func(i, j int) { acts[i], acts[j] = acts[j], acts[i] })

			if got := Compute(acts, period); !reflect.DeepEqual(got, want) {
				t.Fatalf("seed %d, case %d, %s: of %+v\nin %v\ngot  %+v\nwant %+v", seed, i, name, acts, period, got, want)
			}
		}
	}
}

func TestFiguresOfAStory(t *testing.T) {
	t.Parallel()

	act := func(id string, began int, change func(*Act)) Act {
		a := Act{ID: id, Place: "p", Began: hour(began), Ended: hour(began).Add(10 * time.Minute), Succeeded: true, Built: hour(began - 1)}
		if change != nil {
			change(&a)
		}

		return a
	}
	failed := func(a *Act) { a.Succeeded = false }
	back := func(a *Act) { a.Rollback, a.Built = true, hour(-1) }

	got := Compute([]Act{
		act("first", 0, nil), act("broken", 10, nil), act("back", 12, back), act("fails", 20, failed), act("again", 21, failed), act("works", 23, nil), act("late", 50, failed),
	}, Span{hour(0), hour(100)})

	want := Figures{
		Deployed: []string{"first", "broken", "works"},
		Led:      []Timed{{"first", 70 * time.Minute}, {"broken", 70 * time.Minute}, {"works", 70 * time.Minute}},
		Failed:   []string{"broken", "fails", "again", "late"}, Changes: 6,
		Restored: []Timed{{"back", 2 * time.Hour}, {"works", 3 * time.Hour}}, Open: 1,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestMiddleAndEnd(t *testing.T) {
	t.Parallel()

	var all []Timed

	if _, ok := Median(all); ok {
		t.Error("a median of nothing")
	}

	if _, ok := P90(all); ok {
		t.Error("a percentile of nothing")
	}

	for n, want := range [][2]time.Duration{{1, 1}, {1, 2}, {2, 3}, {2, 4}, {3, 5}, {3, 6}, {4, 7}, {4, 8}, {5, 9}, {5, 9}, {6, 10}} {
		all = append(all, Timed{Took: time.Duration(n + 1)})

		median, _ := Median(all)
		if p90, _ := P90(all); median != want[0] || p90 != want[1] {
			t.Errorf("of 1 to %d: %d and %d, want %v", n+1, median, p90, want)
		}
	}
}
