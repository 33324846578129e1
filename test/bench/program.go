package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// token is what the servers want to be shown.
const token = "a-token-for-the-benchmark"

// startTimeout bounds how long a program may take until it serves.
const startTimeout = 2 * time.Minute

// program is a running server: the product, or the limit.
type program struct {
	command *exec.Cmd
	// address is HOST:PORT; tookToStart runs from the start of the process to
	// the line that says that it serves.
	address     string
	tookToStart time.Duration
	output      chan error
}

// start runs the command and waits until it says where it serves.
func start(ctx context.Context, environment []string, name string, args ...string) (*program, error) {
	p := &program{command: exec.CommandContext(ctx, name, args...), output: make(chan error, 1)}
	p.command.Env = append(os.Environ(), environment...)
	p.command.Cancel = func() error { return p.command.Process.Signal(syscall.SIGTERM) }
	p.command.WaitDelay = 20 * time.Second

	pipe, err := p.command.StderrPipe()
	if err != nil {
		return nil, err
	}

	began := time.Now()
	if err := p.command.Start(); err != nil {
		return nil, err
	}

	serving := make(chan string, 1)

	go func() { p.output <- watch(pipe, serving) }()

	select {
	case where := <-serving:
		p.tookToStart = time.Since(began)

		u, err := url.Parse(where)
		if err != nil {
			return nil, errors.Join(err, p.stop())
		}

		p.address = u.Host

		return p, nil
	case err := <-p.output:
		p.output <- nil

		return nil, errors.Join(fmt.Errorf("%s ended before it served", name), err, p.stop())
	case <-time.After(startTimeout):
		return nil, errors.Join(fmt.Errorf("%s does not serve", name), p.stop())
	}
}

// watch reads what the program says on standard error; what is no log entry is
// shown.
func watch(pipe io.Reader, serving chan<- string) error {
	lines := bufio.NewScanner(pipe)
	lines.Buffer(nil, 1<<20)

	for lines.Scan() {
		if rest, ok := strings.CutPrefix(lines.Text(), "serving on "); ok {
			where, _, _ := strings.Cut(rest, " ")
			serving <- where
		} else if !strings.Contains(lines.Text(), `"level":"INFO"`) {
			fmt.Fprintln(os.Stderr, "  |", lines.Text())
		}
	}

	return lines.Err()
}

// stop ends the program and waits for it.
func (p *program) stop() error {
	if err := p.command.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}

	err := <-p.output
	p.output <- nil

	if waited := p.command.Wait(); waited != nil {
		var exit *exec.ExitError
		if !errors.As(waited, &exit) || exit.ExitCode() >= 0 {
			err = errors.Join(err, waited)
		}
	}

	return err
}

func (p *program) pid() int { return p.command.Process.Pid }

// ticks is how many of the kernel's units of CPU time make a second.
const ticks = 100

// cpu is the time that a process has used, and zero when it is gone.
func cpu(pid int) time.Duration {
	fields := stat(pid)
	if len(fields) < 13 {
		return 0
	}

	var sum int64

	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0
		}

		sum += n
	}

	return time.Duration(sum) * time.Second / ticks
}

// stat gives the fields of /proc/PID/stat from the third on.
func stat(pid int) []string {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil
	}

	_, rest, _ := strings.Cut(string(raw), ") ")

	return strings.Fields(rest)
}

// parent is the process that started pid, 0 when it is not known.
func parent(pid int) int {
	fields := stat(pid)
	if len(fields) < 2 {
		return 0
	}

	n, err := strconv.Atoi(fields[1])
	if err != nil {
		return 0
	}

	return n
}

// family is the time that the children of a process have used, by child.
func family(pid int) map[int]time.Duration {
	all := map[int]time.Duration{}

	entries, err := os.ReadDir("/proc")
	if err != nil || pid == 0 {
		return all
	}

	for _, entry := range entries {
		if child, err := strconv.Atoi(entry.Name()); err == nil && parent(child) == pid {
			all[child] = cpu(child)
		}
	}

	return all
}

// since is what a family has used since before.
func since(before, after map[int]time.Duration) (sum time.Duration) {
	for pid, used := range after {
		sum += used - before[pid]
	}

	return sum
}

// resident is the memory of a process, in bytes, 0 when it is gone.
func resident(pid int) int64 { return statm(pid, 1) }

// mapped is how much of that are pages of files, its program above all, which
// the kernel can drop.
func mapped(pid int) int64 { return statm(pid, 2) }

// statm gives a field of that file (proc(5)), in bytes.
func statm(pid, field int) int64 {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0
	}

	fields := strings.Fields(string(raw))
	if len(fields) <= field {
		return 0
	}

	n, err := strconv.ParseInt(fields[field], 10, 64)
	if err != nil {
		return 0
	}

	return n * int64(os.Getpagesize())
}

// load is the machine's load of the last minute.
func load() string {
	raw, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}

	one, _, _ := strings.Cut(string(raw), " ")

	return one
}
