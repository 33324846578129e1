package kubernetes

import (
	"context"
	"errors"

	"github.com/shiplog/shiplog/deployer"
	"github.com/shiplog/shiplog/internal/fault"
)

// Abandon goes back to the content that was last ready as a whole, or to
// nothing.
func (d *Deployer) Abandon(ctx context.Context, act deployer.Act) (deployer.Left, error) {
	s, err := d.at(act)
	if err != nil {
		return deployer.Left{}, err
	}

	a, err := s.load(ctx)

	switch {
	case err != nil:
		return deployer.Left{}, err
	case a.version == "":
		// An earlier owner who comes too late has to meet the epoch.
		err := d.advance(ctx, &a, act)
		if fault.Is(err, fault.InvalidInput) {
			err = nil // without the namespace he can write nothing
		}

		return deployer.Left{Message: "nothing was there"}, err
	}

	if err := a.fence(act); err != nil {
		return deployer.Left{}, err
	}

	if a.Deployment != act.Deployment || a.Target != nil && a.Target == a.Stable && a.Verdict != deployer.Failed {
		return remaining(a.anchor), d.advance(ctx, &a, act)
	}

	d.forget(act.Unit)

	if a, err = d.retreat(ctx, s, act); err != nil {
		return deployer.Left{}, err
	}

	return remaining(a.anchor), nil
}

// retreat puts back what was there before the act, where it is the last one
// and was never ready. Repeating it is harmless.
func (d *Deployer) retreat(ctx context.Context, s site, act deployer.Act) (anchored, error) {
	act.Binding.Allow.ClusterScoped = true // what was there before was allowed then

	a, _, err := d.enact(ctx, s, act, func(a *anchored) error {
		a.Epoch = act.Epoch

		a.Target = a.Stable
		if a.Verdict == "" {
			a.Verdict = deployer.Failed
			a.Diagnosis = &deployer.Diagnosis{Kind: deployer.TimedOut, Summary: "The deployment was ended before it was ready."}
		}

		return nil
	})
	if err != nil {
		return a, err
	}

	return a, d.prune(ctx, &a, act)
}

// advance makes the act's epoch the anchor's.
func (d *Deployer) advance(ctx context.Context, a *anchored, act deployer.Act) error {
	if act.Epoch <= a.Epoch {
		return nil
	}

	a.Epoch = act.Epoch

	return d.save(ctx, a)
}

// prune removes what the inventory has and the content that is wanted has not,
// and writes what is left into the anchor.
func (d *Deployer) prune(ctx context.Context, a *anchored, act deployer.Act) error {
	var wanted []ref
	if a.Target != nil {
		wanted = a.Target.Objects
	}

	surplus := without(a.Inventory, wanted)
	if len(surplus) == 0 {
		return nil
	}

	if _, err := a.site.remove(ctx, act, surplus); err != nil {
		return err
	}

	a.Inventory = wanted

	if err := d.save(ctx, a); err != nil {
		if errors.Is(err, errRaced) {
			return errors.Join(err, a.site.stillOurs(ctx, act))
		}

		return err
	}

	return nil
}

func remaining(a *anchor) deployer.Left {
	switch {
	case a.Target == nil:
		return deployer.Left{Message: "nothing stays in place; what was made is being removed"}
	case a.Target.VersionName == "":
		return deployer.Left{Digest: a.Target.Digest, Message: "what was there before goes on"}
	default:
		return deployer.Left{Digest: a.Target.Digest, Message: a.Target.VersionName + " goes on"}
	}
}
