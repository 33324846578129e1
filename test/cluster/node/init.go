package node

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
)

// Init is the first stage inside: into cgroups of its own, then into a cgroup
// namespace that begins there, then on as Run. Namespaces belong to threads; the
// thread that becomes the new program takes its own along.
func Init(dir string) error {
	runtime.LockOSThread()

	s, err := Read(dir)
	if err != nil {
		return err
	}

	all, err := s.enter()
	if err != nil {
		return err
	}

	if err := syscall.Unshare(syscall.CLONE_NEWCGROUP); err != nil {
		return fmt.Errorf("cgroup namespace: %w", err)
	}

	named := make([]string, len(all))
	for i, h := range all {
		named[i] = h.options
	}

	return syscall.Exec("/proc/self/exe", []string{os.Args[0], "run", dir, strings.Join(named, " ")}, os.Environ())
}

// mounts makes the file systems of the node's own: nothing of it reaches the
// machine, and it sees itself alone.
func mounts(s Spec, cgroups []string) error {
	steps := []struct {
		source, target, kind, data string
		flags                      uintptr
	}{
		{"", "/", "", "", syscall.MS_REC | syscall.MS_PRIVATE}, // away from the machine
		{"", "/", "", "", syscall.MS_REC | syscall.MS_SHARED},  // volumes reach containers
		{"proc", "/proc", "proc", "", 0},
		{"sysfs", "/sys", "sysfs", "", 0},
		{"tmpfs", "/sys/fs/cgroup", "tmpfs", "mode=755", 0},
		{"tmpfs", "/run", "tmpfs", "mode=755", 0},
	}

	for _, step := range steps {
		if err := syscall.Mount(step.source, step.target, step.kind, step.flags, step.data); err != nil {
			return fmt.Errorf("mount %s: %w", step.target, err)
		}
	}

	for _, options := range cgroups {
		if err := mountCgroup(options); err != nil {
			return err
		}
	}

	if err := os.MkdirAll("/run/lock", 0o755); err != nil {
		return err
	}

	// Names are looked up nowhere, and fail at once.
	if err := os.WriteFile("/run/resolv.conf", []byte("nameserver 127.0.0.1\n"), 0o644); err != nil {
		return err
	}

	if err := syscall.Mount("/run/resolv.conf", "/etc/resolv.conf", "", syscall.MS_BIND, ""); err != nil {
		return fmt.Errorf("mount /etc/resolv.conf: %w", err)
	}

	return syscall.Sethostname([]byte(s.Name))
}

// mountCgroup mounts a hierarchy where programs look for it: under its
// controllers' names together, and under each alone.
func mountCgroup(options string) error {
	name := strings.TrimPrefix(options, "none,name=")
	at := filepath.Join("/sys/fs/cgroup", name)

	if err := os.Mkdir(at, 0o755); err != nil {
		return err
	}

	if err := syscall.Mount("cgroup", at, "cgroup", 0, options); err != nil {
		return fmt.Errorf("mount cgroup %s: %w", options, err)
	}

	controllers := strings.Split(name, ",")
	if len(controllers) == 1 {
		return nil
	}

	for _, c := range controllers {
		if err := os.Symlink(name, filepath.Join("/sys/fs/cgroup", c)); err != nil {
			return err
		}
	}

	return nil
}
