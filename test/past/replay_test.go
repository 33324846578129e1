package past

import (
	"database/sql"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shiplog/shiplog/internal/store"
)

// fact is a deployment as its row tells it.
type fact struct {
	place                   place
	number                  int32
	id, version, kind       string
	status                  string
	created                 time.Time
	acted, current          *time.Time
	order                   int64
	backfill                bool
	actedKnown, currentKnow time.Time
}

// place is a service in an environment.
type place struct {
	service, environment string
}

// state is what is in place: ids of deployments, "" for none.
type state struct{ recorded, applied string }

// open connects beside the server, without the product's statements.
func open(t *testing.T, database string) *sql.DB {
	t.Helper()

	driver, source := "postgres", database
	if path, embedded := strings.CutPrefix(database, "sqlite:"); embedded {
		driver, source = "sqlite", "file:"+path+"?_pragma=busy_timeout(10000)"
	}

	pool, err := sql.Open(driver, source)
	if err != nil {
		t.Fatal(err)
	}

	return pool
}

// learn reads all deployments of a database.
func learn(t *testing.T, database string) []fact {
	t.Helper()

	pool := open(t, database)
	defer pool.Close()

	rows, err := pool.QueryContext(t.Context(), `SELECT id, service_id, environment_id, COALESCE(version_id, ''), kind, status, created_at, acted_at,
		became_current_at, COALESCE(current_order, 0), backfill FROM deployments`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()

	var facts []fact

	for rows.Next() {
		var (
			f                       fact
			created, acted, current store.NullTime
		)

		if err := rows.Scan(&f.id, &f.place.service, &f.place.environment, &f.version, &f.kind, &f.status, &created, &acted, &current, &f.order, &f.backfill); err != nil {
			t.Fatal(err)
		}

		f.created, f.acted, f.current = *created.Time, acted.Time, current.Time
		f.known()

		facts = append(facts, f)
	}

	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}

	return facts
}

// known says since when what the fact tells is known.
func (f *fact) known() {
	f.actedKnown, f.currentKnow = f.created, f.created

	if f.kind == "EXTERNAL" {
		return
	}

	if f.acted != nil {
		f.actedKnown = *f.acted
	}

	if f.current != nil {
		f.currentKnow = *f.current
	}
}

// history is all that was learnt, in the order in which it was.
type history struct {
	places        []place
	became, acted []fact
}

func inOrder(facts []fact) history {
	var h history

	numbers := map[place]int32{}

	for _, f := range facts {
		number, ok := numbers[f.place]
		if !ok {
			number = int32(len(h.places))
			numbers[f.place] = number
			h.places = append(h.places, f.place)
		}

		f.number = number

		if f.current != nil {
			h.became = append(h.became, f)
		}

		if f.acted != nil {
			h.acted = append(h.acted, f)
		}
	}

	slices.SortFunc(h.became, func(a, b fact) int {
		if c := a.currentKnow.Compare(b.currentKnow); c != 0 {
			return c
		}

		return int(a.order - b.order)
	})
	slices.SortFunc(h.acted, func(a, b fact) int {
		if c := a.actedKnown.Compare(b.actedKnown); c != 0 {
			return c
		}

		return strings.Compare(a.id, b.id)
	})

	return h
}

// replay plays everything from the beginning, as it was learnt: what takes
// effect later than what is in place, or at the same moment, takes its place.
// What takes effect after the moment, or was learnt after known, is left out.
func (h history) replay(moment, known *time.Time) map[place]state {
	after := func(t time.Time, limit *time.Time) bool { return limit != nil && t.After(*limit) }
	states := make([]state, len(h.places))
	since := make([]struct{ recorded, applied time.Time }, len(h.places))

	for i := range h.became {
		f := &h.became[i]
		if after(*f.current, moment) || after(f.currentKnow, known) || f.current.Before(since[f.number].recorded) {
			continue
		}

		states[f.number].recorded, since[f.number].recorded = f.id, *f.current
	}

	for i := range h.acted {
		f := &h.acted[i]
		if after(*f.acted, moment) || after(f.actedKnown, known) || f.acted.Before(since[f.number].applied) {
			continue
		}

		states[f.number].applied, since[f.number].applied = f.id, *f.acted
	}

	places := make(map[place]state, len(states))

	for i, s := range states {
		if s != (state{}) {
			places[h.places[i]] = s
		}
	}

	return places
}
