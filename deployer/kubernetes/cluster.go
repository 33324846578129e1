package kubernetes

import (
	"fmt"
	"sync"

	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/shiplog/shiplog/deployer"
)

// cluster is a connection with its clients. Making one talks to nobody.
type cluster struct {
	name    string
	dynamic dynamic.Interface
	typed   kubernetes.Interface
	kinds   *restmapper.DeferredDiscoveryRESTMapper
	pulse   *pulse
	watch   *watches
	// read are the anchors of the watch as they were last read, by name: one a
	// unit that ever was.
	read sync.Map
}

func newCluster(name string, connection Connection, config Config, changed func(deployer.Unit)) (*cluster, error) {
	settings, err := connection.load()
	if err != nil {
		return nil, fmt.Errorf("connection %s: %w", name, err)
	}

	settings.QPS, settings.Burst, settings.UserAgent = config.QPS, config.Burst, "shiplog"
	// Deprecations of somebody's manifests are no news of this server's.
	settings.WarningHandler = rest.NoWarnings{}

	c := &cluster{name: name, pulse: newPulse(name)}
	settings.Wrap(c.pulse.wrap)

	if c.typed, err = kubernetes.NewForConfig(settings); err != nil {
		return nil, fmt.Errorf("connection %s: %w", name, err)
	}

	if c.dynamic, err = dynamic.NewForConfig(settings); err != nil {
		return nil, fmt.Errorf("connection %s: %w", name, err)
	}

	c.kinds = restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(c.typed.Discovery()))
	c.watch = newWatches(c.typed, config.Logger.With("connection", name), changed, c.pulse)

	return c, nil
}

func (c Connection) load() (*rest.Config, error) {
	if c.InCluster {
		return rest.InClusterConfig()
	}

	return clientcmd.NewNonInteractiveDeferredLoadingClientConfig(
		&clientcmd.ClientConfigLoadingRules{ExplicitPath: c.Kubeconfig},
		&clientcmd.ConfigOverrides{CurrentContext: c.Context},
	).ClientConfig()
}
