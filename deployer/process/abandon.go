//go:build unix

package process

import (
	"context"
	"fmt"

	"github.com/shiplog/shiplog/deployer"
)

// Abandon stops the instances of an act that never became ready as a whole;
// what clients reach stays. The epoch is written down also where nothing is, so
// that an earlier owner who comes too late does not start what was given up.
func (d *Deployer) Abandon(ctx context.Context, act deployer.Act) (left deployer.Left, err error) {
	err = d.withUnit(ctx, act.Unit, true, func(dir unitDir, a anchor) error {
		if err := a.fence(act); err != nil {
			return err
		}

		a.Epoch = act.Epoch

		if a.Deployment == act.Deployment && a.Target != "" {
			a.retreat()
		}

		if err := d.enact(dir, act.Unit, a); err != nil {
			return err
		}

		left = remaining(a)

		return nil
	})

	return left, err
}

// retreat goes back to what serves, or to nothing.
func (a *anchor) retreat() {
	target := a.target()
	if target != nil && target.Serving {
		// Clients are with it already: it is the others that go.
		for i := range a.Generations {
			if g := &a.Generations[i]; g.Name != a.Target {
				g.leave(0)
			}
		}

		return
	}

	if target != nil {
		target.leave(0)
	}

	a.Target, a.Digest = "", ""
	if g := a.serving(); g != nil {
		a.Target, a.Digest = g.Name, g.Digest
	}

	if a.Verdict == "" {
		a.Verdict = deployer.Failed
		a.Diagnosis = &deployer.Diagnosis{Kind: deployer.TimedOut, Summary: "The deployment was ended before it was ready."}
	}
}

func remaining(a anchor) deployer.Left {
	g := a.serving()

	switch {
	case a.empty() && a.Deployment == "":
		return deployer.Left{Message: "nothing was there"}
	case g == nil && len(a.Generations) > 0 && a.Target == "":
		return deployer.Left{Message: "nothing stays in place; what was started is stopping"}
	case g == nil:
		return deployer.Left{Message: "nothing stays in place"}
	case g.VersionName == "":
		return deployer.Left{Digest: g.Digest, Message: fmt.Sprintf("%d instances go on", len(g.Instances))}
	default:
		return deployer.Left{
			Digest: g.Digest, Message: fmt.Sprintf("%d instances of %s go on", len(g.Instances), g.VersionName),
		}
	}
}
