package kubernetes

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
)

// chronicle keeps the events of a namespace, or of all of them, as long as the cluster does (an
// hour). A list replaces it at once, and changes come in their order, so that
// whoever has been told up to a version has missed nothing before it: an
// informer, which takes up a list one by one in any order, would not do.
type chronicle struct {
	log     *slog.Logger
	changed func(happening)

	mu     sync.Mutex
	told   map[types.UID]happening
	topics map[topic]map[types.UID]bool
	// listed: the first list was there. refused: the last one was not given.
	listed, refused bool
}

func newChronicle(log *slog.Logger, changed func(happening)) *chronicle {
	return &chronicle{log: log, changed: changed, told: map[types.UID]happening{}, topics: map[topic]map[types.UID]bool{}}
}

// run follows the events of a namespace, "" for all of them, until ctx ends. A
// server that does not give
// them costs the logs their lines, and nothing else.
func (c *chronicle) run(ctx context.Context, typed kubernetes.Interface, namespace string) {
	events := typed.CoreV1().Events(namespace)
	follow := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			list, err := events.List(ctx, o)
			c.note(ctx, err)

			return list, err
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (apiwatch.Interface, error) {
			changes, err := events.Watch(ctx, o)
			c.note(ctx, err)

			return changes, err
		},
	}

	ctx = klog.NewContext(ctx, klog.Logger{}) // note says what goes wrong

	cache.NewReflectorWithOptions(follow, &corev1.Event{}, c, cache.ReflectorOptions{}).RunWithContext(ctx)
}

func (c *chronicle) note(ctx context.Context, err error) {
	c.mu.Lock()
	before := c.refused
	c.refused = err != nil
	c.mu.Unlock()

	if err != nil && !before && ctx.Err() == nil {
		c.log.WarnContext(ctx, "the cluster does not give its events; logs go without them", "error", err)
	}
}

// settled reports whether the events are there, or are not to be had.
func (c *chronicle) settled() bool {
	c.mu.Lock()
	defer c.mu.Unlock()

	return c.listed || c.refused
}

// about gives the events about any of the topics after a version, in order.
func (c *chronicle) about(topics []topic, after int64) []happening {
	c.mu.Lock()
	defer c.mu.Unlock()

	found := map[types.UID]happening{}

	for _, t := range topics {
		for uid := range c.topics[t] {
			if h := c.told[uid]; h.version > after {
				found[uid] = h
			}
		}
	}

	all := make([]happening, 0, len(found))
	for _, h := range found {
		all = append(all, h)
	}

	slices.SortFunc(all, func(a, b happening) int { return cmp.Compare(a.version, b.version) })

	return all
}

// take takes up an event; it says whether it is to be told. The caller holds
// the lock.
func (c *chronicle) take(h happening) bool {
	before, known := c.told[h.uid]
	if known && !h.worth(before) {
		return false
	}

	c.told[h.uid] = h

	for _, t := range h.topics() {
		if c.topics[t] == nil {
			c.topics[t] = map[types.UID]bool{}
		}

		c.topics[t][h.uid] = true
	}

	return true
}

// drop forgets an event. The caller holds the lock.
func (c *chronicle) drop(uid types.UID) {
	for _, t := range c.told[uid].topics() {
		delete(c.topics[t], uid)

		if len(c.topics[t]) == 0 {
			delete(c.topics, t)
		}
	}

	delete(c.told, uid)
}

// Add, Update, Delete, Replace and Resync are what a reflector asks for.
func (c *chronicle) Add(o any) error { return c.Update(o) }

// Update takes up a change.
func (c *chronicle) Update(o any) error {
	e, ok := o.(*corev1.Event)
	if !ok {
		return nil
	}

	h, ok := happened(e)
	if !ok {
		return nil
	}

	c.mu.Lock()
	tell := c.take(h)
	c.mu.Unlock()

	if tell {
		c.changed(h)
	}

	return nil
}

// Delete forgets an event whose time is over.
func (c *chronicle) Delete(o any) error {
	if e, ok := o.(*corev1.Event); ok {
		c.mu.Lock()
		defer c.mu.Unlock()

		c.drop(e.UID)
	}

	return nil
}

// Replace takes up a list.
func (c *chronicle) Replace(all []any, _ string) error {
	c.mu.Lock()
	defer c.mu.Unlock()

	there := map[types.UID]bool{}

	for _, o := range all {
		if e, ok := o.(*corev1.Event); ok {
			if h, ok := happened(e); ok {
				there[h.uid] = true
				c.take(h)
			}
		}
	}

	for uid := range c.told {
		if !there[uid] {
			c.drop(uid)
		}
	}

	c.listed = true

	return nil
}

// Resync has nothing to do.
func (c *chronicle) Resync() error { return nil }
