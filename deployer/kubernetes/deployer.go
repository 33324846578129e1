package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/shiplog/shiplog/deployer"
	"github.com/shiplog/shiplog/internal/fault"
)

// Deployer runs snapshots in the namespaces of clusters.
type Deployer struct {
	config   Config
	clusters map[string]*cluster

	mu sync.Mutex
	// looks are the last looks at rollouts under way, by unit.
	looks map[deployer.Unit]look
	// written are the anchors as this process last wrote them, which the
	// watch may not have seen yet.
	written map[deployer.Unit]anchored
	// places are where units are, as far as it was said.
	places map[deployer.Unit]deployer.Place
	// wakes are the channels of Wake that live.
	wakes map[*wakes]bool
	// tails follow the runs of containers, by key.
	tails map[string]*tail
	// whole are the runs of which everything has come.
	whole  map[string]deployer.Unit
	closed bool
	wg     sync.WaitGroup
}

var _ deployer.Deployer = (*Deployer)(nil)

// New makes a deployer. It reads the kubeconfig files and talks to nobody.
func New(config Config) (*Deployer, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}

	d := &Deployer{
		config: config.withDefaults(), clusters: map[string]*cluster{},
		looks: map[deployer.Unit]look{}, written: map[deployer.Unit]anchored{}, places: map[deployer.Unit]deployer.Place{},
		wakes: map[*wakes]bool{}, tails: map[string]*tail{},
		whole: map[string]deployer.Unit{},
	}

	for _, name := range slices.Sorted(maps.Keys(config.Connections)) {
		c, err := newCluster(name, config.Connections[name], d.config, d.changed)
		if err != nil {
			return nil, err
		}

		d.clusters[name] = c
	}

	return d, nil
}

// Close ends what watches the clusters, and waits for it. A nil deployer has
// nothing to end.
func (d *Deployer) Close() {
	if d == nil {
		return
	}

	d.mu.Lock()
	d.closed = true

	for _, t := range d.tails {
		t.cancel()
	}
	d.mu.Unlock()

	for _, c := range d.clusters {
		c.watch.close()
	}

	d.wg.Wait()
}

// dnsLabel is what names of units and connections are.
var dnsLabel = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

func validUnit(u deployer.Unit) error {
	if !dnsLabel.MatchString(u.Environment) {
		return fault.Invalid("environment", "the environment's name %q is not a DNS label", u.Environment)
	}

	if !dnsLabel.MatchString(u.Service) {
		return fault.Invalid("service", "the service's name %q is not a DNS label", u.Service)
	}

	return nil
}

// site is a unit in its place.
type site struct {
	deployer.Unit
	*cluster

	namespace string
}

// at gives where an act goes.
func (d *Deployer) at(act deployer.Act) (site, error) {
	if err := validUnit(act.Unit); err != nil {
		return site{}, err
	}

	c, ok := d.clusters[act.Connection]
	if !ok {
		return site{}, fault.Invalid("target.connection", "this server has no connection %q; it has %s", act.Connection, d.named())
	}

	if !dnsLabel.MatchString(act.Binding.Namespace) {
		return site{}, fault.Invalid("target.namespace", "%q is not the name of a namespace", act.Binding.Namespace)
	}

	d.mu.Lock()
	d.places[act.Unit] = deployer.Place{Connection: act.Connection, Namespace: act.Binding.Namespace}
	d.mu.Unlock()
	c.watch.add(act.Binding.Namespace)

	return site{Unit: act.Unit, cluster: c, namespace: act.Binding.Namespace}, nil
}

// Look says where units are, all of them: what is seen elsewhere is what they
// have left there. Connections that this server does not have are somebody
// else's to look at.
func (d *Deployer) Look(places map[deployer.Unit]deployer.Place) {
	namespaces := map[string]map[string]bool{}
	for name := range d.clusters {
		namespaces[name] = map[string]bool{}
	}

	for _, p := range places {
		if all := namespaces[p.Connection]; all != nil {
			all[p.Namespace] = true
		}
	}

	d.mu.Lock()
	d.places = maps.Clone(places)
	d.mu.Unlock()

	for name, c := range d.clusters {
		c.watch.keep(namespaces[name])
	}
}

func (d *Deployer) named() string {
	if len(d.clusters) == 0 {
		return "none"
	}

	return strings.Join(slices.Sorted(maps.Keys(d.clusters)), ", ")
}

// errNotApplied: Rollout was asked for an act that has not been applied, or
// that another one has followed.
var errNotApplied = errors.New("the unit is another deployment's; apply the act first")

// fence refuses an act of an owner who has been replaced.
func (a *anchor) fence(act deployer.Act) error {
	if act.Epoch < a.Epoch {
		return fmt.Errorf("epoch %d after %d: %w", act.Epoch, a.Epoch, deployer.ErrFenced)
	}

	return nil
}

// Units lists what is anchored in the clusters that can be reached.
func (d *Deployer) Units(ctx context.Context) ([]deployer.Unit, error) {
	all, err := d.anchors(ctx)
	if err != nil {
		return nil, err
	}

	var units []deployer.Unit
	for u, a := range all {
		if !a.empty() {
			units = append(units, u)
		}
	}

	return units, nil
}
