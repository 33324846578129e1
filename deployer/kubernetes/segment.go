package kubernetes

import (
	"strconv"
	"strings"
	"time"
)

// A container's output has no numbers of its own: the node gives lines with
// times, forgets the oldest of them, and takes a time in whole seconds to begin
// at. So the output of every run of a container is counted in segments. The key
// of a source says which run it is of and at which line, by its time, the
// segment begins; a position counts the lines from there. Whoever goes on from
// a position alone asks for the lines since that time, passes over as many as
// were taken, and so loses and doubles nothing. Where the line that the segment
// begins with is not there any more, the node has forgotten it: a new segment
// begins, with a gap before its first line.

// segmentLines is how long a segment is at most: what is read again at a
// resume, and how many keys a log of 64 MiB gathers (some dozens).
const segmentLines = 10_000

// run is one run of a container: a restart begins another one.
type run struct {
	pod, uid, container string
	// attempt counts from 1.
	attempt int
	// deployment that the pod was made for.
	deployment string
	// previous: the one before the run that is there.
	previous bool
}

// prefix of the keys of the run's segments.
func (r run) prefix() string { return r.uid + "/" + r.container + "/" + strconv.Itoa(r.attempt) + "@" }

// segment is where the counting of a run's lines begins.
type segment struct {
	// start is the time of its first line; zero before there was one.
	start time.Time
	// taken is the position of the last line that was taken.
	taken int64
	// gap: position 1 stands for lines that are lost before the first one.
	gap bool
}

// begun marks the key of a segment that begins with a gap.
const begun = "+"

func (r run) key(s segment) string {
	key := r.prefix() + strconv.FormatInt(s.start.UnixNano(), 10)
	if s.gap {
		key += begun
	}

	return key
}

// latest gives the last segment of the run that positions know.
func (r run) latest(after map[string]int64) segment {
	var last segment

	for key, taken := range after {
		said, ok := strings.CutPrefix(key, r.prefix())
		if !ok {
			continue
		}

		said, gap := strings.CutSuffix(said, begun)

		nanos, err := strconv.ParseInt(said, 10, 64)
		if start := time.Unix(0, nanos).UTC(); err == nil && start.After(last.start) {
			last = segment{start: start, taken: taken, gap: gap}
		}
	}

	return last
}

// stamped is a line as the node gives it.
type stamped struct {
	at        time.Time
	text      string
	truncated bool
}

// parse splits the time off a line.
func parse(line string) (stamped, bool) {
	said, text, _ := strings.Cut(line, " ")

	at, err := time.Parse(time.RFC3339Nano, said)

	return stamped{at: at.UTC(), text: text}, err == nil
}

// counter counts the lines of a run that come from the node, in order. It is
// pure.
type counter struct {
	segment

	run run
	// passing: lines of the segment that were taken before are still to come;
	// up to the position seen they have come.
	passing bool
	seen    int64
	first   bool
	last    time.Time
}

// resume begins to count after what was taken of the run.
func resume(r run, after map[string]int64) *counter {
	s := r.latest(after)

	c := &counter{run: r, segment: s, passing: s.taken > 0}
	if s.gap {
		c.seen = 1
	}

	return c
}

// since is from when the node is to give lines; zero for from the beginning.
func (c *counter) since() time.Time { return c.start }

// counted is a line with its place.
type counted struct {
	stamped

	key      string
	segment  segment
	position int64
	// lost: lines before it are not to be had any more.
	lost bool
}

// next gives the line its place, or false for one that was taken before.
func (c *counter) next(l stamped) (counted, bool) {
	if c.passing {
		if l.at.Before(c.start) {
			return counted{}, false // asked for in whole seconds
		}

		if !c.first && l.at.After(c.start) {
			// The node no longer has what the segment begins with, and so
			// nobody can say which of these lines were taken.
			c.passing = false
			c.segment = segment{start: l.at, taken: 1, gap: true}

			return c.take(l, true), true
		}

		c.first = true
		c.seen++
		c.last = l.at
		c.passing = c.seen < c.taken

		return counted{}, false
	}

	// Only where the time goes on: lines of one moment stay together.
	if c.start.IsZero() || c.taken >= segmentLines && l.at.After(c.last) {
		c.segment = segment{start: l.at}
	}

	return c.take(l, false), true
}

func (c *counter) take(l stamped, lost bool) counted {
	c.taken++
	c.last = l.at

	return counted{stamped: l, key: c.run.key(c.segment), segment: c.segment, position: c.taken, lost: lost}
}
