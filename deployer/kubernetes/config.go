package kubernetes

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"
)

// Connection says how a cluster is reached. What it holds are references:
// credentials stay where they are.
type Connection struct {
	// InCluster: with the service account of the pod that the server runs in.
	InCluster bool
	// Kubeconfig is the path of a file, Context one of its contexts; its
	// current one when empty.
	Kubeconfig string
	Context    string
}

// Config is what a Deployer needs to know. Zero values take the defaults.
type Config struct {
	// Connections by name.
	Connections map[string]Connection
	// QPS and Burst bound the requests to one cluster (500, 1000), those about
	// objects and those about anchors apart: a small deployment takes seven, and
	// an API server protects itself from more than it can take.
	QPS   float32
	Burst int
	// Deadline of a rollout whose workloads name none (10 minutes, as
	// Kubernetes' own).
	Deadline time.Duration
	// Logger; slog.Default when nil.
	Logger *slog.Logger
}

// Validate says which setting is wrong.
func (c Config) Validate() error {
	for _, name := range slices.Sorted(maps.Keys(c.Connections)) {
		connection := c.Connections[name]

		switch {
		case !dnsLabel.MatchString(name):
			return fmt.Errorf("the connection's name %q is not a DNS label", name)
		case connection.InCluster == (connection.Kubeconfig != ""):
			return fmt.Errorf("the connection %s needs either a kubeconfig file or the cluster that the server runs in", name)
		case connection.InCluster && connection.Context != "":
			return fmt.Errorf("the connection %s has a context and no kubeconfig file", name)
		}
	}

	if c.QPS < 0 || c.Burst < 0 || c.Deadline < 0 {
		return errors.New("a bound of the Kubernetes deployer is negative")
	}

	return nil
}

func (c Config) withDefaults() Config {
	if c.QPS == 0 {
		c.QPS = 500
	}

	if c.Burst == 0 {
		c.Burst = 1000
	}

	if c.Deadline == 0 {
		c.Deadline = 10 * time.Minute
	}

	if c.Logger == nil {
		c.Logger = slog.Default()
	}

	return c
}

// inCluster is how a setting names the cluster that the server runs in.
const inCluster = "in-cluster"

// ParseConnection reads a connection as settings write it: "in-cluster", or the
// path of a kubeconfig file with "#" and a context after it.
func ParseConnection(setting string) (Connection, error) {
	if setting == inCluster {
		return Connection{InCluster: true}, nil
	}

	path, context, _ := strings.Cut(setting, "#")
	if path == "" {
		return Connection{}, fmt.Errorf("want %s or KUBECONFIG[#CONTEXT], not %q", inCluster, setting)
	}

	return Connection{Kubeconfig: path, Context: context}, nil
}
