package logs

import (
	"context"
	"sync"
	"time"
)

const (
	// tailBytes bounds the new lines of a tail, pageBytes the old ones.
	tailBytes = 1 << 20
	pageBytes = 4 << 20
	// tailFloor is what every tail may have, however many there are.
	tailFloor = 32 << 10
	// catchUp is the most entries that a tail fetches to be up to date; it
	// starts anew where it is further behind.
	catchUp = 4 * segmentLines
	// grace is the least time between two looks at the store because of
	// wakes: with an idle log a wake is answered at once all the same.
	grace = 5 * time.Millisecond
	// ownGrace is the same while this process itself appends: its lines are
	// in the tail already, and others rarely add to them.
	ownGrace = 100 * time.Millisecond
	// A reader that is woken costs some microseconds, most of them the write
	// to its viewer, however much it takes. So readers of one log come back
	// for more no sooner than perReader for each of them, mostPace together:
	// few at once, a thousand with what came in the meantime.
	perReader = 20 * time.Microsecond
	mostPace  = 20 * time.Millisecond
	// leastRest is not worth a timer.
	leastRest = time.Millisecond
)

// tail is what the readers of one log share. It lives while it has readers.
type tail struct {
	logs       *Logs
	deployment string

	// reading is held by who reads the store for this tail: one at a time,
	// so that readers woken together cause one read.
	reading chan struct{}

	mu sync.Mutex
	// refs counts readers, watching those until REPLACED.
	refs, watching int
	// segs are the newest segments, without holes, after base up to last.
	base, last int64
	segs       []*Segment
	size       int64
	// outcome is the last seq up to the outcome, end that of a closed log.
	outcome, end *int64
	// lookedAt is when the last look at the store began, ownAt when this
	// process appended.
	lookedAt, ownAt time.Time
	// pages are old segments by the seq before them, order when they came.
	pages    map[int64][]*Segment
	order    []int64
	pageSize int64
}

// tailOf gives the deployment's tail, to be given back with release.
func (l *Logs) tailOf(deployment string, watching bool) *tail {
	l.mu.Lock()
	defer l.mu.Unlock()

	t := l.tails[deployment]
	if t == nil {
		t = &tail{logs: l, deployment: deployment, reading: make(chan struct{}, 1), base: -1, pages: map[int64][]*Segment{}}
		l.tails[deployment] = t
	}

	t.mu.Lock()
	defer t.mu.Unlock()

	t.refs++

	if watching {
		t.watching++
	}

	return t
}

func (t *tail) release(watching bool) {
	t.logs.mu.Lock()
	defer t.logs.mu.Unlock()

	t.mu.Lock()
	defer t.mu.Unlock()

	t.refs--

	if watching {
		t.watching--
	}

	if t.refs == 0 {
		delete(t.logs.tails, t.deployment)
	}
}

func (l *Logs) existing(deployment string) (t *tail, bound int64) {
	l.mu.Lock()
	defer l.mu.Unlock()

	return l.tails[deployment], min(tailBytes, max(tailFloor, l.cfg.TailBytes/int64(max(1, 5*len(l.tails)))))
}

// Watched reports whether somebody follows the log here until its deployment
// is replaced.
func (l *Logs) Watched(deployment string) bool {
	t, _ := l.existing(deployment)
	if t == nil {
		return false
	}

	t.mu.Lock()
	defer t.mu.Unlock()

	return t.watching > 0
}

// offer hands entries that this process has committed to the tail, if any.
// Commits may be told in another order than they were made.
func (l *Logs) offer(deployment string, after int64, entries []Line) {
	t, bound := l.existing(deployment)
	if t == nil {
		return
	}

	t.mu.Lock()
	defer t.mu.Unlock()

	if t.base >= 0 && t.last == after {
		t.add(segments(after, entries), bound)
		t.ownAt = time.Now()
	} else if t.last < after {
		// Something before it is missing: let the next wake look at once.
		t.ownAt = time.Time{}
	}
}

// noteMarks tells the tail what this process has committed.
func (l *Logs) noteMarks(deployment string, head *Head) {
	t, _ := l.existing(deployment)
	if t == nil {
		return
	}

	t.mu.Lock()
	defer t.mu.Unlock()

	t.marks(head)
}

// add appends segments that follow on last and drops the oldest beyond bound.
func (t *tail) add(segs []*Segment, bound int64) {
	for _, s := range segs {
		t.segs, t.size, t.last = append(t.segs, s), t.size+s.size, s.Last
	}

	if t.size <= bound {
		return
	}

	// To three quarters, so that this is rare.
	n := 0
	for t.size > bound/4*3 && n < len(t.segs)-1 {
		t.size -= t.segs[n].size
		t.base = t.segs[n].Last
		n++
	}

	// Copied, so that what was dropped is not kept alive.
	t.segs = append(make([]*Segment, 0, len(t.segs)), t.segs[n:]...)
}

