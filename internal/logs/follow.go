package logs

import (
	"context"
	"io"
	"time"

	"github.com/shiplog/shiplog/internal/live"
)

// Options says how a log is followed.
type Options struct {
	// Follow waits for what is to come; without it the reader ends at what
	// is stored when it is made.
	Follow bool
	// UntilReplaced goes on after the outcome until the log is closed.
	UntilReplaced bool
	Filter        Filter
	// MaxLines bounds a batch; segmentLines when 0.
	MaxLines int
}

// Part is a part of a log: a gap, or none, and the lines after it.
type Part struct {
	Gap   *Gap
	Lines []Line
	// Cursor is the seq after which to go on.
	Cursor int64
	// Complete says that there is nothing after it. Such a part has no lines.
	Complete bool
	// Shared is the segment that this part is the whole of, before the
	// filter; other readers get the same one. nil when it is only a piece.
	Shared *Segment
}

// Reader reads a log from a cursor on. It is used by one goroutine and must be
// closed.
type Reader struct {
	tail     *tail
	sub      *live.Subscription
	opts     Options
	cursor   int64
	end      int64 // without Follow
	complete bool
	closed   bool
	// staleAt is the wake that was not answered by a look at the store yet,
	// lookedAt when the last look that it knows of began.
	staleAt, lookedAt time.Time
	// tookAt is when it took its last part.
	tookAt time.Time
}

// Follow reads the log after the seq: what is stored first, then live, without
// a hole and nothing twice. Errors: STALE with field "after" when the log is
// not that long.
func (l *Logs) Follow(ctx context.Context, deployment string, after int64, opts Options) (*Reader, error) {
	if opts.MaxLines <= 0 || opts.MaxLines > segmentLines {
		opts.MaxLines = segmentLines
	}

	r := &Reader{
		tail: l.tailOf(deployment, opts.UntilReplaced), sub: l.hub.Subscribe(Topic(deployment)),
		opts: opts, cursor: after,
	}

	// Subscribed first, then looked: nothing falls in between.
	if err := r.look(ctx, time.Now()); err != nil {
		r.Close()

		return nil, err
	}

	st, _ := r.tail.next(after)
	if after > st.last {
		r.Close()

		return nil, stale("after")
	}

	if r.end = st.last; st.outcome != nil && !opts.UntilReplaced {
		r.end = min(r.end, *st.outcome)
	}

	return r, nil
}

// Close ends the reader; closing twice is harmless.
func (r *Reader) Close() {
	if r.closed {
		return
	}

	r.closed = true
	r.sub.Close()
	r.tail.release(r.opts.UntilReplaced)
}

// Next gives the next part, waiting for it. After the part that is Complete it
// gives io.EOF. Errors: those of ctx and of reading the store; the reader stays
// where it was and may be asked again.
func (r *Reader) Next(ctx context.Context) (Part, error) {
	part, ok, err := r.next(ctx, true)
	if err == nil && !ok {
		err = io.EOF
	}

	return part, err
}

// Ready is Next for what is there already; ok is false when there is nothing
// yet, and after the part that is Complete.
func (r *Reader) Ready(ctx context.Context) (part Part, ok bool, err error) {
	return r.next(ctx, false)
}

func (r *Reader) next(ctx context.Context, wait bool) (part Part, ok bool, err error) {
	for !r.complete {
		st, segment := r.tail.next(r.cursor)

		limit, final := r.limit(st)
		if r.cursor >= limit && final {
			r.complete = true

			return Part{Cursor: r.cursor, Complete: true}, true, nil
		}

		if r.cursor >= limit && !wait {
			return Part{}, false, nil
		}

		if r.cursor >= limit {
			if err := r.wait(ctx); err != nil {
				return Part{}, false, err
			}

			continue
		}

		if segment == nil {
			var err error
			if segment, err = r.tail.page(ctx, r.cursor); err != nil {
				return Part{}, false, err
			}

			if segment == nil {
				continue // it came into memory just now
			}
		}

		if part, some := r.take(segment, limit); some {
			return part, true, nil
		}

		if err := ctx.Err(); err != nil {
			return Part{}, false, context.Cause(ctx)
		}
	}

	return Part{}, false, nil
}

// limit says up to which seq may be read now, and whether that is the end.
func (r *Reader) limit(st state) (limit int64, final bool) {
	switch {
	case !r.opts.Follow:
		return r.end, true
	case st.outcome != nil && !r.opts.UntilReplaced:
		// A mark may be known before the last lines are.
		return min(st.last, *st.outcome), r.cursor >= *st.outcome
	}

	return st.last, st.end != nil && r.cursor >= *st.end
}

// take moves the cursor over the segment's entries up to the limit; some is
// false when none of them passes the filter.
func (r *Reader) take(s *Segment, limit int64) (part Part, some bool) {
	whole := r.cursor < s.First && s.Last <= limit && len(s.Lines) <= r.opts.MaxLines
	gap, lines := s.after(r.cursor)
	last := s.Last

	if last > limit {
		lines = lines[:max(0, int64(len(lines))-(last-limit))]
		last = limit
	}

	if len(lines) > r.opts.MaxLines {
		lines = lines[:r.opts.MaxLines]
		last = lines[len(lines)-1].Seq
	}

	r.cursor, r.tookAt = last, time.Now()
	part = Part{Gap: gap, Lines: r.opts.Filter.apply(lines), Cursor: last}

	if whole {
		part.Shared = s
	}

	return part, gap != nil || len(part.Lines) > 0
}

// wait waits until it is worth looking again, and looks at the store if need
// be: after a wake, and from time to time unasked.
func (r *Reader) wait(ctx context.Context) error {
	if rest := time.Until(r.tookAt.Add(r.tail.pace())); rest >= leastRest {
		return rested(ctx, rest)
	}

	if d := time.Until(r.lookAt()); d > 0 {
		woken, err := r.sleep(ctx, d)
		if err != nil {
			return err
		}

		if woken {
			if r.staleAt.IsZero() {
				r.staleAt = time.Now()
			}

			return nil
		}
	}

	// Unasked, somebody else's look within half the time will do.
	since := r.staleAt
	if since.IsZero() {
		since = time.Now().Add(-r.tail.logs.cfg.Poll / 2)
	}

	r.staleAt = time.Time{}

	return r.look(ctx, since)
}

// lookAt says when the store is to be looked at: because of a wake as soon as
// the tail may, else when what this reader knows of it is as old as Poll.
func (r *Reader) lookAt() time.Time {
	if !r.staleAt.IsZero() {
		return r.tail.due()
	}

	return r.lookedAt.Add(r.tail.logs.cfg.Poll)
}

// look brings the tail up to date. What this reader knows of the store then is
// as old as the look that was taken, be it its own or another's.
func (r *Reader) look(ctx context.Context, since time.Time) (err error) {
	r.lookedAt, err = r.tail.look(ctx, since)

	return err
}

func (r *Reader) sleep(ctx context.Context, d time.Duration) (woken bool, err error) {
	timer := time.NewTimer(d)
	defer timer.Stop()

	select {
	case <-ctx.Done():
		return false, context.Cause(ctx)
	case <-r.sub.C:
		return true, nil
	case <-timer.C:
		return false, nil
	}
}

// rested waits for the time to pass, whatever comes.
func rested(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()

	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
