package faults

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"
)

// answersWithin is how soon a request is answered whatever the database does.
const answersWithin = 30 * time.Second

// load is what a process has open.
type load struct{ goroutines, files, memory float64 }

// load reads the replica's own metrics.
func (r *replica) load(ctx context.Context) (load, error) {
	var l load

	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.addr+"/metrics", nil)
	if err != nil {
		return l, err
	}

	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return l, err
	}
	defer answer.Body.Close()

	into := map[string]*float64{
		"go_goroutines": &l.goroutines, "process_open_fds": &l.files, "process_resident_memory_bytes": &l.memory,
	}

	lines := bufio.NewScanner(answer.Body)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), " ")
		if target := into[name]; target != nil {
			if *target, err = strconv.ParseFloat(value, 64); err != nil {
				return l, err
			}

			delete(into, name)
		}
	}

	if len(into) > 0 {
		return l, errors.Join(lines.Err(), fmt.Errorf("metrics that are missing: %v", into))
	}

	return l, lines.Err()
}

// patient is a client that waits longer than the server may take.
func patient(r *replica) *client {
	c := newClient(r.url())
	c.http.Timeout = 2 * answersWithin
	// Asked and answered all the time, so that a connection is one of ours.
	c.http.Transport = &http.Transport{MaxIdleConnsPerHost: 100, MaxConnsPerHost: 100}

	return c
}

// longest is the longest time that something took.
type longest struct {
	mu   sync.Mutex
	took time.Duration
	n    int
}

func (l *longest) note(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()

	l.took = max(l.took, d)
	l.n++
}

// ask asks again and again until the end, and wants an answer each time, in
// its time: what is there, or that the database is not.
func (l *longest) ask(ctx context.Context, c *client, i int, end time.Time) error {
	for n := 0; time.Now().Before(end); n++ {
		began := time.Now()

		var err error
		if i%2 == 0 {
			err = c.ask(ctx, c.urls[0], "{ services(first: 10) { nodes { name } } environments { nodes { name } } }", nil, nil)
		} else {
			err = c.ask(ctx, c.urls[0], mutationText("createService", "service { id }"), map[string]any{"input": map[string]any{
				"name": fmt.Sprintf("new-%d-%d", i, n), "idempotencyKey": uuid.NewString(),
			}}, nil)
		}

		l.note(time.Since(began))

		var refused *refusal

		switch took := time.Since(began); {
		case took > answersWithin:
			return fmt.Errorf("a request took %s: %w", took, err)
		case err == nil: // it was answered before or after
		case !errors.As(err, &refused) || refused.Code != "UNAVAILABLE":
			return fmt.Errorf("want UNAVAILABLE, not %w", err)
		}
	}

	return nil
}

func TestDatabaseThatSaysNothing(t *testing.T) {
	t.Parallel()

	for _, c := range []struct {
		name string
		end  func(p *proxy)
	}{
		{"and then answers what it was asked", (*proxy).speak},
		{"and never answers on the connections of before", (*proxy).forget},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			silence(t, c.end)
		})
	}
}

func silence(t *testing.T, end func(p *proxy)) {
	t.Helper()

	const callers = 40

	w, p, _ := behind(t)
	r := w.replicas[0]
	ctx := t.Context()

	// Under way all the time: it is carried on afterwards.
	if err := w.registerLate(ctx, "shop", "2.0.0", 3*time.Second); err != nil {
		t.Fatal(err)
	}

	under, err := w.deploy(ctx, "shop", "2.0.0", nil)
	if err != nil {
		t.Fatal(err)
	}

	if _, err := w.await(ctx, under.ID, 20*time.Second, is("VERIFYING")); err != nil {
		t.Fatal(err)
	}

	c := patient(r)

	// Everything that is made once is made before.
	var warm longest
	if err := asking(ctx, &warm, c, callers, time.Now().Add(500*time.Millisecond)); err != nil {
		t.Fatal(err)
	}

	before, err := r.load(ctx)
	if err != nil {
		t.Fatal(err)
	}

	p.hush()

	var (
		worst  load
		asked  longest
		probed longest
		over   = time.Now().Add(shared(t).last(25*time.Second, 60*time.Second))
		all    errgroup.Group
	)

	all.Go(func() error { return asking(ctx, &asked, c, callers, over) })
	all.Go(func() error {
		for time.Now().Before(over) {
			now, err := r.load(ctx)
			if err != nil {
				return err
			}

			worst = load{max(worst.goroutines, now.goroutines), max(worst.files, now.files), max(worst.memory, now.memory)}

			if err := probe(ctx, r, &probed); err != nil {
				return err
			}

			if err := pause(ctx, 100*time.Millisecond); err != nil {
				return err
			}
		}

		return nil
	})

	if err := all.Wait(); err != nil {
		t.Error(err)
	}

	t.Logf("%d requests, the longest took %s; readyz at most %s; before %+v, at most %+v", asked.n, asked.took.Round(time.Millisecond), probed.took.Round(time.Millisecond), before, worst)

	// A caller is a connection with its goroutines and a statement that waits;
	// the pool of the database is full in any case.
	bound := load{before.goroutines + 8*callers + 100, before.files + 2*callers + 60, before.memory + 64<<20}
	if worst.goroutines > bound.goroutines || worst.files > bound.files || worst.memory > bound.memory {
		t.Errorf("while the database said nothing %+v was open, want at most %+v", worst, bound)
	}

	end(p)

	began := time.Now()
	works := &outage{world: w}

	took, err := works.back(ctx)
	if err != nil {
		t.Fatal(err)
	}

	d, err := w.await(ctx, under.ID, backWithin-time.Since(began), is("SUCCEEDED"))
	if err != nil {
		t.Fatal(err)
	}

	t.Logf("works again after %s, what was under way ended after %s", took.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
	w.checkEnd(t, told{deployment: under, works: true}, d)
	w.checkRunning(t, "shop")
	settles(t, r, before)
	w.checkRecord(t)
}

// asking lets callers ask until the end.
func asking(ctx context.Context, l *longest, c *client, callers int, end time.Time) error {
	var all errgroup.Group

	for i := range callers {
		all.Go(func() error { return l.ask(ctx, c, i, end) })
	}

	return all.Wait()
}

// probe asks what an orchestrator asks: alive at once, and not ready within
// its own time.
func probe(ctx context.Context, r *replica, l *longest) error {
	began := time.Now()

	for path, want := range map[string]int{"/healthz": http.StatusOK, "/readyz": http.StatusServiceUnavailable} {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.addr+path, nil)
		if err != nil {
			return err
		}

		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}

		if err := answer.Body.Close(); err != nil {
			return err
		}

		if answer.StatusCode != want {
			return fmt.Errorf("%s is answered %d, want %d", path, answer.StatusCode, want)
		}
	}

	took := time.Since(began)
	l.note(took)

	if took > 5*time.Second {
		return fmt.Errorf("the probes took %s", took)
	}

	return nil
}

// settles waits until the replica has no more open than before.
func settles(t *testing.T, r *replica, before load) {
	t.Helper()

	until := time.Now().Add(30 * time.Second)

	for {
		now, err := r.load(t.Context())
		if err != nil {
			t.Fatal(err)
		}

		if now.goroutines <= before.goroutines+20 && now.files <= before.files+20 {
			return
		}

		if time.Now().After(until) {
			t.Errorf("%+v is open, before it was %+v", now, before)

			return
		}

		if err := pause(t.Context(), 200*time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
}
