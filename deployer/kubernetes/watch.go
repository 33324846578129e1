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

// watch keeps what is seen of the units of one cluster: their anchors, pods and
// workloads, trimmed to what is looked at. It starts with its first use.
type watch struct {
	typed   kubernetes.Interface
	log     *slog.Logger
	changed func(deployer.Unit)

	once      sync.Once
	stop      chan struct{}
	factories []informers.SharedInformerFactory
	anchored  cache.SharedIndexInformer
	pods      cache.SharedIndexInformer
	workloads []cache.SharedIndexInformer
	// failing: the server has not answered a watch lately.
	failing atomic.Bool
}

// byUnit is the index of everything that is watched.
const byUnit = "unit"

// syncWait is how long a caller waits for the first lists: a cluster that does
// not give them is not reachable.
const syncWait = 5 * time.Second

func newWatch(typed kubernetes.Interface, log *slog.Logger, changed func(deployer.Unit)) *watch {
	return &watch{typed: typed, log: log, changed: changed, stop: make(chan struct{})}
}

// start starts watching, once. After close it does nothing.
func (w *watch) start() {
	w.once.Do(func() {
		ours := w.factory(labelService + "," + labelEnvironment)
		anchors := w.factory(labelAnchor + "=true")
		w.factories = []informers.SharedInformerFactory{ours, anchors}

		w.anchored = w.informer(anchors.Core().V1().ConfigMaps().Informer())
		w.pods = w.informer(ours.Core().V1().Pods().Informer())
		w.workloads = []cache.SharedIndexInformer{
			w.informer(ours.Apps().V1().Deployments().Informer()),
			w.informer(ours.Apps().V1().StatefulSets().Informer()),
			w.informer(ours.Apps().V1().DaemonSets().Informer()),
			w.informer(ours.Apps().V1().ReplicaSets().Informer()),
			w.informer(ours.Batch().V1().Jobs().Informer()),
		}

		for _, f := range w.factories {
			f.Start(w.stop)
		}
	})
}

func (w *watch) factory(selector string) informers.SharedInformerFactory {
	return informers.NewSharedInformerFactoryWithOptions(w.typed, 0,
		informers.WithTransform(trim),
		informers.WithTweakListOptions(func(o *metav1.ListOptions) { o.LabelSelector = selector }),
	)
}

// informer prepares one kind: its index, its handler, and what its failures do.
func (w *watch) informer(i cache.SharedIndexInformer) cache.SharedIndexInformer {
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
		if !w.failing.Swap(true) {
			w.log.Warn("a watch has ended; it is begun again", "error", err)
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
	w.once.Do(func() {})

	select {
	case <-w.stop:
		return
	default:
		close(w.stop)
	}

	for _, f := range w.factories {
		f.Shutdown()
	}
}

// ready waits until the first lists are there, and asks the server whether it
// is there when a watch has ended lately.
func (w *watch) ready(ctx context.Context) error {
	w.start()

	if len(w.factories) == 0 {
		return fmt.Errorf("the deployer is closed: %w", context.Canceled)
	}

	bounded, cancel := context.WithTimeout(ctx, syncWait)
	defer cancel()

	synced := []cache.InformerSynced{w.anchored.HasSynced, w.pods.HasSynced}
	for _, i := range w.workloads {
		synced = append(synced, i.HasSynced)
	}

	if !cache.WaitForCacheSync(bounded.Done(), synced...) {
		return fmt.Errorf("the cluster has not answered within %s", syncWait)
	}

	if w.failing.Load() {
		if err := w.typed.Discovery().RESTClient().Get().AbsPath("/readyz").Do(bounded).Error(); err != nil {
			return fmt.Errorf("the cluster does not answer: %w", err)
		}

		w.failing.Store(false)
	}

	return nil
}

// anchors gives all anchors.
func (w *watch) anchors(ctx context.Context) ([]*corev1.ConfigMap, error) {
	if err := w.ready(ctx); err != nil {
		return nil, err
	}

	return all[*corev1.ConfigMap](w.anchored.GetStore().List()), nil
}

// anchorsOf gives the anchors of a unit: one, and those that it left at places
// where it was before.
func (w *watch) anchorsOf(ctx context.Context, u deployer.Unit) ([]*corev1.ConfigMap, error) {
	if err := w.ready(ctx); err != nil {
		return nil, err
	}

	return found[*corev1.ConfigMap](w.anchored, u), nil
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
