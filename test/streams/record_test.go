//go:build unix

package streams

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// record is what a viewer has seen of a log that numbers its lines.
type record struct {
	mu      sync.Mutex // held while it is written
	texts   []string
	cursors []string
	last    int
	ended   bool
	// late is how long the lines took from being printed to the viewer, of
	// those that were printed after it came.
	came time.Time
	late []time.Duration
}

// take checks a batch: numbers go up by one, nothing follows the end.
func (r *record) take(b batch) error {
	r.mu.Lock()
	defer r.mu.Unlock()

	if r.ended {
		return errors.New("a batch after the one that was complete")
	}

	if b.Gap != nil {
		return fmt.Errorf("a gap: %s", b.Gap.Reason)
	}

	for i := range b.Lines {
		r.texts = append(r.texts, b.Lines[i].Stream+" "+b.Lines[i].Text)
		r.cursors = append(r.cursors, b.Lines[i].Cursor)

		var (
			n  int
			at int64
		)

		if _, err := fmt.Sscanf(b.Lines[i].Text, "number %d at %d", &n, &at); err != nil {
			continue // of a step
		}

		if n != r.last+1 {
			return fmt.Errorf("number %d after %d", n, r.last)
		}

		r.last = n

		if printed := time.UnixMicro(at); printed.After(r.came) {
			r.late = append(r.late, time.Since(printed))
		}
	}

	if len(b.Lines) > 0 && b.Cursor != b.Lines[len(b.Lines)-1].Cursor {
		return errors.New("the batch's cursor is not that of its last line")
	}

	r.ended = b.Complete

	return nil
}

// complete checks that the whole log was seen.
func (r *record) complete(v *viewer, lines int) error {
	if !r.ended || !v.completed {
		return fmt.Errorf("complete %t in the data, %t in the protocol", r.ended, v.completed)
	}

	if r.last != lines {
		return fmt.Errorf("%d lines, not %d", r.last, lines)
	}

	sorted := slices.Clone(r.cursors)
	slices.Sort(sorted)

	if len(slices.Compact(sorted)) != len(r.cursors) {
		return errors.New("two lines have the same cursor")
	}

	return nil
}

// percentile of the lateness.
func (r *record) percentile(p float64) time.Duration {
	if len(r.late) == 0 {
		return 0
	}

	sorted := slices.Clone(r.late)
	slices.Sort(sorted)

	return sorted[min(len(sorted)-1, int(p*float64(len(sorted))))]
}

// whole reads the log once more, from its start, over the transport.
func (a *api) whole(t *testing.T, transport, deployment string) *record {
	t.Helper()

	r := &record{}
	v := &viewer{url: a.url, transport: transport, deployment: deployment, each: r.take}

	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()

	if err := v.follow(ctx); err != nil {
		t.Fatal(err)
	}

	return r
}

// sameAs compares two views of a log.
func (r *record) sameAs(other *record) error {
	if !slices.Equal(r.texts, other.texts) || !slices.Equal(r.cursors, other.cursors) {
		return fmt.Errorf("%d lines, seen again %d:\n%s", len(r.texts), len(other.texts),
			strings.Join(other.texts[max(0, len(other.texts)-20):], "\n"))
	}

	return nil
}
