//go:build unix

package streams

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"testing"
)

// Whoever subscribes just before a log ends, at that instant, or after it, from
// the start or from any place, gets the whole rest and then the end.
func TestSubscribingAsTheLogEnds(t *testing.T) {
	each(t, func(t *testing.T, a *api, transport string) {
		for round := range 3 {
			endingOnce(t, a, transport, fmt.Sprintf("ending-%d", round))
		}
	})
}

// Of each kind so many viewers come after the end.
const latecomers = 12

func endingOnce(t *testing.T, a *api, transport, name string) {
	t.Helper()

	const lines, perSecond = 500, 1000

	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()

	id := a.deploy(name, "talk", strconv.Itoa(lines), strconv.Itoa(perSecond))

	var (
		viewers sync.WaitGroup
		records []*record
	)

	// One after the other, each when the one before has got its first batch.
	for late := 0; late < latecomers && ctx.Err() == nil; {
		r, begun := &record{}, make(chan struct{})
		first := sync.OnceFunc(func() { close(begun) })
		v := &viewer{url: a.url, transport: transport, deployment: id, header: len(records)%2 == 1 && transport == eventStream}
		v.each = func(b batch) error {
			defer first()

			return r.take(b)
		}

		// Every third goes on from where another one was.
		if n := len(records); n%3 == 2 {
			r = records[n-1].until(n)
			v.after = r.place()
		}

		records = append(records, r)

		viewers.Go(func() {
			defer first()

			if err := v.follow(ctx); err != nil {
				t.Errorf("a viewer after line %d: %v", r.last, err)
			} else if err := r.complete(v, lines); err != nil {
				t.Errorf("a viewer: %v", err)
			}
		})

		<-begun

		if a.status(id) == "SUCCEEDED" {
			late++
		}
	}

	viewers.Wait()

	if t.Failed() {
		return
	}

	again := a.whole(t, transport, id)
	for i, r := range records {
		if err := r.sameAs(again); err != nil {
			t.Errorf("viewer %d: %v", i, err)
		}
	}

	t.Logf("%d viewers, of which %d came after the end", len(records), latecomers)
}

// At the very cursor of the end there is nothing but the end.
func TestSubscribingAtTheEnd(t *testing.T) {
	each(t, func(t *testing.T, a *api, transport string) {
		id := a.deploy("ended", "talk", "20", "1000")
		whole := a.whole(t, transport, id)

		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()

		v := &viewer{url: a.url, transport: transport, deployment: id, after: whole.place(), each: func(b batch) error {
			if len(b.Lines) > 0 || b.Gap != nil || !b.Complete || b.Cursor != whole.place() {
				return fmt.Errorf("%+v", b)
			}

			return nil
		}}

		if err := v.follow(ctx); err != nil || !v.completed {
			t.Error(err)
		}
	})
}

// place is the cursor of the last line, "" before the first.
func (r *record) place() string {
	r.mu.Lock()
	defer r.mu.Unlock()

	if len(r.cursors) == 0 {
		return ""
	}

	return r.cursors[len(r.cursors)-1]
}

// until is the record of a viewer that had seen some of these lines: how many,
// n chooses.
func (r *record) until(n int) *record {
	r.mu.Lock()
	defer r.mu.Unlock()

	seen := 0
	if len(r.texts) > 0 {
		seen = n % (len(r.texts) + 1)
	}

	part := &record{texts: append([]string{}, r.texts[:seen]...), cursors: append([]string{}, r.cursors[:seen]...)}

	for _, text := range part.texts {
		var at int64
		if _, err := fmt.Sscanf(text, "CONTAINER number %d at %d", &part.last, &at); err != nil {
			continue // of a step
		}
	}

	return part
}
