package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/shiplog/shiplog/deployer"
	"github.com/shiplog/shiplog/internal/fault"
)

// Apply claims the unit's anchor for the act and writes what it wants. What is
// not wanted any more is left until the rollout has worked: pods of the old
// content may need it.
func (d *Deployer) Apply(ctx context.Context, act deployer.Act) (deployer.Applied, error) {
	s, err := d.at(act)
	if err != nil {
		return deployer.Applied{}, err
	}

	d.forget(act.Unit)

	if act.Snapshot == nil {
		return d.undeploy(ctx, s, act)
	}

	c, err := contentOf(act)
	if err != nil {
		return deployer.Applied{}, err
	}

	if act.Binding.Allow.Namespaces {
		if err := s.ensureNamespace(ctx); err != nil {
			return deployer.Applied{}, err
		}
	}

	_, changes, err := d.enact(ctx, s, act, func(a *anchored) error {
		wanted := c
		if same := a.having(c.Key); same != nil {
			// The same content may have come by another version.
			same.Version, same.VersionName = act.Version, act.VersionName
			wanted = same
		}

		a.want(act, wanted, time.Now().UTC())
		a.Inventory = together(wanted.Objects, a.Inventory)

		return nil
	})
	if err != nil {
		return deployer.Applied{}, d.halfway(ctx, s, act, err)
	}

	applied := deployer.Applied{Unchanged: len(changes) == 0, Endpoints: endpoints(c.packed)}
	for _, made := range changes {
		applied.Changes = append(applied.Changes, made.String())
	}

	if applied.Unchanged {
		applied.Changes = []string{"the same content is there already; nothing is changed"}
	}

	return applied, nil
}

// having gives the content that is exactly this one, if the anchor knows it.
func (a *anchor) having(key string) *content {
	for _, c := range []*content{a.Target, a.Stable} {
		if c != nil && c.Key == key {
			return c
		}
	}

	return nil
}

// halfway gives the error of an act that could not be written. When it was a
// refusal that came after the claim, what was there before is put back first.
func (d *Deployer) halfway(ctx context.Context, s site, act deployer.Act, cause error) error {
	if _, began := errors.AsType[*halfwayError](cause); !began || errors.Is(cause, deployer.ErrFenced) {
		return cause
	}

	if errors.Is(cause, deployer.ErrUnreachable) {
		return cause
	}

	if fault.CodeOf(cause) == fault.Internal {
		return fmt.Errorf("%w: %w", deployer.ErrUnknown, cause)
	}

	if _, err := d.retreat(ctx, s, act); err != nil {
		return fmt.Errorf("%w: %w, and going back: %w", deployer.ErrUnknown, cause, err)
	}

	return cause
}

// undeploy wants nothing.
func (d *Deployer) undeploy(ctx context.Context, s site, act deployer.Act) (deployer.Applied, error) {
	var applied deployer.Applied

	a, _, err := d.enact(ctx, s, act, func(a *anchored) error {
		applied.Unchanged = a.empty()
		a.want(act, nil, time.Now().UTC())
		a.Stable = nil

		return nil
	})
	if err != nil {
		return applied, err
	}

	all, err := s.remove(ctx, act, a.Inventory)
	if err != nil {
		if !errors.Is(err, deployer.ErrFenced) {
			// Rollout tries the rest again.
			err = nil
		}

		return applied, err
	}

	for _, r := range all {
		if !r.gone {
			applied.Changes = append(applied.Changes, r.String())
		}
	}

	if applied.Unchanged {
		applied.Changes = []string{"nothing was running"}
	}

	return applied, nil
}
