package cluster

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
)

// defaultAPIPort and defaultRegistryPort are taken where they are free; any
// others otherwise.
const (
	defaultAPIPort      = 16443
	defaultRegistryPort = 16444
)

// Config says which cluster is meant. Two clusters run beside each other when
// their folders differ.
type Config struct {
	// Dir holds what the cluster keeps. By default CLUSTER_DIR, or else
	// shiplog/cluster in the user's folder of caches. Short: sockets lie beneath.
	Dir string
	// Built holds the programs, which clusters may share; by default Dir/built.
	Built string
	// APIPort and RegistryPort on loopback. By default those that the cluster
	// had before, or else 16443 and 16444, or else free ones.
	APIPort, RegistryPort int
	// Kubelet is further settings of the kubelet, lines of its configuration.
	Kubelet string
	// Progress is told what takes long; nil: nobody.
	Progress io.Writer
}

// complete fills in the defaults.
func (c Config) complete() (Config, error) {
	if c.Dir == "" {
		c.Dir = os.Getenv("CLUSTER_DIR")
	}

	if c.Dir == "" {
		caches, err := os.UserCacheDir()
		if err != nil {
			return c, err
		}

		c.Dir = filepath.Join(caches, "shiplog", "cluster")
	}

	dir, err := filepath.Abs(c.Dir)
	if err != nil {
		return c, err
	}

	c.Dir = dir

	if c.Built == "" {
		c.Built = filepath.Join(dir, "built")
	}

	if c.Progress == nil {
		c.Progress = io.Discard
	}

	return c, nil
}

// run holds what belongs to one life of the node: lock, logs, sockets.
func (c Config) run() string { return filepath.Join(c.Dir, "run") }

// state holds what the cluster remembers from one life to the next.
func (c Config) state() string { return filepath.Join(c.Dir, "state") }

func (c Config) kubeconfig() string { return filepath.Join(c.Dir, "kubeconfig") }

// cgroup is the name of the node's cgroups: another for every folder.
func (c Config) cgroup() string {
	sum := sha256.Sum256([]byte(c.Dir))

	return "shiplog-" + hex.EncodeToString(sum[:4])
}

func (c Config) say(format string, args ...any) {
	fmt.Fprintf(c.Progress, "cluster: "+format+"\n", args...)
}

// ports are what a cluster listens on; it keeps them over its lives.
type ports struct {
	API      int `json:"api"`
	Registry int `json:"registry"`
}

// ports gives the ports that a cluster has taken; none yet: zeros.
func (c Config) ports() (p ports, err error) {
	text, err := os.ReadFile(filepath.Join(c.Dir, "ports.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return p, nil
	}

	if err != nil {
		return p, err
	}

	return p, json.Unmarshal(text, &p)
}

// choose takes ports: those that are asked for, those that it had, the usual
// ones, any.
func (c Config) choose() (p ports, err error) {
	had, err := c.ports()
	if err != nil {
		return p, err
	}

	if p.API, err = choose(c.APIPort, had.API, defaultAPIPort); err != nil {
		return p, err
	}

	if p.Registry, err = choose(c.RegistryPort, had.Registry, defaultRegistryPort); err != nil {
		return p, err
	}

	text, err := json.Marshal(p)
	if err != nil {
		return p, err
	}

	return p, os.WriteFile(filepath.Join(c.Dir, "ports.json"), text, 0o600)
}

func choose(asked, had, usual int) (int, error) {
	if asked != 0 {
		return listenOnce(asked)
	}

	for _, port := range []int{had, usual} {
		if port == 0 {
			continue
		}

		if found, err := listenOnce(port); err == nil {
			return found, nil
		}
	}

	return listenOnce(0)
}

// listenOnce gives a port if it is free; 0: any that is.
func listenOnce(port int) (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
	if err != nil {
		return 0, err
	}
	defer listener.Close()

	return listener.Addr().(*net.TCPAddr).Port, nil
}
