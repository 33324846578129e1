package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// needs are the programs that a node starts, and the Debian packages that have
// them.
func needs() map[string]string {
	return map[string]string{
		"/usr/bin/containerd": "containerd",
		"/usr/bin/ctr":        "containerd",
		"/usr/sbin/runc":      "runc",
		"/usr/lib/cni/bridge": "containernetworking-plugins",
		"/usr/sbin/iptables":  "iptables",
		"/usr/sbin/nft":       "nftables",
		"/usr/sbin/conntrack": "conntrack",
		"/usr/sbin/ethtool":   "ethtool",
		"/usr/bin/mount":      "mount",
		"/usr/sbin/ip":        "iproute2",
	}
}

// packages installs what is not there.
func (c Config) packages(ctx context.Context) error {
	if os.Getuid() != 0 {
		return errors.New("a node needs root: namespaces, cgroups, mounts (or set SHIPLOG_TEST_KUBECONFIG to a cluster that you have)")
	}

	missing := map[string]bool{}

	for program, name := range needs() {
		if _, err := os.Stat(program); err != nil {
			missing[name] = true
		}
	}

	if len(missing) == 0 {
		return nil
	}

	names := slices.Sorted(maps.Keys(missing))
	install := append([]string{"apt-get", "install", "-y", "-q", "--no-install-recommends"}, names...)

	c.say("installing the Debian packages that a node needs: %s", strings.Join(names, " "))

	for _, args := range [][]string{{"apt-get", "update", "-q"}, install} {
		command := exec.CommandContext(ctx, args[0], args[1:]...)
		command.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")

		if out, err := command.CombinedOutput(); err != nil {
			return fmt.Errorf("%v: %w\n%s", args, err, out)
		}
	}

	return nil
}
