package node

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestForwardEndsHalves: an answer arrives after the question's end, and
// closing ends what is open.
func TestForwardEndsHalves(t *testing.T) {
	t.Parallel()

	far, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()

	go answer(far)

	socket := filepath.Join(t.TempDir(), "s")

	closeIt, err := forward("unix", socket, "tcp", far.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer closeIt()

	conn := dial(t, socket)

	if _, err := io.WriteString(conn, "question"); err != nil {
		t.Fatal(err)
	}

	if err := conn.CloseWrite(); err != nil {
		t.Fatal(err)
	}

	if got, err := io.ReadAll(conn); err != nil || string(got) != "answer to question" {
		t.Errorf("%q, %v", got, err)
	}

	open := dial(t, socket)

	closeIt()

	// The end, or a reset: no data, and no waiting.
	if got, _ := io.ReadAll(open); len(got) != 0 {
		t.Errorf("%q after the end", got)
	}
}

// answer answers when the question has ended.
func answer(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}

		if question, err := io.ReadAll(conn); err == nil {
			io.WriteString(conn, "answer to "+string(question)) //nolint:errcheck // the reader judges
		}

		conn.Close()
	}
}

func dial(t *testing.T, socket string) *net.UnixConn {
	t.Helper()

	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() { conn.Close() })

	return conn
}

// TestLockIsAskedWithoutTaking: whoever asks must not keep a node from starting.
func TestLockIsAskedWithoutTaking(t *testing.T) {
	t.Parallel()

	dir := t.TempDir()

	for range 2 { // no file, then a file that nobody holds
		if pid, err := Running(dir); err != nil || pid != 0 {
			t.Fatalf("nobody runs, and is %d (%v)", pid, err)
		}

		if err := os.WriteFile(filepath.Join(dir, "lock"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSpecTellsAllThatIsWrong(t *testing.T) {
	t.Parallel()

	err := Spec{
		Dir:        "/" + strings.Repeat("d", 100),
		Forwards:   []Forward{{Name: "api"}, {Name: "x"}},
		Components: []Component{{Name: "a", After: []string{"b"}}, {Name: "b", After: []string{"a"}}},
	}.Validate()

	for _, want := range []string{"api.sock is longer than", "a waits for b"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not told: %v", want, err)
		}
	}

	if strings.Contains(err.Error(), "b waits for a") {
		t.Errorf("told, and right: %v", err)
	}
}

func TestMountsAreFoundByControllers(t *testing.T) {
	t.Parallel()

	const mounts = `24 1 0:20 / /sys rw shared:1 - sysfs sysfs rw
30 24 0:25 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
31 24 0:26 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct
32 24 0:27 / /sys/fs/cgroup/systemd rw shared:10 master:3 - cgroup cgroup rw,xattr,name=systemd
`

	for controllers, want := range map[string]string{
		"cpu,cpuacct": "/sys/fs/cgroup/cpu,cpuacct", "name=systemd": "/sys/fs/cgroup/systemd", "memory": "",
	} {
		if got := mountOf(mounts, controllers); got != want {
			t.Errorf("%s is mounted at %q, want %q", controllers, got, want)
		}
	}
}
