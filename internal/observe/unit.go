package observe

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/shiplog/shiplog/deployer"
	"github.com/shiplog/shiplog/internal/logs"
	"github.com/shiplog/shiplog/internal/store"
)

const (
	// readLimit is the most lines taken at once: about a chunk of 200 KB.
	readLimit = 1000
	// busy is the pause after a read that gave lines: more come, and are
	// taken together.
	busy = 10 * time.Millisecond
	// observeGap is the least time between two observations.
	observeGap = 250 * time.Millisecond
	// reload is how often the book is brought up to date unasked, idlePoll
	// how often a unit is looked at of which nothing is expected.
	reload   = 5 * time.Second
	idlePoll = 10 * time.Second
)

// unit observes one service in one environment. All but poke belongs to its
// goroutine.
type unit struct {
	tenure      *tenure
	name        deployer.Unit
	service     string
	environment string
	placement   string

	// wake has one slot; dirty says that the memory may have changed.
	wake  chan struct{}
	dirty atomic.Bool

	book     book
	written  written
	versions map[string]bool // known to the memory

	loadedAt, observedAt time.Time
	// restless: something may have changed since the last observation.
	restless bool
	failing  bool
}

// poke wakes the unit without blocking.
func (u *unit) poke(dirty bool) {
	if dirty {
		u.dirty.Store(true)
	}

	select {
	case u.wake <- struct{}{}:
	default:
	}
}

func (u *unit) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()

	u.dirty.Store(true)

	for pause := time.Duration(0); ; {
		wake := u.wake
		if pause <= busy {
			wake = nil // what comes meanwhile is gathered
		}

		select {
		case <-ctx.Done():
			return
		case <-wake:
			u.restless = true
		case <-timer.C:
		}

		var err error

		pause, err = u.turn(ctx)

		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, store.ErrNotOwner):
			u.tenure.lost()

			return
		case err != nil:
			if !u.failing {
				u.tenure.log.WarnContext(ctx, "observing fails; it is tried again", "unit", u.name, "error", err)
			}

			pause = u.tenure.cfg.Poll
		}

		u.failing = err != nil

		timer.Reset(pause)
	}
}

// turn does what is to be done now and says when to look again unasked.
func (u *unit) turn(ctx context.Context) (time.Duration, error) {
	if u.dirty.Swap(false) || time.Since(u.loadedAt) > reload {
		if err := u.load(ctx); err != nil {
			u.dirty.Store(true)

			return 0, err
		}

		u.loadedAt, u.restless = time.Now(), true
	}

	// A target that gives no output may be one that is not there: that is to be
	// seen, and said.
	n, unread := u.collect(ctx)
	if errors.Is(unread, store.ErrNotOwner) {
		return 0, unread
	}

	since := time.Since(u.observedAt)
	if since >= u.tenure.cfg.Poll || u.restless && since >= observeGap {
		u.observedAt, u.restless = time.Now(), false

		if err := u.observe(ctx); err != nil {
			return 0, errors.Join(unread, err)
		}
	}

	if unread != nil {
		return 0, unread
	}

	if err := u.settle(ctx); err != nil {
		return 0, err
	}

	switch {
	case n >= readLimit:
		return 0, nil
	case n > 0:
		return busy, nil
	case u.restless:
		return observeGap, nil
	case u.book.idle():
		return max(u.tenure.cfg.Poll, idlePoll), nil
	}

	return u.tenure.cfg.Poll, nil
}

// collect takes the output that is there into the logs and says how many
// lines it was.
func (u *unit) collect(ctx context.Context) (n int, err error) {
	// Known before the read: whoever is final now has written everything
	// that it had to say before.
	var final []*account

	for _, a := range u.book.accounts {
		if a.finishedAt != nil && !a.drained {
			final = append(final, a)
		}
	}

	if len(final) > 0 && !u.settled(ctx, final) {
		final = nil
	}

	lines, err := u.tenure.cfg.Target.Read(ctx, u.name, u.book.positions(), readLimit)
	if err != nil {
		return 0, err
	}

	told, err := u.told(ctx)
	if err != nil {
		return 0, err
	}

	lines = merge(told, lines)
	order, groups := byDeployment(lines)

	for _, id := range order {
		a, fresh, err := u.open(ctx, id)
		if err != nil {
			return 0, err
		}

		if fresh {
			// Its positions were not known to this read.
			return len(lines), nil
		}

		if err := u.take(ctx, a, groups[id]); err != nil {
			return 0, err
		}
	}

	for _, a := range final {
		a.drained = a.drained || len(lines) < readLimit || past(groups[a.deployment], a)
	}

	return len(lines), nil
}

