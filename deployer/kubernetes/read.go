package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/shiplog/shiplog/deployer"
)

// firstWait is how long a reader waits for a stream that was just begun: on a
// busy node half a second was seen not to be enough, and a reader who gets
// nothing takes it that there is nothing.
const firstWait = 3 * time.Second

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

	var (
		lines []deployer.Line
		bys   = map[string]string{}
	)

	for _, t := range tails {
		found, _ := t.read(after)
		for _, l := range found {
			lines = append(lines, t.line(l))
			bys[l.key] = t.prefix()
		}
	}

	slices.SortStableFunc(lines, func(x, y deployer.Line) int {
		if bys[x.Source.Key] == bys[y.Source.Key] {
			return 0 // as the run has written them
		}

		return x.Time.Compare(y.Time)
	})

	if len(lines) > limit {
		lines = lines[:limit]
	}

	return lines, nil
}

// runsOf gives the runs of a pod's containers that the node may still have, and
// whether each is over.
func runsOf(p *corev1.Pod) map[run]bool {
	runs := map[run]bool{}

	for _, c := range containersOf(p) {
		now := run{pod: p.Name, uid: string(p.UID), container: c.Name, attempt: int(c.RestartCount) + 1}

		switch {
		case c.State.Running != nil:
			runs[now] = false
		case c.State.Terminated != nil, c.LastTerminationState.Terminated != nil:
			runs[now] = true
		}

		if c.RestartCount > 0 && c.LastTerminationState.Terminated != nil && c.State.Waiting == nil {
			before := now
			before.attempt, before.previous = now.attempt-1, true
			runs[before] = true
		}
	}

	return runs
}

// tailsOf gives the unit's tails, those of pods that are gone included, and
// which of them have just begun.
func (d *Deployer) tailsOf(ctx context.Context, a anchored, after map[string]int64) (tails, fresh []*tail) {
	there := map[string]bool{}

	for _, p := range a.site.watch.podsOf(a.site.Unit) {
		if p.Namespace != a.site.namespace {
			continue
		}

		made := contentOfPod(a.anchor, p)

		for r, over := range runsOf(p) {
			there[r.prefix()] = true

			if made == nil {
				continue // somebody else's, or of a deployment that is over
			}

			r.deployment = made.Deployment

			if t, begun := d.tailOf(ctx, a.site, r, over, after); begun {
				fresh = append(fresh, t)
			}
		}
	}

	d.mu.Lock()
	defer d.mu.Unlock()

	for _, prefix := range slices.Sorted(maps.Keys(d.tails)) {
		t := d.tails[prefix]

		t.mu.Lock()
		spent := t.ended && len(t.lines) == 0 && !there[prefix] || time.Since(t.readAt) > tailIdle
		t.mu.Unlock()

		switch {
		case spent:
			t.cancel()
			delete(d.tails, prefix)
		case t.site.Unit == a.site.Unit:
			tails = append(tails, t)
		}
	}

	return tails, fresh
}

// tailOf finds the tail of a run, or begins one: where there is none, where it
// stands at another position than the reader, and where its stream has ended
// before the run.
func (d *Deployer) tailOf(ctx context.Context, s site, r run, over bool, after map[string]int64) (t *tail, begun bool) {
	d.mu.Lock()
	t = d.tails[r.prefix()]
	d.mu.Unlock()

	if t != nil {
		lines, same := t.read(after)

		t.mu.Lock()
		done := t.complete || !t.ended || len(lines) > 0
		t.mu.Unlock()

		if same && done {
			return t, false
		}

		t.cancel()

		if now, known := s.again(ctx, r, over); known {
			r, over = now.run, now.over
		} else if same {
			return t, false // the pod is gone, or another run is there
		}
	}

	d.mu.Lock()
	defer d.mu.Unlock()

	if d.closed {
		return t, false
	}

	return d.follow(s, r, after, over), true //nolint:contextcheck // it outlives the reader; Close ends it
}

// state is a run with whether it is over.
type state struct {
	run

	over bool
}

// again asks the server how a run stands before it is followed again: the
// watch may not have seen yet that another run has taken its place, whose
// output the node would give in its name.
func (s site) again(ctx context.Context, r run, over bool) (state, bool) {
	if over && r.previous {
		return state{r, over}, true
	}

	p, err := s.typed.CoreV1().Pods(s.namespace).Get(ctx, r.pod, metav1.GetOptions{})
	if err != nil || string(p.UID) != r.uid {
		return state{}, false
	}

	for now, over := range runsOf(p) {
		if now.prefix() == r.prefix() {
			now.deployment = r.deployment

			return state{now, over}, true
		}
	}

	return state{}, false
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
		case <-t.some:
		}

		t.mu.Lock()
		err := t.err
		t.mu.Unlock()

		if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsBadRequest(err) && !errors.Is(err, context.Canceled) && !strings.Contains(err.Error(), "waiting to start") {
			return err
		}
	}

	return nil
}