// look brings the tail up to date with the store, unless somebody began to do
// so after since. It gives when the look that was taken began; after an error
// that is now, so that the next one is not at once.
func (t *tail) look(ctx context.Context, since time.Time) (began time.Time, err error) {
	select {
	case t.reading <- struct{}{}:
	case <-ctx.Done():
		return time.Now(), context.Cause(ctx)
	}
	defer func() { <-t.reading }()

	t.mu.Lock()
	lookedAt, last, fresh := t.lookedAt, t.last, t.base < 0
	t.mu.Unlock()

	if lookedAt.After(since) {
		return lookedAt, nil
	}

	began = time.Now()

	head, err := t.logs.head(ctx, t.logs.store.Read, t.deployment)
	if err != nil {
		return began, err
	}

	if fresh || head.LastSeq-last > catchUp {
		t.restart(&head, began)

		return began, nil
	}

	var entries []Line
	if head.LastSeq > last {
		if entries, err = t.logs.entries(ctx, t.logs.store.Read, t.deployment, &head, last+1, head.LastSeq); err != nil {
			return began, err
		}
	}

	_, bound := t.logs.existing(t.deployment)

	t.mu.Lock()
	defer t.mu.Unlock()

	t.lookedAt = began
	t.marks(&head)

	// Meanwhile some may have been offered.
	for len(entries) > 0 && entries[0].Seq <= t.last {
		entries = entries[1:]
	}

	if len(entries) > 0 {
		t.add(segments(t.last, entries), bound)
	}

	return began, nil
}

// restart begins at the head; what is older is read from the store.
func (t *tail) restart(head *Head, began time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()

	t.lookedAt = began
	t.marks(head)

	if head.LastSeq > t.last || t.base < 0 {
		t.base, t.last, t.segs, t.size = head.LastSeq, head.LastSeq, nil, 0
	}
}

func (t *tail) marks(head *Head) {
	if head.Outcome != nil {
		t.outcome = head.Outcome
	}

	if head.Closed {
		t.end = &head.LastSeq
	}
}

// due says when a wake at the time may look at the store.
func (t *tail) due() time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()

	if time.Since(t.ownAt) < time.Second {
		return t.lookedAt.Add(ownGrace)
	}

	return t.lookedAt.Add(grace)
}

// pace is the least time between two parts that a reader waits for.
func (t *tail) pace() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()

	return min(mostPace, time.Duration(t.refs)*perReader)
}

// state is what a reader needs to know of a log.
type state struct {
	last    int64
	outcome *int64
	end     *int64
}

// next gives the state and the segment with the entry after the seq, nil when
// that is not in memory or not there yet.
func (t *tail) next(after int64) (state, *Segment) {
	t.mu.Lock()
	defer t.mu.Unlock()

	st := state{last: t.last, outcome: t.outcome, end: t.end}

	if after < t.base || after >= t.last {
		return st, find(t.pages[after], after)
	}

	return st, find(t.segs, after)
}

// find gives the first segment that goes beyond the seq.
func find(segs []*Segment, after int64) *Segment {
	low, high := 0, len(segs)
	for low < high {
		if mid := (low + high) / 2; segs[mid].Last > after {
			high = mid
		} else {
			low = mid + 1
		}
	}

	if low == len(segs) {
		return nil
	}

	return segs[low]
}

// page reads the entries after the seq, which are older than those in memory,
// from the store.
func (t *tail) page(ctx context.Context, after int64) (*Segment, error) {
	select {
	case t.reading <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	defer func() { <-t.reading }()

	// Somebody may have read it, or a new segment may have come.
	if _, s := t.next(after); s != nil {
		return s, nil
	}

	head, err := t.logs.head(ctx, t.logs.store.Read, t.deployment)
	if err != nil {
		return nil, err
	}

	entries, err := t.logs.entries(ctx, t.logs.store.Read, t.deployment, &head, after+1, min(head.LastSeq, after+segmentLines))
	if err != nil || len(entries) == 0 {
		return nil, err
	}

	segs := segments(after, entries)

	t.mu.Lock()
	defer t.mu.Unlock()

	// Each segment is found by the seq before it.
	for _, s := range segs {
		if _, there := t.pages[s.First-1]; !there {
			t.pages[s.First-1] = []*Segment{s}
			t.order = append(t.order, s.First-1)
			t.pageSize += s.size
		}
	}

	for t.pageSize > pageBytes && len(t.order) > len(segs) {
		t.pageSize -= t.pages[t.order[0]][0].size
		delete(t.pages, t.order[0])
		t.order = t.order[1:]
	}

	return segs[0], nil
}
