//go:build unix

package process

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/shiplog/shiplog/deployer"
)

// reconcile makes what is there follow the anchor, without waiting: missing
// shims are started, leaving and unknown ones asked to stop, ended ones
// forgotten. It is called under the unit's lock with the anchor as it is on
// disk, saves it when a generation has started or gone, and gives the revision
// of the routes that the proxy has been told.
func (d *Deployer) reconcile(dir unitDir, u deployer.Unit, a *anchor) (revision int64, err error) {
	d.reap()

	var errs []error

	named := map[runDir]bool{}
	changed := false

	kept := make([]generation, 0, len(a.Generations))
	for _, g := range a.Generations {
		for _, r := range dir.of(g) {
			named[r.dir] = true
		}

		if g.Leaving {
			left, err := dir.dismiss(g)
			errs = append(errs, err)

			if left > 0 || err != nil {
				kept = append(kept, g)
			} else {
				changed = true
			}

			continue
		}

		errs = append(errs, d.raise(dir, u, g))

		if g.SpawnedAt.IsZero() {
			g.SpawnedAt, changed = time.Now().UTC(), true
		}

		kept = append(kept, g)
	}

	before := a.ports()
	a.Generations = kept

	if changed {
		if err := dir.save(*a); err != nil {
			return 0, errors.Join(append(errs, err)...)
		}

		errs = append(errs, d.releaseAll(before, a.ports()))
	}

	errs = append(errs, d.clear(dir, named))

	revision, err = d.route(dir, a)

	return revision, errors.Join(append(errs, err)...)
}

// generationRun is one run of a generation.
type generationRun struct {
	dir       runDir
	instance  instance
	container string
}

// of lists the runs of a generation, by instance and container.
func (u unitDir) of(g generation) []generationRun {
	var all []generationRun
	for _, i := range g.Instances {
		for _, c := range slices.Sorted(maps.Keys(g.Process.Containers)) {
			all = append(all, generationRun{dir: u.run(i.Name, c), instance: i, container: c})
		}
	}

	return all
}

// dismiss asks what is left of a generation to stop, and counts it.
func (u unitDir) dismiss(g generation) (int, error) {
	left := 0

	for _, r := range u.of(g) {
		alive, err := r.dir.alive()
		if err != nil {
			return left, err
		}

		if !alive {
			continue
		}

		left++
		if err := r.dir.askToStop(g.Drain); err != nil {
			return left, err
		}
	}

	return left, nil
}

// raise starts the shims of a generation that are not there.
func (d *Deployer) raise(dir unitDir, u deployer.Unit, g generation) error {
	for _, r := range dir.of(g) {
		if err := r.dir.prepare(d.runSpec(u, g, r)); err != nil {
			return err
		}

		alive, err := r.dir.alive()
		if err != nil {
			return err
		}

		if alive {
			continue
		}

		if err := r.dir.allow(); err != nil {
			return err
		}

		if err := d.spawn("process-shim", string(r.dir), "shim.log"); err != nil {
			return err
		}
	}

	return nil
}

// clear stops runs that no generation names, and forgets the oldest that have
// ended.
func (d *Deployer) clear(dir unitDir, named map[runDir]bool) error {
	runs, err := dir.list()
	if err != nil {
		return err
	}

	ended := map[string][]runDir{}
	for _, r := range runs {
		if named[r] {
			continue
		}

		alive, err := r.alive()
		if err != nil {
			return err
		}

		if alive {
			if err := r.askToStop(0); err != nil {
				return err
			}

			continue
		}

		instance, _, _ := strings.Cut(filepath.Base(string(r)), ".")
		ended[instance] = append(ended[instance], r)
	}

	names := slices.SortedFunc(maps.Keys(ended), func(a, b string) int {
		return lastChange(ended[b]).Compare(lastChange(ended[a]))
	})

	for _, name := range names[min(d.config.Retain, len(names)):] {
		for _, r := range ended[name] {
			if err := os.RemoveAll(string(r)); err != nil {
				return fmt.Errorf("forget an ended instance: %w", err)
			}

			d.forget(r)
		}
	}

	return nil
}

func lastChange(runs []runDir) time.Time {
	var last time.Time
	for _, r := range runs {
		if info, err := os.Stat(r.state()); err == nil && info.ModTime().After(last) {
			last = info.ModTime()
		}
	}

	return last
}

// list gives the runs that have a directory, by name.
func (u unitDir) list() ([]runDir, error) {
	entries, err := os.ReadDir(u.runs())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}

	if err != nil {
		return nil, fmt.Errorf("list the runs: %w", err)
	}

	var runs []runDir
	for _, e := range entries {
		if e.IsDir() && strings.Contains(e.Name(), ".") {
			runs = append(runs, runDir(filepath.Join(u.runs(), e.Name())))
		}
	}

	return runs, nil
}

// releaseAll gives back the ports that are no longer named.
func (d *Deployer) releaseAll(before, after []int) error {
	var errs []error
	for _, port := range before {
		if !slices.Contains(after, port) {
			errs = append(errs, d.release(port))
		}
	}

	return errors.Join(errs...)
}
