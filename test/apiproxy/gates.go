package apiproxy

import (
	"context"
	"io"
	"slices"
	"time"
)

// gated is the body of an answer: what comes while a gate is shut is given
// when it is open again, in order.
type gated struct {
	io.ReadCloser

	ctx   context.Context
	proxy *Proxy
	watch bool
}

func (g *gated) Read(into []byte) (int, error) {
	n, err := g.ReadCloser.Read(into)

	if !g.proxy.pass(g.ctx, func() chan struct{} { return g.proxy.all }) ||
		g.watch && !g.proxy.pass(g.ctx, func() chan struct{} { return g.proxy.watches }) {
		return n, context.Cause(g.ctx)
	}

	return n, err
}

// shut gives a gate that does not let through.
func shut() chan struct{} { return make(chan struct{}) }

// open opens a gate that is shut.
func open(gate chan struct{}) {
	select {
	case <-gate:
	default:
		close(gate)
	}
}

// Silence makes the cluster one that cannot be reached: connections are taken,
// and nothing comes of them; what is under way stands still.
func (p *Proxy) Silence() {
	p.mu.Lock()
	defer p.mu.Unlock()

	open(p.all)
	p.all = shut()
}

// Answer ends the silence.
func (p *Proxy) Answer() {
	p.mu.Lock()
	defer p.mu.Unlock()

	open(p.all)
}

// HoldWatches holds back what watches tell from now on. Everything else is
// answered.
func (p *Proxy) HoldWatches() {
	p.mu.Lock()
	defer p.mu.Unlock()

	open(p.watches)
	p.watches = shut()
}

// ReleaseWatches gives what was held back.
func (p *Proxy) ReleaseWatches() {
	p.mu.Lock()
	defer p.mu.Unlock()

	open(p.watches)
}

// Slow lets every request take so much longer.
func (p *Proxy) Slow(by time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()

	p.slow = by
}

// linger takes the time; false: the client has gone.
func (p *Proxy) linger(ctx context.Context) bool {
	p.mu.Lock()
	by := p.slow
	p.mu.Unlock()

	if by == 0 {
		return true
	}

	select {
	case <-ctx.Done():
		return false
	case <-time.After(by):
		return true
	}
}

// Requests gives what was recorded so far.
func (p *Proxy) Requests() []Request {
	p.mu.Lock()
	defer p.mu.Unlock()

	return slices.Clone(p.requests)
}

// Forget forgets what was recorded.
func (p *Proxy) Forget() {
	p.mu.Lock()
	defer p.mu.Unlock()

	p.requests = nil
}
