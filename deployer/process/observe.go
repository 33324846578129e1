//go:build unix

package process

import (
	"context"
	"time"

	"github.com/shiplog/shiplog/deployer"
)

// Observe says what runs for the unit. Instances that were asked to stop do
// not count; of a content that still serves while another one is on its way,
// none are desired.
func (d *Deployer) Observe(ctx context.Context, u deployer.Unit) (deployer.Observation, error) {
	d.reap()

	o := deployer.Observation{At: time.Now().UTC()}

	err := d.withUnit(ctx, u, false, func(dir unitDir, a anchor) error {
		o.Anchor = deployer.Anchor{Deployment: a.Deployment, Epoch: a.Epoch, Digest: a.Digest}

		for _, g := range a.Generations {
			if g.Leaving {
				continue
			}

			views, err := dir.views(g)
			if err != nil {
				return err
			}

			ready, _, _ := judge(g, a.Since, views, o.At)
			desired := 0

			if g.Name == a.Target {
				desired = len(g.Instances)
			}

			o.Contents = append(o.Contents, deployer.Content{
				Digest: g.Digest, Deployment: g.Deployment, Version: g.Version, VersionName: g.VersionName,
				Images: g.Images, Ready: ready, Desired: desired,
			})
		}

		if g := a.serving(); g != nil {
			o.Endpoints = g.endpoints()
		} else if g := a.target(); g != nil {
			o.Endpoints = g.endpoints()
		}

		return nil
	})

	return o, err
}
