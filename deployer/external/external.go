// Package external is the deployer of environments where somebody else
// deploys: Shiplog records what happened there and acts in no way.
package external

import (
	"context"
	"time"

	"github.com/shiplog/shiplog/deployer"
	"github.com/shiplog/shiplog/internal/fault"
	"github.com/shiplog/shiplog/internal/spec"
)

// Deployer refuses every act.
type Deployer struct{}

var _ deployer.Deployer = Deployer{}

// New makes the deployer. It has no state.
func New() Deployer { return Deployer{} }

func refusal() error {
	return fault.New(fault.InvalidInput,
		"somebody else deploys to this environment: report what happened there with recordDeployment instead")
}

// Supports refuses everything.
func (Deployer) Supports(*spec.Snapshot) error { return refusal() }

// Apply is refused.
func (Deployer) Apply(context.Context, deployer.Act) (deployer.Applied, error) {
	return deployer.Applied{}, refusal()
}

// Rollout is refused.
func (Deployer) Rollout(context.Context, deployer.Act) (deployer.Progress, error) {
	return deployer.Progress{}, refusal()
}

// Abandon has nothing to take back.
func (Deployer) Abandon(context.Context, deployer.Act) (deployer.Left, error) {
	return deployer.Left{Message: "what is in place there is up to whoever deploys it"}, nil
}

// Units are none.
func (Deployer) Units(context.Context) ([]deployer.Unit, error) { return []deployer.Unit{}, nil }

// Observe sees nothing.
func (Deployer) Observe(context.Context, deployer.Unit) (deployer.Observation, error) {
	return deployer.Observation{At: time.Now().UTC()}, nil
}

// Read reads nothing.
func (Deployer) Read(context.Context, deployer.Unit, map[string]int64, int) ([]deployer.Line, error) {
	return []deployer.Line{}, nil
}

// Settle has nothing to wait for.
func (Deployer) Settle(context.Context, deployer.Unit, map[string]int64) error { return nil }

// Wake stays silent; the channel is closed when ctx has ended.
func (Deployer) Wake(ctx context.Context) <-chan deployer.Unit {
	silent := make(chan deployer.Unit)

	go func() {
		defer close(silent)
		<-ctx.Done()
	}()

	return silent
}
