package kubernetes

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/shiplog/shiplog/deployer"
)

const (
	// tailLines bounds what is read ahead of a run; then the stream waits, and
	// the node keeps the lines.
	tailLines = 2000
	// tailIdle ends a tail that nobody has read for so long: another replica
	// observes now.
	tailIdle = time.Minute
)

// tail follows one run of a container, whoever reads: first what the node has,
// which comes to an end, then what it gets. What has come stays until a reader
// comes with a later position.
type tail struct {
	run

	site site

	cancel context.CancelFunc
	// begun is closed when there is something to read, or surely nothing yet:
	// all that the node had has come, or there is no room for more, or the tail
	// has ended.
	begun     chan struct{}
	beginning sync.Once
	// room has one slot: a reader has taken lines.
	room chan struct{}

	mu    sync.Mutex
	lines []counted
	// taken is the position that readers have gone past, head the last that has
	// come.
	taken, head int64
	// news is closed at the next change; nil when nobody waits for it.
	news chan struct{}
	// caught: all that the node had when the tail was begun has come.
	caught bool
	// ended: the stream is over. complete: so is the run, and everything of it
	// has come.
	ended, complete bool
	err             error
	readAt          time.Time
	// failures in a row, of this tail and those before it, and until when the
	// run is left alone after them.
	failures int
	pause    time.Time
}

// follow starts a tail that goes on where the counter stands; failures is how
// often in a row it has been in vain. The caller holds the deployer's lock.
func (d *Deployer) follow(s site, r state, c *counter, failures int) *tail {
	ctx, cancel := context.WithCancel(context.Background())
	t := &tail{
		run: r.run, site: s, cancel: cancel, begun: make(chan struct{}), room: make(chan struct{}, 1),
		taken: c.taken, head: c.taken, readAt: time.Now(), failures: failures,
	}
	d.tails[r.key()] = t

	d.wg.Go(func() {
		defer cancel()

		tell := func() { d.changed(s.Unit) }

		err := t.all(ctx, c, r.over, tell)

		t.mu.Lock()
		t.ended, t.complete, t.err = true, err == nil && r.over, err
		t.rest()
		t.mu.Unlock()
		t.begin()
		tell()
	})

	return t
}

// all takes what the node has, and follows the run if it goes on. Errors: those
// of the cluster; errReplaced.
func (t *tail) all(ctx context.Context, c *counter, over bool, tell func()) error {
	for {
		n, err := t.pass(ctx, c, false, tell)
		if err != nil {
			return err
		}

		// A connection that was cut can look like the end of a run's output, so
		// that the end is believed when there is nothing more after it.
		if !over || n == 0 {
			break
		}
	}

	t.mu.Lock()
	t.caught = true
	t.tellWaiting()
	t.mu.Unlock()
	t.begin()
	tell()

	if over {
		return nil
	}

	_, err := t.pass(ctx, c, true, tell)

	return err
}

// pass reads the run's output from the node once, and says how many lines of
// it were new.
func (t *tail) pass(ctx context.Context, c *counter, follow bool, tell func()) (n int, err error) {
	stream, err := t.site.open(ctx, t.run, c.pass(), follow)
	if err != nil {
		return 0, err
	}
	defer stream.Close()

	// What the node gives in the run's name may be another's: it knows of a
	// restart before the watch does. By now it has chosen.
	now, err := t.site.still(ctx, t.run)
	if err != nil {
		return 0, err
	}

	err = eachLine(stream, func(l stamped) error {
		// And the server of it may know it later still.
		if !now.has(l.at) {
			return errReplaced
		}

		taken := c.taken

		line, fresh := c.next(l)
		if !fresh {
			return nil
		}

		if line.lost && taken > 0 && t.isPrevious(ctx, taken) {
			return errReplaced
		}

		if err := t.put(ctx, line); err != nil {
			return err
		}

		n++

		tell()

		return nil
	})

	return n, err
}

// put adds a line when there is room.
func (t *tail) put(ctx context.Context, l counted) error {
	for {
		t.mu.Lock()
		if len(t.lines) < tailLines {
			t.lines = append(t.lines, l)
			t.head, t.failures = l.position, 0
			t.tellWaiting()
			t.mu.Unlock()

			return nil
		}

		idle := time.Since(t.readAt) > tailIdle
		t.mu.Unlock()
		t.begin()

		if idle {
			return context.Canceled
		}

		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.room:
		case <-time.After(tailIdle):
		}
	}
}

func (t *tail) begin() { t.beginning.Do(func() { close(t.begun) }) }

// The least and the most time that a run is left alone after it could not be
// followed. It is longer after every failure, and not the same for all: what
// follows a thousand runs must not come back to a server as one.
const (
	leastPause = 250 * time.Millisecond
	mostPause  = 15 * time.Second
)

// rest counts an end that nothing came before, and says how long the run is
// left alone. The caller holds the lock.
func (t *tail) rest() {
	t.tellWaiting()

	if t.complete {
		return
	}

	t.failures++

	// A stream that lines came from ends when the node likes: that is nothing.
	if t.err == nil && t.failures == 1 {
		return
	}

	pause := min(leastPause<<min(t.failures-1, 10), mostPause)
	t.pause = time.Now().Add(pause/2 + rand.N(pause/2+1)) //nolint:gosec // spreads requests, guards nothing
}

// tellWaiting wakes those who wait for a change. The caller holds the lock.
func (t *tail) tellWaiting() {
	if t.news != nil {
		close(t.news)
		t.news = nil
	}
}

// until waits until something is true of the tail, which is asked with the lock
// held.
func (t *tail) until(ctx context.Context, is func() bool) error {
	for {
		t.mu.Lock()
		if is() {
			t.mu.Unlock()

			return nil
		}

		if t.news == nil {
			t.news = make(chan struct{})
		}

		news := t.news
		t.mu.Unlock()

		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-news:
		}
	}
}

// read gives the lines after a position, or false when the tail stands
// elsewhere.
func (t *tail) read(after int64) ([]counted, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()

	t.readAt = time.Now()

	n := 0
	for n < len(t.lines) && t.lines[n].position <= after {
		t.taken = t.lines[n].position
		n++
	}

	t.lines = t.lines[n:]
	if n > 0 {
		ring(t.room)
	}

	if t.taken != after {
		return nil, false
	}

	return append([]counted(nil), t.lines...), true
}

func ring(bell chan struct{}) {
	select {
	case bell <- struct{}{}:
	default:
	}
}

// line gives a counted line to the world.
func (t *tail) line(l counted) deployer.Line {
	gap := int64(0)
	if l.lost {
		gap = 1 // at least: nobody knows how many
	}

	return deployer.Line{
		Source: deployer.Source{
			Key: t.key(), Deployment: t.deployment, Container: t.container, Instance: t.pod, Attempt: t.attempt,
		},
		Position: l.position, Time: l.at, Text: l.text, Truncated: l.truncated, Gap: gap,
	}
}
