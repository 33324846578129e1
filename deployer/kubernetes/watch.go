package kubernetes

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"github.com/shiplog/shiplog/deployer"
)

// watch keeps what is seen of the units in one namespace of a cluster, or in all
// of them: their anchors, pods and workloads, trimmed to what is looked at.
type watch struct {
	typed kubernetes.Interface
	log   *slog.Logger
	// namespace, "" for all of them.
	namespace string
	changed   func(deployer.Unit)
	// doubt is told when a watch has ended, for whatever reason.
	doubt func()

	ctx    context.Context //nolint:containedctx // of what runs until close
	cancel context.CancelFunc

	began     time.Time
	stop      chan struct{}
	factories []informers.SharedInformerFactory
	anchored  cache.SharedIndexInformer
	pods      cache.SharedIndexInformer
	workloads []cache.SharedIndexInformer
	// others are the kinds without pods that are watched, by kind. Nothing waits
	// for them.
	others map[string]cache.SharedIndexInformer
	events *chronicle
	wg     sync.WaitGroup
	// warned: the end of a watch was logged, and none has begun again since.
	warned atomic.Bool
	// blind: that of one of the others was.
	blind atomic.Bool
}

// byUnit is the index of everything that is watched.
const byUnit = "unit"

// syncWait is how long a caller waits for the first lists: a cluster that does
// not give them is not reachable.
const syncWait = 5 * time.Second

// syncPoll is how often it is looked whether they are there.
const syncPoll = 10 * time.Millisecond

// begin starts watching.
func (w *watch) begin() {
	w.began, w.stop = time.Now(), make(chan struct{})

	ours := w.factory(labelService + "," + labelEnvironment)
	anchors := w.factory(labelAnchor + "=true")
	others := w.factory(labelService + "," + labelEnvironment + ",!" + labelAnchor)
	w.factories = []informers.SharedInformerFactory{ours, anchors, others}

	w.anchored = w.informer(anchors.Core().V1().ConfigMaps().Informer())
	w.pods = w.informer(ours.Core().V1().Pods().Informer())
	w.workloads = []cache.SharedIndexInformer{
		w.informer(ours.Apps().V1().Deployments().Informer()),
		w.informer(ours.Apps().V1().StatefulSets().Informer()),
		w.informer(ours.Apps().V1().DaemonSets().Informer()),
		w.informer(ours.Apps().V1().ReplicaSets().Informer()),
		w.informer(ours.Batch().V1().Jobs().Informer()),
	}

	w.others = map[string]cache.SharedIndexInformer{
		"ConfigMap": w.prepared(others.Core().V1().ConfigMaps().Informer(), &w.blind),
		"Service":   w.prepared(others.Core().V1().Services().Informer(), &w.blind),
		"Ingress":   w.prepared(others.Networking().V1().Ingresses().Informer(), &w.blind),
	}

	for _, f := range w.factories {
		f.Start(w.stop)
	}

	w.events = newChronicle(w.log, w.happened)

	w.wg.Go(func() { w.events.run(w.ctx, w.typed, w.namespace) })
}

func (w *watch) factory(selector string) informers.SharedInformerFactory {
	return informers.NewSharedInformerFactoryWithOptions(w.typed, 0,
		informers.WithTransform(trim), informers.WithNamespace(w.namespace),
		informers.WithTweakListOptions(func(o *metav1.ListOptions) { o.LabelSelector = selector }),
	)
}

// informer prepares one kind that is waited for.
func (w *watch) informer(i cache.SharedIndexInformer) cache.SharedIndexInformer {
	return w.prepared(i, &w.warned)
}

// prepared prepares one kind: its index, its handler, and what its failures do;
// warned keeps them from being logged again and again.
func (w *watch) prepared(i cache.SharedIndexInformer, warned *atomic.Bool) cache.SharedIndexInformer {
	tell := func(o any) {
		if u, ok := unitOf(o); ok {
			w.changed(u)
		}
	}

	_, handling := i.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: tell, UpdateFunc: func(_, o any) { tell(o) }, DeleteFunc: tell,
	})
	indexing := i.AddIndexers(cache.Indexers{byUnit: func(o any) ([]string, error) {
		u, ok := unitOf(o)
		if !ok {
			return nil, nil
		}

		return []string{indexOf(u)}, nil
	}})
	watching := i.SetWatchErrorHandler(func(_ *cache.Reflector, err error) {
		w.doubt()

		if !warned.Swap(true) {
			w.log.Warn("a watch has ended; it is begun again", "namespace", w.namespace, "error", err)
		}
	})

	// They fail only for an informer that has started.
	for _, err := range []error{handling, indexing, watching} {
		if err != nil {
			w.log.Error("an informer is not ready to start", "error", err)
		}
	}

	return i
}

