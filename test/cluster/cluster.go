// Package cluster starts a Kubernetes cluster of one node on this machine, for
// tests: a real API server, scheduler, controllers, kubelet, kube-proxy and
// containers, in namespaces of their own (package node), with a registry. It is
// built from Go modules (test/kubernetes) and Debian packages, without a
// container engine and without a network: nothing leaves the machine, and
// nothing but loopback reaches the cluster.
//
// It needs Linux, root and cgroup v1 hierarchies.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/shiplog/shiplog/test/cluster/node"
)

const (
	// readyWithin bounds a start, and endedWithin an end.
	readyWithin = 2 * time.Minute
	endedWithin = 30 * time.Second
	// answersWithin is how long a cluster that runs may take to prove that it
	// is well, before it is taken for broken and started anew.
	answersWithin = 10 * time.Second

	poll = 50 * time.Millisecond
)

// Cluster is how a cluster is reached.
type Cluster struct {
	// Kubeconfig is the path of the file with which one is its administrator.
	Kubeconfig string
	// Registry (HOST:PORT) takes images, without TLS, and nodes pull from it
	// under the same name.
	Registry string
	// Kubectl is the path of a kubectl that fits.
	Kubectl string
	// App is the path of the program of test workloads (test/cluster/app).
	App string
}

// Up brings the cluster up and waits until its node is ready. One that is up and
// well is left alone, but for the program of test workloads, which is the
// repository's; one that was killed, or is not well, is cleaned away and
// started with what it remembers.
func Up(ctx context.Context, c Config) (*Cluster, error) {
	c, err := c.complete()
	if err != nil {
		return nil, err
	}

	unlock, err := c.alone()
	if err != nil {
		return nil, err
	}
	defer unlock()

	pid, err := node.Running(c.run())
	if err != nil {
		return nil, err
	}

	if pid != 0 {
		p, err := c.ports()
		if err != nil {
			return nil, err
		}

		err = c.wait(ctx, answersWithin, time.Time{})
		if err == nil {
			return c.cluster(p), c.buildApp(ctx)
		}

		c.say("it runs, but is not well (%v): starting it anew", err)
	}

	return c.start(ctx)
}

func (c Config) start(ctx context.Context) (*Cluster, error) {
	begin := time.Now()

	if err := c.packages(ctx); err != nil {
		return nil, err
	}

	if err := c.build(ctx); err != nil {
		return nil, err
	}

	if err := c.end(ctx); err != nil {
		return nil, err
	}

	if err := errors.Join(os.MkdirAll(c.run(), 0o755), os.MkdirAll(c.state(), 0o755)); err != nil {
		return nil, err
	}

	p, err := c.choose()
	if err != nil {
		return nil, err
	}

	if err := c.trust(); err != nil {
		return nil, err
	}

	if err := c.settings(p); err != nil {
		return nil, err
	}

	if err := c.spec(p).Write(); err != nil {
		return nil, err
	}

	started := time.Now()

	if err := c.launch(); err != nil {
		return nil, err
	}

	if err := c.wait(ctx, readyWithin, started); err != nil {
		return nil, errors.Join(fmt.Errorf("%w (the components' logs are in %s)", err, c.run()), c.stop(context.WithoutCancel(ctx)))
	}

	c.say("up in %s, the node itself in %s", took(begin), took(started))

	return c.cluster(p), nil
}

func (c Config) cluster(p ports) *Cluster {
	return &Cluster{
		Kubeconfig: c.kubeconfig(), Registry: "localhost:" + strconv.Itoa(p.Registry),
		Kubectl: c.program("kubectl"), App: c.program("app"),
	}
}

// launch starts the node as a process that outlives this one.
func (c Config) launch() error {
	log, err := os.OpenFile(filepath.Join(c.run(), "node.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()

	start := exec.Command(c.program("noded"), "start", c.run())
	start.Stdout, start.Stderr, start.Dir = log, log, c.Dir
	start.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=" + c.state()}

	if err := start.Run(); err != nil {
		return fmt.Errorf("start the node: %w (%s)", err, log.Name())
	}

	return nil
}

// Down ends the cluster: no process, mount, network or cgroup of it is left.
// What it holds is there at the next Up; unless wipe is set: then it forgets
// everything but the programs that were built.
func Down(ctx context.Context, c Config, wipe bool) error {
	c, err := c.complete()
	if err != nil {
		return err
	}

	unlock, err := c.alone()
	if err != nil {
		return err
	}
	defer unlock()

	begin := time.Now()

	if err := c.end(ctx); err != nil {
		return err
	}

	if wipe {
		if err := errors.Join(os.RemoveAll(c.state()), os.RemoveAll(c.kubeconfig()), os.RemoveAll(filepath.Join(c.Dir, "ports.json"))); err != nil {
			return err
		}
	}

	c.say("down in %s", took(begin))

	return nil
}

// end stops what runs and removes what one life of the node left.
func (c Config) end(ctx context.Context) error {
	if err := c.stop(ctx); err != nil {
		return err
	}

	return os.RemoveAll(c.run())
}

func (c Config) stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, endedWithin)
	defer cancel()

	for how := syscall.SIGTERM; ; how = syscall.SIGKILL {
		pid, err := node.Running(c.run())
		if err != nil {
			return err
		}

		if pid == 0 {
			return node.Clean(ctx, c.run())
		}

		if err := syscall.Kill(pid, how); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("end process %d: %w", pid, err)
		}

		if err := c.gone(ctx, pid); err != nil {
			return err
		}
	}
}

// gone waits until the node's host stage has ended; half the time, so that it
// can be killed when it does not listen.
func (c Config) gone(ctx context.Context, pid int) error {
	patience := time.After(endedWithin / 2)

	for {
		running, err := node.Running(c.run())
		if err != nil || running == 0 {
			return err
		}

		select {
		case <-ctx.Done():
			return fmt.Errorf("process %d does not end: %w", pid, ctx.Err())
		case <-patience:
			return nil
		case <-time.After(poll):
		}
	}
}

// alone keeps others from bringing the same cluster up or down meanwhile.
func (c Config) alone() (unlock func(), err error) {
	if err := os.MkdirAll(c.Dir, 0o755); err != nil {
		return nil, err
	}

	file, err := os.OpenFile(filepath.Join(c.Dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}

	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(err, file.Close())
	}

	return func() { file.Close() }, nil
}
