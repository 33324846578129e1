package life

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// process is one of the machine.
type process struct {
	pid              int
	program, network string
}

// processes gives those that could be read: others end meanwhile.
func processes(t *testing.T) []process {
	t.Helper()

	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}

	var all []process

	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}

		command, commandErr := os.ReadFile(filepath.Join("/proc", entry.Name(), "cmdline"))
		network, networkErr := os.Readlink(filepath.Join("/proc", entry.Name(), "ns", "net"))

		if commandErr == nil && networkErr == nil {
			program, _, _ := strings.Cut(string(command), "\x00")
			all = append(all, process{pid, program, network})
		}
	}

	return all
}

func namespaceOf(t *testing.T, pid int) string {
	t.Helper()

	network, err := os.Readlink("/proc/" + strconv.Itoa(pid) + "/ns/net")
	if err != nil {
		t.Fatal(err)
	}

	return network
}

// leftovers are what has to be gone after the end: found while it runs, so that
// nothing is looked for that never was there.
type leftovers struct {
	dir      string
	outside  string // the machine's network
	pids     map[int]string
	networks map[string]bool
	cgroups  []string
}

func (l *life) leftovers(t *testing.T) leftovers {
	t.Helper()

	own := namespaceOf(t, os.Getpid())
	left := leftovers{dir: l.config.Dir, outside: own, pids: map[int]string{}, networks: map[string]bool{}}
	inside := descendants(t, l.pid(t, "init.pid"))

	for _, p := range processes(t) {
		if inside[p.pid] {
			left.pids[p.pid] = p.program
			left.networks[p.network] = true
		}
	}

	// The node's network and the pod's.
	if len(left.pids) < 10 || len(left.networks) != 2 || left.networks[own] {
		t.Fatalf("the node has processes %v in networks %v; want its components, in its network and the pod's", left.pids, left.networks)
	}

	text, err := os.ReadFile(filepath.Join(l.run(), "cgroups"))
	if err != nil {
		t.Fatal(err)
	}

	left.cgroups = strings.Fields(string(text))

	for _, dir := range left.cgroups {
		if _, err := os.Stat(dir); err != nil {
			t.Fatal(err)
		}
	}

	return left
}

// descendants gives a process and all beneath it.
func descendants(t *testing.T, of int) map[int]bool {
	t.Helper()

	parents := map[int]int{}

	for _, p := range processes(t) {
		stat, err := os.ReadFile("/proc/" + strconv.Itoa(p.pid) + "/stat")
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}

		if err != nil {
			t.Fatal(err)
		}

		// PID (NAME) STATE PARENT …; a name may hold anything.
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))

		if parents[p.pid], err = strconv.Atoi(fields[1]); err != nil {
			t.Fatal(err)
		}
	}

	found := map[int]bool{}

	for pid := range parents {
		for p := pid; p != 0; p = parents[p] {
			if p == of {
				found[pid] = true
			}
		}
	}

	return found
}

func (left leftovers) areGone(t *testing.T) {
	t.Helper()

	for _, p := range processes(t) {
		if left.networks[p.network] || left.pids[p.pid] == p.program && p.program != "" {
			t.Errorf("process %d (%s) is left", p.pid, p.program)
		}
	}

	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}

	if strings.Contains(string(mounts), left.dir) {
		t.Errorf("a mount is left:\n%s", mounts)
	}

	for _, dir := range left.cgroups {
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("cgroup %s is left (%v)", dir, err)
		}
	}

	devices, err := os.ReadFile("/proc/self/net/dev")
	if err != nil {
		t.Fatal(err)
	}

	for _, name := range []string{"node0", "cni0"} {
		if strings.Contains(string(devices), name) {
			t.Errorf("device %s is outside", name)
		}
	}
}
