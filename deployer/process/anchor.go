//go:build unix

package process

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"github.com/shiplog/shiplog/deployer"
	"github.com/shiplog/shiplog/internal/spec"
)

// anchor is what a unit remembers: who acted last and what is wanted.
type anchor struct {
	Deployment string `json:"deployment"`
	Epoch      int64  `json:"epoch"`
	// Since is when the act claimed the unit.
	Since time.Time `json:"since"`
	// Digest of what is wanted; "" when nothing is.
	Digest string `json:"digest"`
	// Target names the generation that is wanted.
	Target string `json:"target,omitempty"`
	// Verdict of the act's rollout, once there is one; it does not change.
	Verdict   deployer.Verdict    `json:"verdict,omitempty"`
	Diagnosis *deployer.Diagnosis `json:"diagnosis,omitempty"`
	// Generations that are there or on their way, oldest first.
	Generations []generation `json:"generations,omitempty"`
}

// generation is a set of instances made for one content.
type generation struct {
	// Name is unique among the unit's generations of all times.
	Name        string                `json:"name"`
	Deployment  string                `json:"deployment"`
	Version     string                `json:"version"`
	VersionName string                `json:"versionName"`
	Digest      string                `json:"digest"`
	Images      map[string]spec.Image `json:"images,omitempty"`
	Process     spec.Process          `json:"process"`
	Instances   []instance            `json:"instances"`
	// Ports of the service by name. Generations share one as long as they
	// wish for the same.
	Ports map[string]servicePort `json:"ports,omitempty"`
	// SpawnedAt is when the first of its shims was there.
	SpawnedAt time.Time `json:"spawnedAt,omitzero"`
	// Serving: it was ready as a whole once and is what clients reach.
	Serving bool `json:"serving,omitempty"`
	// Leaving: its instances are to end; Drain is how long they go on.
	Leaving bool          `json:"leaving,omitempty"`
	Drain   time.Duration `json:"drain,omitempty"`
}

// instance is one of a generation's, with the ports it was given by name.
type instance struct {
	Name  string         `json:"name"`
	Ports map[string]int `json:"ports,omitempty"`
}

// servicePort is a port that clients dial: the one that was wanted and the one
// that was free.
type servicePort struct {
	Wanted int `json:"wanted"`
	Listen int `json:"listen"`
}

func (a *anchor) target() *generation {
	for i := range a.Generations {
		if a.Generations[i].Name == a.Target {
			return &a.Generations[i]
		}
	}

	return nil
}

// serving gives the generation that clients reach, if there is one.
func (a *anchor) serving() *generation {
	for i := range slices.Backward(a.Generations) {
		if g := &a.Generations[i]; g.Serving && !g.Leaving {
			return g
		}
	}

	return nil
}

// empty reports whether nothing is wanted and nothing is there.
func (a *anchor) empty() bool { return a.Target == "" && len(a.Generations) == 0 }

// claim makes the act the last one. The verdict is open again when it is
// another one than before.
func (a *anchor) claim(act deployer.Act, now time.Time) {
	if a.Deployment != act.Deployment {
		a.Verdict, a.Diagnosis = "", nil
		a.Since = now
	}

	a.Deployment, a.Epoch, a.Digest = act.Deployment, act.Epoch, act.Digest
}

// leave sends a generation on its way.
func (g *generation) leave(drain time.Duration) {
	if !g.Leaving {
		g.Leaving, g.Drain = true, drain
	}
}

// unitDir is the directory of a unit.
type unitDir string

func (u unitDir) lock() string   { return filepath.Join(string(u), "lock") }
func (u unitDir) anchor() string { return filepath.Join(string(u), "anchor.json") }
func (u unitDir) runs() string   { return filepath.Join(string(u), "runs") }
func (u unitDir) proxy() string  { return filepath.Join(string(u), "proxy") }

// run gives the directory of a container of an instance. Neither name has a
// dot.
func (u unitDir) run(instance, container string) runDir {
	return runDir(filepath.Join(u.runs(), instance+"."+container))
}

func (u unitDir) load() (anchor, bool, error) {
	var a anchor
	found, err := readJSON(u.anchor(), &a)

	return a, found, err
}

// save replaces the anchor. After it has returned nil the change is there,
// whatever happens; an error of kind ErrUnknown means that it may be.
func (u unitDir) save(a anchor) error {
	if err := writeJSON(u.anchor(), a, true); err != nil {
		return err
	}

	if err := syncDir(string(u)); err != nil {
		return errors.Join(deployer.ErrUnknown, err)
	}

	return nil
}

// dnsLabel is what names of units and containers are: they become names of
// directories.
var dnsLabel = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

func (d *Deployer) unitDir(u deployer.Unit) (unitDir, error) {
	if !dnsLabel.MatchString(u.Environment) {
		return "", fmt.Errorf("the environment's name %q is not a DNS label", u.Environment)
	}

	if !dnsLabel.MatchString(u.Service) {
		return "", fmt.Errorf("the service's name %q is not a DNS label", u.Service)
	}

	return unitDir(filepath.Join(d.config.Dir, "units", u.Environment, u.Service)), nil
}

// withUnit runs f under the unit's lock, with its anchor. Without an anchor it
// makes the unit or does nothing.
func (d *Deployer) withUnit(ctx context.Context, u deployer.Unit, create bool, f func(unitDir, anchor) error) error {
	dir, err := d.unitDir(u)
	if err != nil {
		return err
	}

	if create {
		if err := os.MkdirAll(dir.runs(), dirMode); err != nil {
			return fmt.Errorf("make the unit's directory: %w", err)
		}
	} else if _, err := os.Stat(dir.anchor()); errors.Is(err, fs.ErrNotExist) {
		return nil
	}

	return lockWhile(ctx, dir.lock(), func() error {
		a, _, err := dir.load()
		if err != nil {
			return err
		}

		return f(dir, a)
	})
}

// fence refuses an act of an owner who has been replaced.
func (a *anchor) fence(act deployer.Act) error {
	if act.Epoch < a.Epoch {
		return fmt.Errorf("epoch %d after %d: %w", act.Epoch, a.Epoch, deployer.ErrFenced)
	}

	return nil
}