// told asks a target that tells itself what happens.
func (u *unit) told(ctx context.Context) ([]deployer.Line, error) {
	teller, ok := u.tenure.cfg.Target.(deployer.Teller)
	if !ok {
		return nil, nil
	}

	return teller.Events(ctx, u.name, u.book.positions(), readLimit)
}

// merge puts output and what was told into one order, by time; both keep their
// own.
func merge(told, output []deployer.Line) []deployer.Line {
	all := make([]deployer.Line, 0, len(told)+len(output))

	for len(told) > 0 && len(output) > 0 {
		if output[0].Time.Before(told[0].Time) {
			all, output = append(all, output[0]), output[1:]
		} else {
			all, told = append(all, told[0]), told[1:]
		}
	}

	return append(append(all, told...), output...)
}

// settleWithin bounds one wait for the target's output, settlePatience how long
// after the outcome it is waited for at all: of a node that is lost it never
// comes.
const (
	settleWithin   = 5 * time.Second
	settlePatience = time.Minute
)

// settled waits until a read gives everything that was written up to now, and
// says whether it does.
func (u *unit) settled(ctx context.Context, final []*account) bool {
	bounded, cancel := context.WithTimeout(ctx, settleWithin)
	defer cancel()

	err := u.tenure.cfg.Target.Settle(bounded, u.name, u.book.positions())
	if err == nil {
		return true
	}

	for _, a := range final {
		if time.Since(*a.finishedAt) < settlePatience {
			return false
		}
	}

	u.tenure.log.WarnContext(ctx, "output from before the outcome may be missing in the log", "unit", u.name, "error", err)

	return true
}

// past says whether the lines begin so long after the outcome that nothing
// from before it is to be expected: with output that never pauses no read ever
// finds nothing more.
func past(lines []deployer.Line, a *account) bool {
	return len(lines) > 0 && lines[0].Time.After(a.finishedAt.Add(2*time.Second))
}

func byDeployment(lines []deployer.Line) (order []string, groups map[string][]deployer.Line) {
	groups = map[string][]deployer.Line{}

	for _, l := range lines {
		if groups[l.Source.Deployment] == nil {
			order = append(order, l.Source.Deployment)
		}

		groups[l.Source.Deployment] = append(groups[l.Source.Deployment], l)
	}

	return order, groups
}

func (u *unit) take(ctx context.Context, a *account, lines []deployer.Line) error {
	a.lastLine = time.Now()

	batch := a.batch(lines, u.tenure.cfg.Runtime, u.tenure.logs.Watched(a.deployment))
	if len(batch.Lines) == 0 {
		return nil
	}

	_, err := u.tenure.writer.Append(ctx, a.deployment, batch)

	var wrong *logs.PositionError

	switch {
	case err == nil:
		a.took(batch)
	case errors.As(err, &wrong):
		// Another observer was here, or an earlier try was committed.
		a.rewind(wrong.Positions)
	case errors.Is(err, logs.ErrClosed):
		a.closed = true
	default:
		a.rewind(a.stored)

		return err
	}

	return nil
}

// settle marks outcomes and closes logs.
func (u *unit) settle(ctx context.Context) error {
	for _, s := range u.book.due(time.Now(), u.tenure.cfg.Quiet) {
		err := u.tenure.store.WithTx(ctx, func(ctx context.Context, tx *store.Tx) error {
			if err := tx.Fence(ctx, u.tenure.held); err != nil {
				return err
			}

			if s.close {
				return u.tenure.logs.Close(ctx, tx, s.account.deployment)
			}

			return u.tenure.logs.MarkOutcome(ctx, tx, s.account.deployment)
		})
		if err != nil {
			return err
		}

		s.account.marked, s.account.closed = true, s.close
	}

	return nil
}
