package kubernetes

import (
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestResumeLosesAndDoublesNothing resumes at any line from the position alone,
// with times that repeat.
func TestResumeLosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := run{pod: "p", uid: "u", container: "c", attempt: 1}
		at := time.Unix(1_700_000_000, 0).UTC()

		var log []stamped

		for i := range rapid.IntRange(1, 60).Draw(t, "lines") {
			at = at.Add(time.Duration(rapid.IntRange(0, 2).Draw(t, "step")) * 400 * time.Millisecond)
			log = append(log, stamped{at: at, text: strconv.Itoa(i)})
		}

		after := map[string]int64{}
		got := 0

		for got < len(log) {
			c := resume(r, after)
			stop := rapid.IntRange(1, 20).Draw(t, "taken")

			for _, l := range log {
				if l.at.Before(c.since().Truncate(time.Second)) {
					continue // the node is asked from there
				}

				line, fresh := c.next(l)
				if !fresh {
					continue
				}

				if line.text != strconv.Itoa(got) || line.lost || line.position != after[line.key]+1 {
					t.Fatalf("line %q at %d of %s, want %d after %d", line.text, line.position, line.key, got, after[line.key])
				}

				after[line.key] = line.position
				got++

				if stop--; stop == 0 {
					break
				}
			}
		}
	})
}

func TestWhatTheNodeHasForgottenIsAGap(t *testing.T) {
	t.Parallel()

	r := run{pod: "p", uid: "u", container: "c", attempt: 1}
	start := time.Unix(1_700_000_000, 0).UTC()
	line := func(i int) stamped {
		return stamped{at: start.Add(time.Duration(i) * time.Second), text: strconv.Itoa(i)}
	}

	c := resume(r, nil)
	first, _ := c.next(line(0))
	after := map[string]int64{first.key: first.position}

	c = resume(r, after)

	l, fresh := c.next(line(5))
	if !fresh || !l.lost || l.position != 2 || l.key == first.key {
		t.Fatalf("got %+v, want a gap and a new segment", l)
	}

	// Resumed after it, nothing is missing any more.
	after[l.key] = l.position
	c = resume(r, after)

	if _, fresh := c.next(line(5)); fresh {
		t.Error("taken twice")
	}

	if l, fresh := c.next(line(6)); !fresh || l.lost || l.position != 3 {
		t.Errorf("got %+v", l)
	}
}
