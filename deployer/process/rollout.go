//go:build unix

package process

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/shiplog/shiplog/deployer"
)

// errNotApplied: Rollout was asked for an act that has not been applied, or
// that another one has followed.
var errNotApplied = errors.New("the unit is another deployment's; apply the act first")

// Rollout moves the act on: it starts what is missing, leads clients to the
// new instances when all are ready, and then lets the old ones go.
func (d *Deployer) Rollout(ctx context.Context, act deployer.Act) (progress deployer.Progress, err error) {
	known := false

	err = d.withUnit(ctx, act.Unit, false, func(dir unitDir, a anchor) error {
		known = true

		if err := a.fence(act); err != nil {
			return err
		}

		if a.Deployment != act.Deployment {
			return fmt.Errorf("%s, not %s: %w", a.Deployment, act.Deployment, errNotApplied)
		}

		if act.Epoch > a.Epoch {
			a.Epoch = act.Epoch
			if err := dir.save(a); err != nil {
				return err
			}
		}

		progress, err = d.advance(dir, act, &a)

		return err
	})
	if err == nil && !known {
		err = errNotApplied
	}

	return progress, err
}

func (d *Deployer) advance(dir unitDir, act deployer.Act, a *anchor) (deployer.Progress, error) {
	revision, err := d.reconcile(dir, act.Unit, a)
	if err != nil {
		return deployer.Progress{}, fmt.Errorf("%w: %w", deployer.ErrUnknown, err)
	}

	g := a.target()
	if g == nil {
		return d.departing(dir, a)
	}

	views, err := dir.views(*g)
	if err != nil {
		return deployer.Progress{}, err
	}

	ready, blame, diagnosis := judge(*g, a.Since, views, time.Now())
	progress := deployer.Progress{
		Verdict: deployer.Progressing, Ready: ready, Desired: len(g.Instances),
		Message: fmt.Sprintf("%d of %d instances ready", ready, len(g.Instances)),
	}

	switch {
	case a.Verdict != "":
		progress.Verdict, progress.Diagnosis, progress.Endpoints = a.Verdict, a.Diagnosis, g.endpoints()

		return progress, nil
	case diagnosis != nil:
		if err := complete(diagnosis, act.Service, blame); err != nil {
			return progress, err
		}

		return d.fail(dir, a, progress, diagnosis)
	case ready < len(g.Instances):
		return progress, nil
	}

	return d.succeed(dir, act, a, g, revision, progress)
}

// succeed switches the clients over and, when the proxy has followed, lets the
// others go.
func (d *Deployer) succeed(
	dir unitDir, act deployer.Act, a *anchor, g *generation, revision int64, progress deployer.Progress,
) (deployer.Progress, error) {
	if a.serving() != g || !g.Serving {
		// Serving is what routes follow: the target last, so that it wins.
		g.Serving = true
		a.last(g.Name)
		g = a.target()

		if err := dir.save(*a); err != nil {
			return progress, err
		}

		var err error
		if revision, err = d.route(dir, a); err != nil {
			return progress, fmt.Errorf("%w: %w", deployer.ErrUnknown, err)
		}
	}

	if revision > 0 {
		state, ok := acknowledged(dir, revision)
		if !ok {
			progress.Message += ", waiting for the proxy"

			return d.expire(dir, a, g, progress, "The proxy of the service's ports did not start.")
		}

		if len(state.Errors) > 0 {
			progress.Message += ", looking for free ports"

			if err := d.move(dir, a, g, state.Errors); err != nil {
				return progress, err
			}

			return d.expire(dir, a, g, progress, "No port for the service could be opened.")
		}
	}

	drain := d.config.Drain
	if len(g.Ports) == 0 {
		drain = 0 // no clients to wait for
	}

	for i := range a.Generations {
		if old := &a.Generations[i]; old.Name != g.Name {
			old.leave(drain)
		}
	}

	a.Verdict, progress.Verdict, progress.Endpoints = deployer.Ready, deployer.Ready, g.endpoints()
	if err := d.enact(dir, act.Unit, *a); err != nil {
		return progress, err
	}

	return progress, nil
}

// last moves a generation to the end.
func (a *anchor) last(name string) {
	for i, g := range a.Generations {
		if g.Name == name {
			a.Generations = append(append(a.Generations[:i:i], a.Generations[i+1:]...), g)

			return
		}
	}
}

// move takes other ports for those that somebody else has taken.
func (d *Deployer) move(dir unitDir, a *anchor, g *generation, taken map[int]string) error {
	before := a.ports()

	for name, p := range g.Ports {
		if _, lost := taken[p.Listen]; !lost {
			continue
		}

		port, err := d.anyPort()
		if err != nil {
			return err
		}

		p.Listen = port
		g.Ports[name] = p
	}

	if err := dir.save(*a); err != nil {
		return err
	}

	if err := d.releaseAll(before, a.ports()); err != nil {
		return err
	}

	_, err := d.route(dir, a)

	return err
}

// expire fails a rollout whose time is over although its instances are ready.
func (d *Deployer) expire(
	dir unitDir, a *anchor, g *generation, progress deployer.Progress, summary string,
) (deployer.Progress, error) {
	limit := max(time.Duration(g.Process.StartupSeconds)*time.Second, defaultStartup)
	if time.Since(a.Since) < limit {
		return progress, nil
	}

	return d.fail(dir, a, progress, &deployer.Diagnosis{
		Kind: deployer.TimedOut, Summary: summary, Advice: "See proxy.log in the unit's directory.",
	})
}

// fail writes the verdict down before it is told.
func (d *Deployer) fail(
	dir unitDir, a *anchor, progress deployer.Progress, diagnosis *deployer.Diagnosis,
) (deployer.Progress, error) {
	a.Verdict, a.Diagnosis = deployer.Failed, diagnosis
	progress.Verdict, progress.Diagnosis = deployer.Failed, diagnosis

	return progress, dir.save(*a)
}

// departing is the rollout of nothing, or what is left of one that was
// abandoned.
func (d *Deployer) departing(dir unitDir, a *anchor) (deployer.Progress, error) {
	switch {
	case a.Verdict != "":
		return deployer.Progress{Verdict: a.Verdict, Diagnosis: a.Diagnosis}, nil
	case len(a.Generations) > 0:
		return deployer.Progress{
			Verdict: deployer.Progressing, Message: fmt.Sprintf("%d generations are still stopping", len(a.Generations)),
		}, nil
	}

	alive, err := stopProxy(dir)
	if err != nil || alive {
		return deployer.Progress{Verdict: deployer.Progressing, Message: "the proxy is stopping"}, err
	}

	a.Verdict = deployer.Ready

	return deployer.Progress{Verdict: deployer.Ready, Message: "nothing runs any more"}, dir.save(*a)
}

// views looks at the runs of a generation. The caller holds the unit's lock.
func (u unitDir) views(g generation) ([]view, error) {
	var all []view
	for _, r := range u.of(g) {
		alive, err := r.dir.alive()
		if err != nil {
			return nil, err
		}

		c := g.Process.Containers[r.container]
		all = append(all, view{
			run: r, alive: alive, state: r.dir.readState(), probe: probeOf(g.Process, c, r.instance).String(),
		})
	}

	return all, nil
}
