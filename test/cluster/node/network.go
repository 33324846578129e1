package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"
)

// network makes the node's devices: loopback, and one end of a pair of virtual
// Ethernet devices that carries its address. (The kind "dummy" would do, but
// kernels of small machines are built without it.) No route leads out.
func network(s Spec) error {
	commands := []string{
		"link set lo up",
		"link add node0 type veth peer name node0p",
		"link set node0p up",
		"link set node0 up",
		"addr add " + s.Address + " dev node0",
	}

	for _, route := range s.Routes {
		commands = append(commands, "route add "+route+" dev node0")
	}

	for _, command := range commands {
		if out, err := exec.Command("ip", strings.Fields(command)...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %s: %w: %s", command, err, out)
		}
	}

	if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o600); err != nil {
		return err
	}

	// Only kernels that filter bridges at all have it, and it is on there.
	err := os.WriteFile("/proc/sys/net/bridge/bridge-nf-call-iptables", []byte("1"), 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}

	return err
}
