package kubernetes

import (
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// output makes a run's output with times that repeat and go back a little, as
// those of two streams do.
func output(t *rapid.T) (log []stamped) {
	at := time.Unix(1_700_000_000, 0).UTC()

	for i := range rapid.IntRange(1, 60).Draw(t, "lines") {
		at = at.Add(time.Duration(rapid.IntRange(-1, 600).Draw(t, "microseconds")) * time.Microsecond)
		if rapid.IntRange(0, 3).Draw(t, "pause") == 0 {
			at = at.Add(400 * time.Millisecond)
		}

		log = append(log, stamped{at: at, text: strconv.Itoa(i)})
	}

	return log
}

// given is what a node gives of the lines that it still has.
func given(log []stamped, since time.Time) (lines []stamped) {
	for _, l := range log {
		if !l.at.Before(since) {
			lines = append(lines, l)
		}
	}

	return lines
}

// TestResumeLosesAndDoublesNothing resumes at any line from the position alone,
// while the node forgets what was taken, but for the last of it.
func TestResumeLosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		log := output(t)
		after, got, forgotten := int64(0), 0, 0

		for got < len(log) {
			c := counter{taken: after}
			stop := rapid.IntRange(1, 20).Draw(t, "taken")

			// A rotation leaves lines from somewhere on. Here not between those
			// of one moment, whose positions need each other.
			if keep := rapid.IntRange(forgotten, max(forgotten, got-1)).Draw(t, "forgotten"); keep == 0 || log[keep].at.Sub(log[keep-1].at) > 100*time.Microsecond {
				forgotten = keep
			}

			for _, l := range given(log[forgotten:], c.pass()) {
				line, fresh := c.next(l)
				if !fresh {
					continue
				}

				if line.text != strconv.Itoa(got) || line.lost || line.position <= after {
					t.Fatalf("line %q at %d, lost %t, want %d after %d", line.text, line.position, line.lost, got, after)
				}

				after = line.position
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

	start := time.Unix(1_700_000_000, 0).UTC()
	line := func(i int) stamped {
		return stamped{at: start.Add(time.Duration(i) * time.Second), text: strconv.Itoa(i)}
	}

	c := counter{}
	c.pass()

	first, fresh := c.next(line(0))
	if !fresh || first.lost {
		t.Fatalf("the first: %+v", first)
	}

	c = counter{taken: first.position}
	c.pass()

	l, fresh := c.next(line(5))
	if !fresh || !l.lost {
		t.Fatalf("got %+v, want a gap", l)
	}

	// Resumed after it, nothing is missing any more.
	c = counter{taken: l.position}
	if since := c.pass(); since.After(line(5).at) {
		t.Errorf("since %s", since)
	}

	if _, fresh := c.next(line(5)); fresh {
		t.Error("taken twice")
	}

	if l, fresh := c.next(line(6)); !fresh || l.lost {
		t.Errorf("got %+v", l)
	}
}

// TestRotatedAwayIsNotTakenAgain: the node has rotated the beginning away, and
// still has what was taken last.
func TestRotatedAwayIsNotTakenAgain(t *testing.T) {
	t.Parallel()

	start := time.Unix(1_700_000_000, 0).UTC()

	var log []stamped
	for i := range 100 {
		log = append(log, stamped{at: start.Add(time.Duration(i) * 10 * time.Millisecond), text: strconv.Itoa(i)})
	}

	c := counter{taken: log[70].at.UnixNano()}

	var got []string

	for _, l := range given(log[50:], c.pass()) {
		if line, fresh := c.next(l); fresh {
			got = append(got, line.text)

			if line.lost {
				t.Errorf("line %s: a gap", line.text)
			}
		}
	}

	if len(got) != 29 || got[0] != "71" {
		t.Errorf("got %q, want 71 to 99", got)
	}
}
