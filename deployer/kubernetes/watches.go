package kubernetes

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/shiplog/shiplog/deployer"
)

// watches are what watches one cluster: one over all namespaces, where this
// server may look into all of them, else one for each namespace that a unit is
// in. They start with their first use.
type watches struct {
	typed   kubernetes.Interface
	log     *slog.Logger
	changed func(deployer.Unit)
	pulse   *pulse

	once sync.Once
	// decided is closed when it is known whether one is enough.
	decided chan struct{}
	began   time.Time
	wg      sync.WaitGroup

	ctx    context.Context //nolint:containedctx // of what runs from the first use to Close
	cancel context.CancelFunc

	mu     sync.Mutex
	closed bool
	wide   bool
	// wanted are the namespaces that units are in, running the watches, by
	// namespace.
	wanted  map[string]bool
	running map[string]*watch
}

func newWatches(typed kubernetes.Interface, log *slog.Logger, changed func(deployer.Unit), p *pulse) *watches {
	ctx, cancel := context.WithCancel(context.Background())

	return &watches{
		ctx: ctx, cancel: cancel, typed: typed, log: log, changed: changed, pulse: p, decided: make(chan struct{}),
		wanted: map[string]bool{}, running: map[string]*watch{},
	}
}

// start starts watching, once. After close it does nothing.
func (w *watches) start() {
	w.once.Do(func() {
		w.mu.Lock()
		w.began = time.Now()
		w.mu.Unlock()

		w.wg.Go(func() { w.pulse.run(w.ctx, w.typed.Discovery().RESTClient()) })
		w.wg.Go(func() { w.decide(w.ctx) })
	})
}

// begin begins the watches.
func (w *watches) begin(wide bool) {
	w.mu.Lock()
	defer w.mu.Unlock()

	w.wide = wide
	close(w.decided)

	if wide {
		w.follow("")

		return
	}

	w.log.Info("this server may not look into all namespaces; those of its targets are watched one by one")

	for _, namespace := range slices.Sorted(maps.Keys(w.wanted)) {
		w.follow(namespace)
	}
}

// follow begins the watch of a namespace. The caller holds the lock.
func (w *watches) follow(namespace string) {
	if w.closed || w.running[namespace] != nil {
		return
	}

	ctx, cancel := context.WithCancel(w.ctx)

	one := &watch{ctx: ctx, cancel: cancel, typed: w.typed, log: w.log, namespace: namespace, changed: w.changed, doubt: w.pulse.doubt}
	one.begin()
	w.running[namespace] = one
}

// add makes a namespace one that units are in.
func (w *watches) add(namespace string) {
	w.mu.Lock()
	defer w.mu.Unlock()

	if w.wanted[namespace] {
		return
	}

	w.wanted[namespace] = true

	if w.known() && !w.wide {
		w.follow(namespace)
	}
}

// keep makes these all the namespaces that units are in.
func (w *watches) keep(namespaces map[string]bool) {
	for namespace := range namespaces {
		w.add(namespace)
	}

	var over []*watch

	w.mu.Lock()
	for namespace := range w.wanted {
		if !namespaces[namespace] {
			delete(w.wanted, namespace)

			if one := w.running[namespace]; one != nil {
				delete(w.running, namespace)

				over = append(over, one)
			}
		}
	}
	w.mu.Unlock()

	for _, one := range over {
		one.close()
	}
}

// known reports whether it was decided what is watched.
func (w *watches) known() bool {
	select {
	case <-w.decided:
		return true
	default:
		return false
	}
}

// settled waits until it is known what is watched, as long as that may take since
// the start. Errors: deployer.ErrUnreachable.
func (w *watches) settled(ctx context.Context) error {
	w.start()

	if err := w.pulse.err(); err != nil || w.known() {
		return err
	}

	w.mu.Lock()
	closed, began := w.closed, w.began
	w.mu.Unlock()

	if closed {
		return errClosed
	}

	bounded, cancel := context.WithDeadline(ctx, began.Add(syncWait))
	defer cancel()

	select {
	case <-w.decided:
		return nil
	case <-bounded.Done():
		if err := ctx.Err(); err != nil {
			return err
		}

		return w.pulse.lost(fmt.Errorf("nothing was heard within %s", syncWait))
	}
}

// errClosed: the deployer watches no more.
var errClosed = fmt.Errorf("the deployer is closed: %w", context.Canceled)

// ready waits until what is to be seen of a namespace is there. Errors:
// deployer.ErrUnreachable.
func (w *watches) ready(ctx context.Context, namespace string) error {
	if err := w.settled(ctx); err != nil {
		return err
	}

	w.add(namespace)

	one := w.of(namespace)
	if one == nil {
		return errClosed
	}

	if err := one.ready(ctx); err != nil {
		return w.pulse.lost(err)
	}

	return nil
}

// all gives the watches that have told what there is; those that are still to do
// so are waited for, as long as they may take. Errors: deployer.ErrUnreachable,
// of one that has not; the others are given.
func (w *watches) all(ctx context.Context) (told []*watch, err error) {
	if err := w.settled(ctx); err != nil {
		return nil, err
	}

	for _, one := range w.seen() {
		if late := one.ready(ctx); late != nil {
			err = w.pulse.lost(late)
		} else {
			told = append(told, one)
		}
	}

	return told, err
}

// seen gives the watches that run.
func (w *watches) seen() []*watch {
	w.mu.Lock()
	defer w.mu.Unlock()

	return slices.Collect(maps.Values(w.running))
}

// anchorsOf gives the anchors of a unit that are seen.
func (w *watches) anchorsOf(u deployer.Unit) (all []*corev1.ConfigMap) {
	for _, one := range w.seen() {
		if one.anchored.HasSynced() {
			all = append(all, one.anchorsOf(u)...)
		}
	}

	return all
}

// podsOf gives the pods of a unit.
func (w *watches) podsOf(u deployer.Unit) (all []*corev1.Pod) {
	for _, one := range w.seen() {
		all = append(all, one.podsOf(u)...)
	}

	return all
}

// workloadsOf gives what runs pods for a unit.
func (w *watches) workloadsOf(u deployer.Unit) (all []metav1.Object) {
	for _, one := range w.seen() {
		all = append(all, one.workloadsOf(u)...)
	}

	return all
}

// close ends the watches and waits for them.
func (w *watches) close() {
	w.once.Do(func() {})

	w.mu.Lock()
	was := w.closed
	w.closed = true
	w.mu.Unlock()

	if was {
		return
	}

	w.cancel()
	w.wg.Wait()

	for _, one := range w.seen() {
		one.close()
	}
}
