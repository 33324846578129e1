package logs

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/shiplog/shiplog/internal/store"
)

const (
	// gatherBytes is how much one commit takes: a chunk.
	gatherBytes = maxChunkBytes
	// queueBytes and queueLen bound what waits of a deployment; who brings
	// more waits until there is room.
	queueBytes = 4 * gatherBytes
	queueLen   = 256
	// idle is how long a deployment's goroutine stays without work.
	idle = 5 * time.Second
)

// ErrStopped says that the writer takes nothing any more.
var ErrStopped = errors.New("the log writer has stopped")

// Writer appends batches of many callers: those of one deployment in the order
// in which they come, what comes during a commit together in the next.
type Writer struct {
	logs *Logs
	wg   sync.WaitGroup

	mu      sync.Mutex
	lanes   map[string]*lane
	stopped bool
	stop    chan struct{}
}

// NewWriter makes a writer; Close ends it.
func (l *Logs) NewWriter() *Writer {
	return &Writer{logs: l, lanes: map[string]*lane{}, stop: make(chan struct{})}
}

// Pending is a batch on its way.
type Pending struct {
	p    *prepared
	size int64
	done chan struct{}
	last int64
	err  error
}

// Wait waits until the batch is committed and gives the seq of the last entry.
// Errors: those of Append.
func (p *Pending) Wait(ctx context.Context) (last int64, err error) {
	select {
	case <-p.done:
		return p.last, p.err
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
}

// Append appends the batch and waits for the commit. Errors: those of
// Logs.Append, ErrStopped. When ctx ends first, the batch may still be
// appended; the positions tell.
func (w *Writer) Append(ctx context.Context, deployment string, batch Batch) (last int64, err error) {
	p, err := w.Submit(ctx, deployment, batch)
	if err != nil {
		return 0, err
	}

	return p.Wait(ctx)
}

// Submit hands the batch over, waiting for room only. It is compressed here,
// while the batch before it is committed.
func (w *Writer) Submit(ctx context.Context, deployment string, batch Batch) (*Pending, error) {
	p := &Pending{p: w.logs.prepare(batch), done: make(chan struct{})}
	p.size = min(p.p.size+lineSize, queueBytes)

	ln, err := w.enter(deployment)
	if err != nil {
		return nil, err
	}
	defer w.leave(ln)

	if err := ln.room.Acquire(ctx, p.size); err != nil {
		return nil, err
	}

	select {
	case ln.queue <- p:
		return p, nil
	case <-ctx.Done():
		ln.room.Release(p.size)

		return nil, context.Cause(ctx)
	}
}

// Close takes nothing more, commits what was handed over, and waits for all
// goroutines. Closing twice is harmless.
func (w *Writer) Close() {
	w.mu.Lock()
	if !w.stopped {
		w.stopped = true
		close(w.stop)
	}
	w.mu.Unlock()

	w.wg.Wait()
}

// lane is one deployment's way to the store.
type lane struct {
	writer     *Writer
	deployment string
	queue      chan *Pending
	room       *semaphore.Weighted
	users      int // guarded by writer.mu: who may still send to queue
	// head is what the last commit left, nil when that is not known.
	head *Head
}

func (w *Writer) enter(deployment string) (*lane, error) {
	w.mu.Lock()
	defer w.mu.Unlock()

	if w.stopped {
		return nil, ErrStopped
	}

	ln := w.lanes[deployment]
	if ln == nil {
		ln = &lane{writer: w, deployment: deployment, queue: make(chan *Pending, queueLen), room: semaphore.NewWeighted(queueBytes)}
		w.lanes[deployment] = ln

		w.wg.Go(ln.run)
	}

	ln.users++

	return ln, nil
}

func (w *Writer) leave(ln *lane) {
	w.mu.Lock()
	defer w.mu.Unlock()

	ln.users--
}

// ended takes the lane away when nothing is left of it.
func (ln *lane) ended() bool {
	ln.writer.mu.Lock()
	defer ln.writer.mu.Unlock()

	if ln.users > 0 || len(ln.queue) > 0 {
		return false
	}

	delete(ln.writer.lanes, ln.deployment)

	return true
}

// run commits until there was nothing to do for a while.
func (ln *lane) run() {
	timer := time.NewTimer(idle)
	defer timer.Stop()

	var next *Pending

	for {
		if next == nil {
			timer.Reset(idle)

			stop := ln.writer.stop

			select {
			case next = <-ln.queue:
			default:
				select {
				case next = <-ln.queue:
				case <-timer.C:
				case <-stop:
					// Who is just handing over is waited for.
					timer.Reset(time.Millisecond)

					select {
					case next = <-ln.queue:
					case <-timer.C:
					}
				}
			}

			if next == nil {
				if ln.ended() {
					return
				}

				continue
			}
		}

		var items []*Pending

		items, next = ln.gather(next)
		ln.commit(items)

		for _, item := range items {
			close(item.done)
			ln.room.Release(item.size)
		}
	}
}

// gather takes what is there, up to one chunk; next did not fit.
func (ln *lane) gather(first *Pending) (items []*Pending, next *Pending) {
	items = []*Pending{first}

	for size := first.p.size; size < gatherBytes; {
		select {
		case item := <-ln.queue:
			if size += item.p.size; size > gatherBytes {
				return items, item
			}

			items = append(items, item)
		default:
			return items, nil
		}
	}

	return items, nil
}

// commit appends the items in one transaction. An item that does not fit to
// the head fails alone. The transaction does not end with a caller's context:
// items of others are in it.
func (ln *lane) commit(items []*Pending) {
	var (
		l       = ln.writer.logs
		batches = make([]*prepared, len(items))
		done    plan
	)

	for i, item := range items {
		batches[i] = item.p
	}

	// Planned before the transaction, where the head is known.
	var ahead *plan

	if ln.head != nil && !l.store.Embedded() {
		if p := l.plan(*ln.head, ln.deployment, batches); len(p.chunks) == 1 && errors.Join(p.errs...) == nil {
			ahead = &p
		}
	}

	err := l.store.WithTx(context.Background(), func(ctx context.Context, tx *store.Tx) error {
		if ahead != nil {
			done = *ahead
			if ok, err := l.overtake(ctx, tx, ln.deployment, done); ok || err != nil {
				return err
			}
		}

		head, err := lock(ctx, tx, ln.deployment)
		if err != nil {
			return err
		}

		done = l.plan(head, ln.deployment, batches)

		return l.write(ctx, tx, ln.deployment, done)
	})

	ln.head = nil
	if err == nil {
		ln.head = &done.head
	}

	for i, item := range items {
		item.last, item.err = done.head.LastSeq, err
		if err == nil {
			item.err = done.errs[i]
		}
	}
}
