package kubernetes

import (
	"context"
	"errors"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/shiplog/shiplog/deployer"
	"github.com/shiplog/shiplog/internal/fault"
)

// enact writes the objects of the content that the anchor wants, after trying
// them, and claims the anchor in between. before gives the anchor that is to be
// claimed, from the one that is there; it may be asked again.
func (d *Deployer) enact(ctx context.Context, s site, act deployer.Act, before func(*anchored) error) (anchored, []change, error) {
	var changes []change

	for attempt := 1; ; attempt++ {
		a, more, err := d.enactOnce(ctx, s, act, before)
		changes = append(changes, more...)

		if err == nil || attempt == enactAttempts || errors.Is(err, deployer.ErrFenced) || fault.CodeOf(err) != fault.Internal && !errors.Is(err, errRaced) {
			return a, changes, err
		}

		if gone := s.pulse.err(); gone != nil && errors.Is(err, deployer.ErrUnreachable) {
			return a, changes, err // for longer than a start takes: the caller waits
		}

		select {
		case <-ctx.Done():
			return a, changes, errors.Join(err, ctx.Err())
		case <-time.After(enactBackoff << attempt):
		}
	}
}

// enactAttempts and enactBackoff bound how often a write is tried again that
// met another one or a server that did not answer: 25 s, in which an API server
// starts again.
const (
	enactAttempts = 8
	enactBackoff  = 100 * time.Millisecond
)

func (d *Deployer) enactOnce(ctx context.Context, s site, act deployer.Act, before func(*anchored) error) (anchored, []change, error) {
	a, err := s.load(ctx)
	if err != nil {
		return a, nil, err
	}

	if err := a.fence(act); err != nil {
		return a, nil, err
	}

	if err := before(&a); err != nil {
		return a, nil, err
	}

	if a.Target == nil {
		return a, nil, d.save(ctx, &a)
	}

	objects, err := unpack(a.Target.packed)
	if err != nil {
		return a, nil, err
	}

	all, err := s.try(ctx, objects, act.Binding.Allow)
	if err != nil {
		return a, nil, err
	}

	if err := d.save(ctx, &a); err != nil {
		return a, nil, err
	}

	fresh := false

	changes, err := s.write(ctx, act, all, func(r ref, now *unstructured.Unstructured) {
		fresh = a.Target.hold(r, now, managedBy(s.Unit)) || fresh
	})
	if err == nil && fresh {
		err = d.save(ctx, &a)
	}

	if err != nil {
		return a, changes, &halfwayError{err}
	}

	return a, changes, nil
}

// halfwayError is one after the anchor was claimed: some objects may be
// written.
type halfwayError struct{ cause error }

func (e *halfwayError) Error() string { return e.cause.Error() }
func (e *halfwayError) Unwrap() error { return e.cause }
