package kubernetes

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/shiplog/shiplog/deployer"
)

// firstWait is how long a reader waits for what the node has of runs that were
// just begun: to have it is the rule, and a node that does not answer must not
// keep back what the others have.
const firstWait = 3 * time.Second

// errReplaced: another run has taken the place of the one that was asked for.
var errReplaced = errors.New("another run has taken its place")

// Read gives what the tails of the unit's containers have counted, and begins
// those that are missing. Output is gone with its pod, but for what was read
// ahead of it.
func (d *Deployer) Read(ctx context.Context, u deployer.Unit, after map[string]int64, limit int) ([]deployer.Line, error) {
	a, err := d.anchorOf(ctx, u)
	if err != nil || a.anchor == nil || limit <= 0 {
		return nil, err
	}

	tails, fresh := d.tailsOf(ctx, a, after)
	if err := awaitFirst(ctx, fresh); err != nil {
		return nil, err
	}

	var lines []deployer.Line

	for _, t := range tails {
		found, _ := t.read(after[t.key()])
		for _, l := range found {
			lines = append(lines, t.line(l))
		}
	}

	// Positions are times.
	slices.SortFunc(lines, func(x, y deployer.Line) int {
		return cmp.Or(cmp.Compare(x.Position, y.Position), strings.Compare(x.Source.Key, y.Source.Key))
	})

	if len(lines) > limit {
		lines = lines[:limit]
	}

	return lines, nil
}

// Settle waits until everything that the node has of the unit's runs has come.
func (d *Deployer) Settle(ctx context.Context, u deployer.Unit, after map[string]int64) error {
	a, err := d.anchorOf(ctx, u)
	if err != nil || a.anchor == nil {
		return err
	}

	tails, _ := d.tailsOf(ctx, a, after)

	var (
		all  sync.WaitGroup
		errs = make([]error, len(tails))
	)

	for i, t := range tails {
		all.Go(func() { errs[i] = t.settle(ctx) })
	}

	all.Wait()

	return errors.Join(errs...)
}

// state is how a run stands.
type state struct {
	run

	over bool
	// from and to are when it began and ended, in whole seconds; zero where
	// that is not known.
	from, to time.Time
}

// runsOf gives the runs of a pod's containers that the node may still have.
func runsOf(p *corev1.Pod) (runs []state) {
	for _, c := range containersOf(p) {
		now := run{pod: p.Name, uid: string(p.UID), container: c.Name, attempt: int(c.RestartCount) + 1}
		last := c.LastTerminationState.Terminated

		switch {
		case c.State.Running != nil:
			runs = append(runs, state{run: now, from: c.State.Running.StartedAt.Time})
		case c.State.Terminated != nil:
			runs = append(runs, endedRun(now, c.State.Terminated))
		case last != nil:
			runs = append(runs, endedRun(now, last))
		}

		if c.RestartCount > 0 && last != nil && c.State.Waiting == nil {
			before := now.before()
			before.previous = true
			runs = append(runs, endedRun(before, last))
		}
	}

	return runs
}

func endedRun(r run, how *corev1.ContainerStateTerminated) state {
	return state{run: r, over: true, from: how.StartedAt.Time, to: how.FinishedAt.Time}
}

// slack is how far a line's time may lie outside of its run's: the run's are
// cut to seconds, and what a program has written is read a little later.
const slack = 1500 * time.Millisecond

// has reports whether a line of this time can be one of the run.
func (s state) has(at time.Time) bool {
	return (s.from.Unix() <= 0 || at.After(s.from.Add(-slack))) && (s.to.Unix() <= 0 || at.Before(s.to.Add(slack)))
}

// tailsOf gives the unit's tails, those of pods that are gone included, and
// which of them have just begun.
func (d *Deployer) tailsOf(ctx context.Context, a anchored, after map[string]int64) (tails, fresh []*tail) {
	there := map[string]bool{}

	var runs []state

	for _, p := range a.site.watch.podsOf(a.site.Unit) {
		if p.Namespace != a.site.namespace {
			continue
		}

		made := contentOfPod(a.anchor, p)

		for _, r := range runsOf(p) {
			there[r.key()] = true

			if made != nil {
				r.deployment = made.Deployment
				runs = append(runs, r)
			} else if before := d.tailHaving(r.key()); before != nil {
				r.deployment = before.deployment // it ends, and still has something to say
				runs = append(runs, r)
			}
		}
	}

	for _, r := range runs {
		lost := r.attempt > 1 && !there[r.before().key()] && !d.isWhole(r.before())

		if t, begun := d.tailOf(ctx, a.site, r, after[r.key()], lost); begun {
			fresh = append(fresh, t)
		}
	}

	d.mu.Lock()
	defer d.mu.Unlock()

	for _, key := range slices.Sorted(maps.Keys(d.tails)) {
		t := d.tails[key]

		t.mu.Lock()
		spent := t.ended && len(t.lines) == 0 && !there[key] || time.Since(t.readAt) > tailIdle
		whole := t.complete
		t.mu.Unlock()

		if whole {
			d.whole[key] = t.site.Unit
		}

		switch {
		case spent:
			t.cancel()
			delete(d.tails, key)
		case t.site.Unit == a.site.Unit:
			tails = append(tails, t)
		}
	}

	d.forgetWhole(a.site.Unit, there)

	return tails, fresh
}

