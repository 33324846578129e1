//go:build unix

package process

import (
	"container/heap"
	"context"
	"errors"
	"fmt"

	"github.com/shiplog/shiplog/deployer"
)

// Settle has nothing to wait for: what instances write is in files, which are
// read anew each time.
func (d *Deployer) Settle(context.Context, deployer.Unit, map[string]int64) error { return nil }

// Read merges the output of the unit's instances, ended ones included, by
// time. It takes no lock.
func (d *Deployer) Read(
	ctx context.Context, u deployer.Unit, after map[string]int64, limit int,
) (lines []deployer.Line, err error) {
	dir, err := d.unitDir(u)
	if err != nil || limit <= 0 {
		return nil, err
	}

	runs, err := dir.list()
	if err != nil {
		return nil, err
	}

	var all merge
	defer func() { err = errors.Join(err, all.close()) }()

	for _, r := range runs {
		s, ok, err := d.specOf(r)
		if err != nil {
			return nil, err
		}

		if !ok {
			continue // being made
		}

		f := &feed{run: r, spec: s, tail: newTail(string(r), after[s.Key], d.placeOf(r))}
		if err := all.add(f); err != nil {
			return nil, err
		}
	}

	heap.Init(&all)

	for len(lines) < limit && all.Len() > 0 {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("read output: %w", err)
		}

		f := all.feeds[0]
		lines = append(lines, f.line())
		d.note(f.run, f.at)

		more, err := f.next()
		if err != nil {
			return nil, err
		}

		if more {
			heap.Fix(&all, 0)
		} else {
			all.done = append(all.done, f)
			heap.Pop(&all)
		}
	}

	return lines, nil
}

// maxCached bounds the caches of runs.
const maxCached = 4096

// feed is one run's output in a merge, with its next line in hand.
type feed struct {
	run  runDir
	spec runSpec
	tail *tail
	head record
	gap  int64
	// at is the place after head.
	at place
}

func (f *feed) next() (bool, error) {
	r, gap, ok, err := f.tail.next()
	f.head, f.gap, f.at = r, gap, f.tail.place

	return ok, err
}

func (f *feed) line() deployer.Line {
	return deployer.Line{
		Source: deployer.Source{
			Key: f.spec.Key, Deployment: f.spec.Deployment, Container: f.spec.Container,
			Instance: f.spec.Instance, Attempt: f.head.Attempt,
		},
		Position: f.head.Position, Time: f.head.Time, Text: string(f.head.Text),
		Truncated: f.head.Truncated, Gap: f.gap,
	}
}

// merge is a heap of feeds by the time of their next line.
type merge struct {
	feeds []*feed
	done  []*feed
}

func (m *merge) add(f *feed) error {
	more, err := f.next()
	if more {
		m.feeds = append(m.feeds, f)
	} else {
		m.done = append(m.done, f)
	}

	return err
}

func (m *merge) close() error {
	var errs []error
	for _, f := range append(m.feeds, m.done...) {
		errs = append(errs, f.tail.close())
	}

	return errors.Join(errs...)
}

// Len, Less, Swap, Push and Pop make it a heap.
func (m *merge) Len() int { return len(m.feeds) }

func (m *merge) Less(i, j int) bool { return m.feeds[i].head.Time.Before(m.feeds[j].head.Time) }

func (m *merge) Swap(i, j int) { m.feeds[i], m.feeds[j] = m.feeds[j], m.feeds[i] }

// Push adds a feed.
func (m *merge) Push(x any) {
	if f, ok := x.(*feed); ok {
		m.feeds = append(m.feeds, f)
	}
}

// Pop removes the last feed.
func (m *merge) Pop() any {
	last := m.feeds[len(m.feeds)-1]
	m.feeds = m.feeds[:len(m.feeds)-1]

	return last
}

// specOf gives what the run is of; it never changes.
func (d *Deployer) specOf(r runDir) (runSpec, bool, error) {
	d.mu.Lock()
	s, ok := d.specs[string(r)]
	d.mu.Unlock()

	if ok {
		return s, true, nil
	}

	found, err := readJSON(r.spec(), &s)
	if err != nil || !found {
		return s, false, err
	}

	// Only names are needed, and variables may be private.
	s = runSpec{Key: s.Key, Deployment: s.Deployment, Instance: s.Instance, Container: s.Container}

	d.mu.Lock()
	if len(d.specs) >= maxCached {
		// Other servers forget runs without telling: begin anew now and then.
		clear(d.specs)
		clear(d.places)
	}

	d.specs[string(r)] = s
	d.mu.Unlock()

	return s, true, nil
}

func (d *Deployer) placeOf(r runDir) place {
	d.mu.Lock()
	defer d.mu.Unlock()

	return d.places[string(r)]
}

func (d *Deployer) note(r runDir, p place) {
	d.mu.Lock()
	defer d.mu.Unlock()

	d.places[string(r)] = p
}

// forget drops what is cached of a run that is gone.
func (d *Deployer) forget(r runDir) {
	d.mu.Lock()
	defer d.mu.Unlock()

	delete(d.specs, string(r))
	delete(d.places, string(r))
}
