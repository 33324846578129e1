package node

import (
	"os"
	"os/exec"
	"strconv"
	"syscall"
)

// Start is the stage that starts host and ends: whoever asked for a node neither
// waits for its end nor keeps its remains.
func Start(dir string) error {
	if err := keepNothing(); err != nil {
		return err
	}

	host := exec.Command("/proc/self/exe", "host", dir)
	host.Args[0] = os.Args[0]
	host.Stdout, host.Stderr, host.Env = os.Stdout, os.Stderr, os.Environ()
	host.SysProcAttr = &syscall.SysProcAttr{Setsid: true}

	if err := host.Start(); err != nil {
		return err
	}

	return host.Process.Release()
}

// keepNothing lets no file that this process was handed pass on to the node,
// which would hold it for its long life: a lock, or the pipe of someone who
// reads to its end. What Go opens is marked already.
func keepNothing() error {
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return err
	}

	for _, entry := range open {
		fd, err := strconv.Atoi(entry.Name())
		if err != nil {
			return err
		}

		if fd > 2 {
			syscall.CloseOnExec(fd)
		}
	}

	return nil
}
