package kubernetes

import (
	"context"
	"fmt"
	"io"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// isPrevious reports whether a position is one of the run before the one that
// the node gives. A node that could not reach its server restarts containers
// all the same, so that for a while nobody else knows of it.
func (t *tail) isPrevious(ctx context.Context, position int64) bool {
	if t.previous {
		return false
	}

	before := t.run
	before.previous = true
	c := counter{taken: position}

	stream, err := t.site.open(ctx, before, c.pass(), false)
	if err != nil {
		return false // most often there is none
	}
	defer stream.Close()

	is := false

	err = eachLine(stream, func(l stamped) error {
		c.next(l)
		is = is || c.at == position

		return nil
	})

	return is && err == nil
}

// open asks the node for the run's output.
func (s site) open(ctx context.Context, r run, since time.Time, follow bool) (io.ReadCloser, error) {
	options := &corev1.PodLogOptions{Container: r.container, Follow: follow, Previous: r.previous, Timestamps: true}

	if !since.IsZero() {
		// Whole seconds are all that it understands.
		from := metav1.NewTime(since)
		options.SinceTime = &from
	}

	stream, err := s.typed.CoreV1().Pods(s.namespace).GetLogs(r.pod, options).Stream(ctx)
	if err != nil {
		return nil, refusal("the output of "+r.pod, err)
	}

	return stream, nil
}

// settle waits until what the node has at this moment has come, or as much of
// it as there is room for. Errors: ctx's; the cluster's.
func (t *tail) settle(ctx context.Context) error {
	// Under way already, and caught up at a moment that may be long ago?
	t.mu.Lock()
	live := t.caught && !t.ended
	t.mu.Unlock()

	end := int64(0)

	if live {
		var err error
		if end, err = t.end(ctx); err != nil && !isNone(err) {
			return err
		}
	}

	err := t.until(ctx, func() bool {
		return t.ended || len(t.lines) >= tailLines || t.caught && t.head >= end
	})

	t.mu.Lock()
	defer t.mu.Unlock()

	switch {
	case err != nil:
		return fmt.Errorf("the output of %s has not come: %w", t.pod, err)
	case t.ended && !t.complete && t.err == nil:
		return fmt.Errorf("the output of %s has ended before its container: %w", t.pod, io.ErrUnexpectedEOF)
	case t.err != nil && !isNone(t.err):
		return t.err
	}

	return nil
}

// end gives the position of the last line that the node has at this moment.
func (t *tail) end(ctx context.Context) (int64, error) {
	t.mu.Lock()
	c := counter{taken: t.head}
	t.mu.Unlock()

	stream, err := t.site.open(ctx, t.run, c.pass(), false)
	if err != nil {
		return 0, err
	}
	defer stream.Close()

	// Of another run than this one? Then this one's stream comes to its end.
	if _, err := t.site.still(ctx, t.run); err != nil {
		return 0, err
	}

	err = eachLine(stream, func(l stamped) error {
		c.next(l)

		return nil
	})

	return c.taken, err
}
