package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/client-go/tools/cache"

	"github.com/shiplog/shiplog/deployer"
	"github.com/shiplog/shiplog/internal/fault"
	"github.com/shiplog/shiplog/internal/spec"
)

// anchored is an anchor as it stands in a cluster; a resourceVersion of "" says
// that it does not.
type anchored struct {
	*anchor

	site    site
	version string
	// uid of the ConfigMap.
	uid string
}

// errRaced: somebody has written the anchor since it was read.
var errRaced = errors.New("the anchor has changed")

// load reads the anchor from the cluster itself.
func (s site) load(ctx context.Context) (anchored, error) {
	m, err := s.typed.CoreV1().ConfigMaps(s.namespace).Get(ctx, anchorName(s.Unit), metav1.GetOptions{})

	switch {
	case apierrors.IsNotFound(err):
		return anchored{anchor: &anchor{}, site: s}, nil
	case err != nil:
		return anchored{}, refusal("the anchor", err)
	}

	a, err := readAnchor(m)
	if err != nil {
		return anchored{}, err
	}

	return anchored{anchor: a, site: s, version: m.ResourceVersion, uid: string(m.UID)}, nil
}

// save writes the anchor, if nobody has written it since it was read.
// Errors: errRaced. After any other error it may have been written.
func (d *Deployer) save(ctx context.Context, a *anchored) error {
	m, err := a.write(a.site, a.version)
	if err != nil {
		return err
	}

	configMaps := a.site.typed.CoreV1().ConfigMaps(a.site.namespace)
	options := managedBy(a.site.Unit)

	var now *corev1.ConfigMap
	if a.version == "" {
		now, err = configMaps.Create(ctx, m, metav1.CreateOptions{FieldManager: options})
	} else {
		now, err = configMaps.Update(ctx, m, metav1.UpdateOptions{FieldManager: options})
	}

	switch {
	case apierrors.IsConflict(err), apierrors.IsAlreadyExists(err), a.version != "" && apierrors.IsNotFound(err):
		return fmt.Errorf("%w: %w", errRaced, err)
	case apierrors.IsNotFound(err):
		return fault.New(fault.InvalidInput, "there is no namespace %s in %s: create it, or give the target the permission %s", a.site.namespace, a.site.name, spec.AllowNamespaces).At("target.namespace")
	case err != nil:
		return refusal("the anchor", err)
	}

	a.version, a.uid = now.ResourceVersion, string(now.UID)
	d.remember(*a)

	return nil
}

// remember keeps the anchor as this process last wrote it, until the watch has
// seen it.
func (d *Deployer) remember(a anchored) {
	d.mu.Lock()
	defer d.mu.Unlock()

	// The act goes on with its own: it notes there what it has written.
	copied := *a.anchor
	if copied.Target != nil {
		target := *copied.Target
		target.Held = maps.Clone(target.Held)
		copied.Target = &target
	}

	d.written[a.site.Unit] = anchored{anchor: &copied, site: a.site, version: a.version, uid: a.uid}
}

// newer gives the later of two states of one unit's anchor. An environment
// whose target has changed leaves an anchor at the old place: the epoch grows
// over all of them.
func newer(a, b anchored) anchored {
	switch {
	case a.anchor == nil:
		return b
	case b.anchor == nil:
		return a
	case a.site.name != b.site.name || a.site.namespace != b.site.namespace:
		if b.Epoch > a.Epoch {
			return b
		}

		return a
	}

	if order, err := resourceversion.CompareResourceVersion(a.version, b.version); err == nil && order < 0 {
		return b
	}

	return a
}

// anchors gives the units' anchors as far as they have been seen: those of the
// watches, and what this process wrote itself. Of a cluster that is not there
// nothing is seen.
func (d *Deployer) anchors(ctx context.Context) (map[deployer.Unit]anchored, error) {
	var (
		all  = map[deployer.Unit]anchored{}
		mu   sync.Mutex
		each sync.WaitGroup
	)

	for _, c := range d.clusters {
		each.Go(func() {
			watches, err := c.watch.all(ctx)
			if err != nil {
				d.config.Logger.DebugContext(ctx, "a cluster does not say what it has", "connection", c.name, "error", err)
			}

			mu.Lock()
			defer mu.Unlock()

			for _, one := range watches {
				d.gather(ctx, c, one.anchors(), all)
			}
		})
	}

	each.Wait()

	if err := ctx.Err(); err != nil {
		return nil, err
	}

	d.mu.Lock()
	defer d.mu.Unlock()

	for u, own := range d.written {
		seen := all[u]
		all[u] = newer(seen, own)

		if seen.anchor != nil && all[u] == seen {
			delete(d.written, u)
		}
	}

	return all, nil
}

// gather adds what was seen of one cluster.
func (d *Deployer) gather(ctx context.Context, c *cluster, seen []*corev1.ConfigMap, all map[deployer.Unit]anchored) {
	for _, m := range seen {
		a, err := c.anchoredIn(m)
		if err != nil {
			d.config.Logger.WarnContext(ctx, "an anchor that cannot be read is left alone", "connection", c.name, "namespace", m.Namespace, "name", m.Name, "error", err)

			continue
		}

		all[a.site.Unit] = newer(all[a.site.Unit], a)
	}
}

// anchorOf gives one unit's anchor as far as it has been seen. The place where
// the unit is has to be there; of others, what they have told counts.
// Errors: deployer.ErrUnreachable.
func (d *Deployer) anchorOf(ctx context.Context, u deployer.Unit) (found anchored, err error) {
	d.mu.Lock()
	place, said := d.places[u]
	d.mu.Unlock()

	var missing error

	for name, c := range d.clusters {
		switch {
		case said && place.Connection == name:
			err = c.watch.ready(ctx, place.Namespace)
		case !said:
			_, err = c.watch.all(ctx)
		default:
			err = nil
		}

		if err != nil {
			missing = errors.Join(missing, fmt.Errorf("connection %s: %w", c.name, err))
		}

		for _, m := range c.watch.anchorsOf(u) {
			a, err := c.anchoredIn(m)
			if err != nil {
				return anchored{}, err
			}

			found = newer(found, a)
		}
	}

	d.mu.Lock()
	defer d.mu.Unlock()

	found = newer(found, d.written[u])
	if missing != nil && (said || found.anchor == nil) {
		return anchored{}, missing
	}

	return found, nil
}

// anchoredIn reads an anchor that the watch has found. Nobody changes what it
// gives.
func (c *cluster) anchoredIn(m *corev1.ConfigMap) (anchored, error) {
	u := deployer.Unit{Service: m.Labels[labelService], Environment: m.Labels[labelEnvironment]}
	if m.Name != anchorName(u) {
		return anchored{}, fmt.Errorf("the labels of %s name another unit", m.Name)
	}

	key := cache.ObjectName{Namespace: m.Namespace, Name: m.Name}

	if known, ok := c.read.Load(key); ok {
		if a, ok := known.(anchored); ok && a.version == m.ResourceVersion {
			return a, nil
		}
	}

	a, err := readAnchor(m)
	if err != nil {
		return anchored{}, err
	}

	read := anchored{anchor: a, site: site{Unit: u, cluster: c, namespace: m.Namespace}, version: m.ResourceVersion, uid: string(m.UID)}
	c.read.Store(key, read)

	return read, nil
}
