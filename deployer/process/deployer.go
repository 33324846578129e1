//go:build unix

package process

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/shiplog/shiplog/deployer"
)

// Deployer runs snapshots as processes of this machine.
type Deployer struct {
	config Config

	mu sync.Mutex
	// children are the detached processes that this process has started and
	// not yet reaped.
	children map[int]struct{}
	// specs and places are caches by run directory, for reading output; they
	// hold what still is on disk.
	specs  map[string]runSpec
	places map[string]place
}

var _ deployer.Deployer = (*Deployer)(nil)

// New makes a deployer. It touches nothing but its directory; what an earlier
// server left is looked after by Adopt.
func New(config Config) (*Deployer, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}

	config, err := config.withDefaults()
	if err != nil {
		return nil, err
	}

	for _, name := range []string{"units", "ports"} {
		if err := os.MkdirAll(filepath.Join(config.Dir, name), dirMode); err != nil {
			return nil, fmt.Errorf("make the process deployer's directory: %w", err)
		}
	}

	return &Deployer{
		config: config, children: map[int]struct{}{},
		specs: map[string]runSpec{}, places: map[string]place{},
	}, nil
}

// Units lists what is anchored here.
func (d *Deployer) Units(context.Context) ([]deployer.Unit, error) {
	all, err := d.known()
	if err != nil {
		return nil, err
	}

	var units []deployer.Unit
	for _, u := range all {
		dir, err := d.unitDir(u)
		if err != nil {
			return nil, err
		}

		a, found, err := dir.load()
		if err != nil {
			return nil, err
		}

		if found && !a.empty() {
			units = append(units, u)
		}
	}

	return units, nil
}

// known lists the units that have a directory, with an anchor or without.
func (d *Deployer) known() ([]deployer.Unit, error) {
	root := filepath.Join(d.config.Dir, "units")

	environments, err := os.ReadDir(root)
	if err != nil {
		return nil, fmt.Errorf("list the environments: %w", err)
	}

	var units []deployer.Unit
	for _, e := range environments {
		services, err := os.ReadDir(filepath.Join(root, e.Name()))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("list the services: %w", err)
		}

		for _, s := range services {
			u := deployer.Unit{Environment: e.Name(), Service: s.Name()}
			if _, err := d.unitDir(u); err == nil && s.IsDir() {
				units = append(units, u)
			}
		}
	}

	return units, nil
}

// Adopt looks after everything that is here: what should run and does not is
// started (after the machine was restarted), what runs and should not is
// stopped, and ports that somebody else has taken are replaced. A server calls it when it starts; repeating it is harmless. It
// changes no anchor's owner.
func (d *Deployer) Adopt(ctx context.Context) error {
	units, err := d.known()
	if err != nil {
		return err
	}

	var all []error
	for _, u := range units {
		err := d.withUnit(ctx, u, false, func(dir unitDir, a anchor) error {
			_, err := d.reconcile(dir, u, &a)

			return err
		})
		if err != nil {
			all = append(all, fmt.Errorf("adopt %s in %s: %w", u.Service, u.Environment, err))
		}
	}

	// Proxies that had to be started were so side by side.
	for _, u := range units {
		if err := d.withUnit(ctx, u, false, d.yield); err != nil {
			all = append(all, fmt.Errorf("free ports of %s in %s: %w", u.Service, u.Environment, err))
		}
	}

	return errors.Join(append(all, d.releaseLostPorts(units))...)
}

// yield takes other ports for what serves where somebody else has them. What is
// on its way looks for its own.
func (d *Deployer) yield(dir unitDir, a anchor) error {
	g := a.serving()
	if g == nil || len(g.Ports) == 0 {
		return nil
	}

	var now routes
	if found, err := readJSON(routesFile(dir.proxy()), &now); err != nil || !found || now.Closed {
		return err
	}

	state, ok := acknowledged(dir, now.Revision)
	if !ok || len(state.Errors) == 0 {
		return nil
	}

	return d.move(dir, &a, g, state.Errors)
}

// StopAll ends every process of every unit and waits for them. What is wanted
// stays written down: Adopt starts it again.
func (d *Deployer) StopAll(ctx context.Context) error {
	units, err := d.known()
	if err != nil {
		return err
	}

	for {
		left := 0

		for _, u := range units {
			err := d.withUnit(ctx, u, false, func(dir unitDir, _ anchor) error {
				n, err := stopUnit(dir)
				left += n

				return err
			})
			if err != nil {
				return fmt.Errorf("stop %s in %s: %w", u.Service, u.Environment, err)
			}
		}

		d.reap()

		if left == 0 {
			return nil
		}

		select {
		case <-ctx.Done():
			return fmt.Errorf("%d processes have not ended: %w", left, ctx.Err())
		case <-time.After(reapPoll):
		}
	}
}

// stopUnit asks all of a unit's shims and its proxy to stop, and gives how
// many still live.
func stopUnit(dir unitDir) (int, error) {
	runs, err := dir.list()
	if err != nil {
		return 0, err
	}

	left := 0
	for _, r := range runs {
		alive, err := r.alive()
		if err != nil {
			return 0, err
		}

		if alive {
			left++
			if err := r.askToStop(0); err != nil {
				return 0, err
			}
		}
	}

	alive, err := stopProxy(dir)
	if alive {
		left++
	}

	return left, err
}
