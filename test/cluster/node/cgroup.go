package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// emptyWithin bounds how long the kernel may take to let go of the cgroups of
// processes that it has killed.
const emptyWithin = 10 * time.Second

// hierarchy is a mounted cgroup v1 hierarchy.
type hierarchy struct {
	// options that mount it: "memory", "cpu,cpuacct", "none,name=systemd".
	options string
	// folder in which this process's cgroup lies.
	own string
}

// hierarchies gives those that this process is in. A machine with cgroup v2
// alone has none.
func hierarchies() ([]hierarchy, error) {
	memberships, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, err
	}

	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}

	var found []hierarchy

	for line := range strings.Lines(string(memberships)) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) != 3 || fields[1] == "" {
			continue
		}

		if at := mountOf(string(mounts), fields[1]); at != "" {
			found = append(found, hierarchy{options: options(fields[1]), own: filepath.Join(at, fields[2])})
		}
	}

	return found, nil
}

func options(controllers string) string {
	if strings.HasPrefix(controllers, "name=") {
		return "none," + controllers
	}

	return controllers
}

// mountOf finds where the hierarchy of some controllers is mounted:
// "… ROOT PLACE … - cgroup SOURCE rw,CONTROLLERS".
func mountOf(mounts, controllers string) string {
	for line := range strings.Lines(mounts) {
		left, right, _ := strings.Cut(strings.TrimSpace(line), " - ")
		place, kind := strings.Fields(left), strings.Fields(right)

		if len(place) < 5 || len(kind) < 3 || kind[0] != "cgroup" {
			continue
		}

		has := strings.Split(kind[2], ",")
		if !slices.ContainsFunc(strings.Split(controllers, ","), func(c string) bool { return !slices.Contains(has, c) }) {
			return place[4]
		}
	}

	return ""
}

// enter puts this process into a cgroup of its own in every hierarchy. The
// paths are written down first: whoever cleans up must find them.
func (s Spec) enter() ([]hierarchy, error) {
	all, err := hierarchies()
	if err != nil {
		return nil, err
	}

	if len(all) == 0 {
		return nil, errors.New("this machine has no cgroup v1 hierarchies, which the node needs")
	}

	var paths bytes.Buffer
	for _, h := range all {
		fmt.Fprintln(&paths, filepath.Join(h.own, s.Cgroup))
	}

	if err := os.WriteFile(filepath.Join(s.Dir, "cgroups"), paths.Bytes(), 0o600); err != nil {
		return nil, err
	}

	for _, h := range all {
		if err := enter(h.own, filepath.Join(h.own, s.Cgroup)); err != nil {
			return nil, fmt.Errorf("cgroup %s: %w", h.options, err)
		}
	}

	return all, nil
}

func enter(own, dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}

	// A new cpuset has no processors and no memory: it takes its parent's.
	for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
		value, err := os.ReadFile(filepath.Join(own, file))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}

		if err != nil {
			return err
		}

		if err := os.WriteFile(filepath.Join(dir, file), value, 0o600); err != nil {
			return err
		}
	}

	return os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte("0"), 0o600) // 0: the writer
}

// Clean removes the cgroups that a node left, once it has ended.
func Clean(ctx context.Context, dir string) error {
	file := filepath.Join(dir, "cgroups")

	paths, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}

	if err != nil {
		return err
	}

	ctx, cancel := context.WithTimeout(ctx, emptyWithin)
	defer cancel()

	for path := range strings.Lines(string(paths)) {
		if err := removeTree(ctx, strings.TrimSpace(path)); err != nil {
			return err
		}
	}

	return os.Remove(file)
}

// removeTree removes a cgroup and those beneath it, deepest first. One that
// still has a dying process is busy for a moment.
func removeTree(ctx context.Context, root string) error {
	for {
		err := removeOnce(root)
		if err == nil || !errors.Is(err, syscall.EBUSY) {
			return err
		}

		select {
		case <-ctx.Done():
			return fmt.Errorf("cgroup stays: %w", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func removeOnce(root string) error {
	var dirs []string

	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}

		if err == nil && entry.IsDir() {
			dirs = append(dirs, path)
		}

		return err
	})
	if err != nil {
		return err
	}

	for _, dir := range slices.Backward(dirs) {
		// Not os.Remove: it hides that a cgroup is busy behind "is a directory".
		if err := syscall.Rmdir(dir); err != nil && !errors.Is(err, syscall.ENOENT) {
			return &fs.PathError{Op: "rmdir", Path: dir, Err: err}
		}
	}

	return nil
}
