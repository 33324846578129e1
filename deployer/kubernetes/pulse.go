package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"

	"github.com/shiplog/shiplog/deployer"
)

const (
	// pulseEvery is how often a cluster is asked whether it is there, and
	// pulseWait how long it may take to answer: a watch that says nothing does
	// not tell a quiet cluster from one that is out of reach.
	pulseEvery = 5 * time.Second
	pulseWait  = 5 * time.Second
	// pulseAgain is how often one is asked that did not answer.
	pulseAgain = time.Second
	// requestWait bounds every other request but watches and output that is
	// followed: an API server gives up after a minute, an admission webhook
	// after half of one.
	requestWait = time.Minute
)

// pulse knows whether a cluster answers. As soon as it does not, requests that
// wait for it are given up.
type pulse struct {
	name string
	bell chan struct{}

	mu       sync.Mutex
	down     error
	waiting  map[int]context.CancelCauseFunc
	sequence int
}

func newPulse(name string) *pulse {
	return &pulse{name: name, bell: make(chan struct{}, 1), waiting: map[int]context.CancelCauseFunc{}}
}

// err says why the cluster is not there; nil when it is, or not known yet.
func (p *pulse) err() error {
	p.mu.Lock()
	defer p.mu.Unlock()

	return p.down
}

// doubt asks for a look now.
func (p *pulse) doubt() { ring(p.bell) }

// run asks until ctx ends.
func (p *pulse) run(ctx context.Context, client rest.Interface) {
	for ctx.Err() == nil {
		p.learn(p.ask(ctx, client))

		next := pulseEvery
		if p.err() != nil {
			next = pulseAgain
		}

		timer := time.NewTimer(next)

		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-p.bell:
		}

		timer.Stop()
	}
}

// pulsing marks the pulse's own requests, which nothing but their time bounds.
type pulsing struct{}

// ask asks whether the cluster is there.
func (p *pulse) ask(ctx context.Context, client rest.Interface) error {
	bounded, cancel := context.WithTimeout(context.WithValue(ctx, pulsing{}, true), pulseWait)
	defer cancel()

	err := client.Get().AbsPath("/readyz").Do(bounded).Error()
	if ctx.Err() != nil {
		return nil
	}

	// A cluster that refuses to say how it is answers, too.
	var status apierrors.APIStatus
	if errors.As(err, &status) && status.Status().Code < http.StatusInternalServerError {
		return nil
	}

	return err
}

// lost is the error of a request that was not answered.
func (p *pulse) lost(err error) error {
	return fmt.Errorf("the cluster %s: %w: %w", p.name, deployer.ErrUnreachable, err)
}

// learn notes what came of asking.
func (p *pulse) learn(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()

	if err == nil {
		p.down = nil

		return
	}

	p.down = p.lost(err)

	for _, cancel := range p.waiting {
		cancel(p.down)
	}
}

// begin bounds a request, and notes it as one that waits for the cluster.
func (p *pulse) begin(ctx context.Context) (context.Context, context.CancelFunc, error) {
	p.mu.Lock()
	defer p.mu.Unlock()

	if p.down != nil {
		return nil, nil, p.down
	}

	bounded, stop := context.WithTimeout(ctx, requestWait)
	bounded, cancel := context.WithCancelCause(bounded)

	p.sequence++
	number := p.sequence
	p.waiting[number] = cancel

	return bounded, func() {
		p.mu.Lock()
		delete(p.waiting, number)
		p.mu.Unlock()

		cancel(context.Canceled)
		stop()
	}, nil
}

// wrap makes a client's transport one that gives up with the pulse.
func (p *pulse) wrap(next http.RoundTripper) http.RoundTripper {
	return &bounding{next: next, pulse: p}
}

type bounding struct {
	next  http.RoundTripper
	pulse *pulse
}

// RoundTrip sends one request. What streams is bounded by who reads it.
func (b *bounding) RoundTrip(r *http.Request) (*http.Response, error) {
	query := r.URL.Query()
	if r.Context().Value(pulsing{}) != nil || query.Has("watch") || query.Has("follow") {
		return b.next.RoundTrip(r)
	}

	ctx, done, err := b.pulse.begin(r.Context())
	if err != nil {
		return nil, err
	}

	answer, err := b.next.RoundTrip(r.WithContext(ctx))
	if err != nil {
		if r.Context().Err() == nil {
			b.pulse.doubt()

			err = b.pulse.lost(err)
		}

		done()

		return nil, err
	}

	answer.Body = &bounded{ReadCloser: answer.Body, asked: r.Context(), pulse: b.pulse, done: done}

	return answer, nil
}

// bounded is the body of an answer whose request ends with it.
type bounded struct {
	io.ReadCloser

	asked context.Context //nolint:containedctx // of the request whose body it is
	pulse *pulse
	done  context.CancelFunc
}

func (b *bounded) Read(into []byte) (int, error) {
	n, err := b.ReadCloser.Read(into)
	if err != nil && !errors.Is(err, io.EOF) && b.asked.Err() == nil {
		b.pulse.doubt()

		err = b.pulse.lost(err)
	}

	return n, err
}

func (b *bounded) Close() error {
	err := b.ReadCloser.Close()
	b.done()

	return err
}