// forgetWhole forgets of which runs everything has come, but for those that a
// run which is there may follow. The caller holds the lock.
func (d *Deployer) forgetWhole(u deployer.Unit, there map[string]bool) {
	pods := map[string]bool{}

	for key := range there {
		uid, _, _ := strings.Cut(key, "/")
		pods[uid] = true
	}

	for key, of := range d.whole {
		if uid, _, _ := strings.Cut(key, "/"); of == u && !pods[uid] {
			delete(d.whole, key)
		}
	}
}

// isWhole reports whether everything of a run has come.
func (d *Deployer) isWhole(r run) bool {
	d.mu.Lock()
	defer d.mu.Unlock()

	_, whole := d.whole[r.key()]

	return whole
}

func (d *Deployer) tailHaving(key string) *tail {
	d.mu.Lock()
	defer d.mu.Unlock()

	return d.tails[key]
}

// tailOf finds the tail of a run, or begins one: where there is none, where it
// stands at another position than the reader, and where its stream has ended
// before the run. lost says that the run before it is not to be had.
func (d *Deployer) tailOf(ctx context.Context, s site, r state, after int64, lost bool) (t *tail, begun bool) {
	t = d.tailHaving(r.key())
	c := &counter{taken: after, lost: lost && after == 0}
	failures := 0

	if t != nil {
		lines, same := t.read(after)

		t.mu.Lock()
		done := t.complete || !t.ended || len(lines) > 0 || time.Now().Before(t.pause)
		failures = t.failures
		t.mu.Unlock()

		if same && done {
			return t, false
		}

		t.cancel()

		if now, err := s.again(ctx, r.run); err == nil {
			r = now
		} else if same {
			// The pod is gone, or another run is there; or nobody knows.
			t.mu.Lock()
			t.err = err
			t.rest()
			t.mu.Unlock()

			return t, false
		}
	}

	d.mu.Lock()
	defer d.mu.Unlock()

	if d.closed {
		return t, false
	}

	return d.follow(s, r, c, failures), true //nolint:contextcheck // it outlives the reader; Close ends it
}

// again asks the server how a run stands: the watch may not have seen yet that
// another one has taken its place, whose output the node would give in its
// name. Errors: errReplaced; the server's.
func (s site) again(ctx context.Context, r run) (state, error) {
	p, err := s.typed.CoreV1().Pods(s.namespace).Get(ctx, r.pod, metav1.GetOptions{})

	switch {
	case apierrors.IsNotFound(err), err == nil && string(p.UID) != r.uid:
		return state{}, errReplaced
	case err != nil:
		return state{}, refusal("the pod "+r.pod, err)
	}

	for _, now := range runsOf(p) {
		if now.key() == r.key() {
			now.deployment = r.deployment

			return now, nil
		}
	}

	return state{}, errReplaced
}

// still refuses to go on when the node may have given another run's output,
// and says how the run stands now.
func (s site) still(ctx context.Context, r run) (state, error) {
	now, err := s.again(ctx, r)
	if err == nil && now.previous != r.previous {
		err = errReplaced
	}

	return now, err
}

// awaitFirst waits a little for streams that have just begun. Errors: the
// cluster's, when it gives no output; a container that has none yet is none.
func awaitFirst(ctx context.Context, fresh []*tail) error {
	patience := time.NewTimer(firstWait)
	defer patience.Stop()

	for _, t := range fresh {
		select {
		case <-ctx.Done():
			return fmt.Errorf("read output: %w", ctx.Err())
		case <-patience.C:
			return nil
		case <-t.begun:
		}

		t.mu.Lock()
		err := t.err
		t.mu.Unlock()

		if err != nil && !isNone(err) {
			return err
		}
	}

	return nil
}

// isNone reports whether an error says that there is no output to be had, yet
// or any more.
func isNone(err error) bool {
	return apierrors.IsNotFound(err) || apierrors.IsBadRequest(err) || errors.Is(err, errReplaced) || errors.Is(err, context.Canceled) ||
		strings.Contains(err.Error(), "waiting to start")
}
