package faults

import (
	"context"
	"sync"
)

// pace spreads the deployments over the kills: clients begin only so many
// before each end and each start of a replica, so that all of these come in the
// middle of something.
type pace struct {
	mu             sync.Mutex
	begun, allowed int
	steps, of      int
	deployments    int
	more           chan struct{} // closed, and replaced, when more are allowed
}

func newPace(deployments, kills int) *pace {
	p := &pace{deployments: deployments, of: 2 * kills, more: make(chan struct{})}
	p.allowed = p.share()

	return p
}

// share is how many may have begun now: some at once, the others evenly.
func (p *pace) share() int {
	return min(p.deployments, services+(p.steps+1)*p.deployments/p.of)
}

// step allows some more.
func (p *pace) step() {
	p.mu.Lock()
	defer p.mu.Unlock()

	p.steps++
	p.allowed = p.share()

	close(p.more)
	p.more = make(chan struct{})
}

// begin waits until one more deployment may begin; it reports false when there
// are enough.
func (p *pace) begin(ctx context.Context) bool {
	for {
		p.mu.Lock()
		if p.begun == p.deployments {
			p.mu.Unlock()

			return false
		}

		if p.begun < p.allowed {
			p.begun++
			p.mu.Unlock()

			return true
		}

		more := p.more
		p.mu.Unlock()

		select {
		case <-ctx.Done():
			return false
		case <-more:
		}
	}
}