// close ends the watch and waits for it.
func (w *watch) close() {
	w.cancel()
	close(w.stop)

	for _, f := range w.factories {
		f.Shutdown()
	}

	w.wg.Wait()
}

// synced reports whether the first lists are there.
func (w *watch) synced() bool {
	for _, i := range append([]cache.SharedIndexInformer{w.anchored, w.pods}, w.workloads...) {
		if !i.HasSynced() {
			return false
		}
	}

	return w.events.settled()
}

// ready waits until the first lists are there, as long as they may take since
// the watch began.
func (w *watch) ready(ctx context.Context) error {
	bounded, cancel := context.WithDeadline(ctx, w.began.Add(syncWait))
	defer cancel()

	for !w.synced() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-bounded.Done():
			return fmt.Errorf("what is to be watched%s was not told within %s", in(w.namespace), syncWait)
		case <-time.After(syncPoll):
		}
	}

	w.warned.Store(false)

	return nil
}

func in(namespace string) string {
	if namespace == "" {
		return ""
	}

	return " in the namespace " + namespace
}

// happened tells the unit of an object that an event is about, where that is
// watched. Whoever asks unasked learns of the others.
func (w *watch) happened(h happening) {
	for _, i := range append([]cache.SharedIndexInformer{w.pods}, w.workloads...) {
		o, there, err := i.GetStore().GetByKey(h.namespace + "/" + h.name)
		if err != nil || !there {
			continue
		}

		if u, ok := unitOf(o); ok {
			w.changed(u)
		}
	}
}

// anchors gives all anchors.
func (w *watch) anchors() []*corev1.ConfigMap {
	return all[*corev1.ConfigMap](w.anchored.GetStore().List())
}

// anchorsOf gives the anchors of a unit: one, and those that it left at places
// where it was before.
func (w *watch) anchorsOf(u deployer.Unit) []*corev1.ConfigMap {
	return found[*corev1.ConfigMap](w.anchored, u)
}

// podsOf gives the pods of a unit.
func (w *watch) podsOf(u deployer.Unit) []*corev1.Pod { return found[*corev1.Pod](w.pods, u) }

// workloadsOf gives what runs pods for a unit.
func (w *watch) workloadsOf(u deployer.Unit) []metav1.Object {
	var workloads []metav1.Object
	for _, i := range w.workloads {
		workloads = append(workloads, found[metav1.Object](i, u)...)
	}

	return workloads
}

// other gives an object of one of the other kinds, nil when it is not there;
// not listed as long as nobody knows. A cluster that does not let them be
// watched is served without.
func (w *watch) other(r ref) (o metav1.Object, listed bool) {
	i := w.others[r.Kind]
	if i == nil || !i.HasSynced() {
		return nil, false
	}

	there, _, err := i.GetStore().GetByKey(r.Namespace + "/" + r.Name)
	o, _ = there.(metav1.Object)

	return o, err == nil
}

func found[T any](i cache.SharedIndexInformer, u deployer.Unit) []T {
	objects, err := i.GetIndexer().ByIndex(byUnit, indexOf(u))
	if err != nil {
		return nil // there is such an index
	}

	return all[T](objects)
}

func all[T any](objects []any) []T {
	typed := make([]T, 0, len(objects))

	for _, o := range objects {
		if t, ok := o.(T); ok {
			typed = append(typed, t)
		}
	}

	return typed
}

func indexOf(u deployer.Unit) string { return u.Environment + "/" + u.Service }

// unitOf gives the unit that an object's labels name.
func unitOf(o any) (deployer.Unit, bool) {
	if gone, ok := o.(cache.DeletedFinalStateUnknown); ok {
		o = gone.Obj
	}

	object, ok := o.(metav1.Object)
	if !ok {
		return deployer.Unit{}, false
	}

	u := deployer.Unit{Service: object.GetLabels()[labelService], Environment: object.GetLabels()[labelEnvironment]}

	return u, u.Service != "" && u.Environment != ""
}
