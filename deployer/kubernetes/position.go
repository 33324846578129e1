package kubernetes

import (
	"strconv"
	"strings"
	"time"
)

// A container's output has no numbers of its own: the node gives lines with
// times, forgets the oldest of them, and takes a time in whole seconds to begin
// at. So a line's position within its run is its time in nanoseconds, or one
// more than the line before it where that is later: lines of one moment, or of
// a clock that was set back, keep their order. Whoever goes on from a position
// asks for the lines since a moment before it and passes over those up to it.
// That needs none of the earlier lines: the node may have rotated them away.
// Where not even the last line that was taken is there, nobody knows what else
// is not: a gap.

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

// key of the source that the run is.
func (r run) key() string { return r.uid + "/" + r.container + "/" + strconv.Itoa(r.attempt) }

// before is the run before it.
func (r run) before() run {
	r.attempt--

	return r
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

// counted is a line with its place.
type counted struct {
	stamped

	position int64
	// lost: lines before it are not to be had any more.
	lost bool
}

// counter gives the lines of one run their positions. The node is read several
// times; each pass gives the lines in the same order. It is pure.
type counter struct {
	// taken is the position of the last line that was taken; 0 for none.
	taken int64
	// lost: what the run began with is not to be had.
	lost bool

	// at is where the pass stands; met: it has seen a line that was taken.
	at  int64
	met bool
}

// margin is how long before the last line a pass begins: positions of lines of
// one moment lie a little later than their times.
const margin = time.Millisecond

// pass begins a pass, and gives from when the node is to give lines; zero for
// from the beginning.
func (c *counter) pass() (since time.Time) {
	c.at, c.met = 0, false

	if c.taken == 0 {
		return time.Time{}
	}

	return time.Unix(0, c.taken).Add(-margin).Truncate(time.Second).UTC()
}

// next gives the line its place, or false for one that was taken before.
func (c *counter) next(l stamped) (counted, bool) {
	c.at = max(l.at.UnixNano(), c.at+1)

	if c.at <= c.taken {
		c.met = true

		return counted{}, false
	}

	lost := c.lost || c.taken > 0 && !c.met
	c.taken, c.met, c.lost = c.at, true, false

	return counted{stamped: l, position: c.at, lost: lost}, true
}
