//go:build unix

package process

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/shiplog/shiplog/deployer"
	"github.com/shiplog/shiplog/internal/spec"
)

// Apply claims the unit for the act and starts what it wants beside what is
// there.
func (d *Deployer) Apply(ctx context.Context, act deployer.Act) (applied deployer.Applied, err error) {
	var p spec.Process
	if act.Snapshot != nil {
		if p, err = plan(act.Snapshot); err != nil {
			return applied, err
		}
	}

	err = d.withUnit(ctx, act.Unit, true, func(dir unitDir, a anchor) error {
		if err := a.fence(act); err != nil {
			return err
		}

		var err error
		if act.Snapshot == nil {
			applied, err = d.remove(dir, act, a)
		} else {
			applied, err = d.install(dir, act, p, a)
		}

		return err
	})

	return applied, err
}

// install wants the act's content: a generation that has it already, or a new
// one.
func (d *Deployer) install(dir unitDir, act deployer.Act, p spec.Process, a anchor) (deployer.Applied, error) {
	before := a.ports()
	same := a.having(act)
	a.claim(act, time.Now().UTC())

	applied := deployer.Applied{Unchanged: same != nil}
	if same == nil {
		g, err := d.newGeneration(&a, act, p)
		if err != nil {
			return applied, err
		}

		// The verdict is about this one, even where the act had another.
		a.Verdict, a.Diagnosis, a.Since = "", nil, time.Now().UTC()
		a.Generations = append(a.Generations, g)
		same = &a.Generations[len(a.Generations)-1]
	}

	if same.Name != a.Target {
		a.Verdict, a.Diagnosis = "", nil
	}

	// The same content may have come by another name.
	same.Version, same.VersionName = act.Version, act.VersionName
	a.Target = same.Name

	for i := range a.Generations {
		// What never served is not needed by anybody; what serves does so
		// until the target is ready.
		if g := &a.Generations[i]; g.Name != a.Target && !g.Serving {
			g.leave(0)
		}
	}

	applied.Changes, applied.Endpoints = describe(act.Service, *same, applied.Unchanged), same.endpoints()

	if err := d.enact(dir, act.Unit, a); err != nil {
		if !errors.Is(err, deployer.ErrUnknown) {
			err = errors.Join(err, d.releaseAll(a.ports(), before))
		}

		return deployer.Applied{}, err
	}

	return applied, nil
}

// having gives the generation that already is what the act wants. One that has
// never been ready is only that for its own deployment: another one may hope
// for a better start.
func (a *anchor) having(act deployer.Act) *generation {
	for i := range slices.Backward(a.Generations) {
		g := &a.Generations[i]
		if g.Digest == act.Digest && !g.Leaving && (g.Serving || g.Deployment == act.Deployment) {
			return g
		}
	}

	return nil
}

// remove wants nothing.
func (d *Deployer) remove(dir unitDir, act deployer.Act, a anchor) (deployer.Applied, error) {
	applied := deployer.Applied{Unchanged: a.empty()}

	for i := range a.Generations {
		g := &a.Generations[i]
		if !g.Leaving {
			for _, in := range g.Instances {
				applied.Changes = append(applied.Changes, fmt.Sprintf("instance %s is asked to stop", shown(act.Service, in.Name)))
			}
		}

		g.leave(0)
	}

	if applied.Unchanged {
		applied.Changes = []string{"nothing was running"}
	}

	act.Digest = ""
	a.claim(act, time.Now().UTC())
	a.Target = ""

	if err := d.enact(dir, act.Unit, a); err != nil {
		return deployer.Applied{}, err
	}

	return applied, nil
}

// enact writes the anchor, which is the point of no return, and lets what is
// there follow. What could not follow yet is Rollout's to try again.
func (d *Deployer) enact(dir unitDir, u deployer.Unit, a anchor) error {
	if err := dir.save(a); err != nil {
		return err
	}

	if _, err := d.reconcile(dir, u, &a); err != nil {
		return fmt.Errorf("%w: %w", deployer.ErrUnknown, err)
	}

	return nil
}

// describe says in words what was started.
func describe(service string, g generation, unchanged bool) []string {
	if unchanged {
		return []string{"the same content is there already; nothing is restarted"}
	}

	var changes []string

	for i, in := range g.Instances {
		var line strings.Builder

		fmt.Fprintf(&line, "instance %d of %d (%s) is started", i+1, len(g.Instances), shown(service, in.Name))

		word := "on"
		for _, name := range slices.Sorted(maps.Keys(in.Ports)) {
			fmt.Fprintf(&line, " %s port %d (%s)", word, in.Ports[name], name)
			word = "and"
		}

		changes = append(changes, line.String())
	}

	for _, name := range slices.Sorted(maps.Keys(g.Ports)) {
		p := g.Ports[name]

		line := fmt.Sprintf("clients reach port %s at %s", name, address(p.Listen))
		if p.Wanted > 0 && p.Wanted != p.Listen {
			line += fmt.Sprintf(" (%d is taken)", p.Wanted)
		}

		changes = append(changes, line)
	}

	return changes
}
