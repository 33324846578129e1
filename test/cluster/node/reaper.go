package node

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
)

// reaper starts children and collects every process that ends: as process 1 it
// inherits the orphans of all others. Package os/exec cannot be used beside it,
// each would take the other's dead.
type reaper struct {
	mu      sync.Mutex // held from a start until it is written down
	started *sync.Cond
	ended   map[int]chan syscall.WaitStatus
}

func newReaper() *reaper {
	r := &reaper{ended: map[int]chan syscall.WaitStatus{}}
	r.started = sync.NewCond(&r.mu)

	return r
}

// start starts a command that writes into a log; the channel tells its end.
func (r *reaper) start(command []string, log string) (<-chan syscall.WaitStatus, int, error) {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, 0, err
	}
	defer out.Close()

	in, err := os.Open(os.DevNull)
	if err != nil {
		return nil, 0, err
	}
	defer in.Close()

	r.mu.Lock()
	defer r.mu.Unlock()

	pid, err := syscall.ForkExec(command[0], command, &syscall.ProcAttr{
		Env:   os.Environ(),
		Files: []uintptr{in.Fd(), out.Fd(), out.Fd()},
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return nil, 0, err
	}

	ended := make(chan syscall.WaitStatus, 1)
	r.ended[pid] = ended
	r.started.Broadcast()

	return ended, pid, nil
}

// loop collects for ever.
func (r *reaper) loop() error {
	for {
		var status syscall.WaitStatus

		pid, err := syscall.Wait4(-1, &status, 0, nil)

		switch {
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.ECHILD):
			r.idle()
		case err != nil:
			return fmt.Errorf("wait: %w", err)
		default:
			r.tell(pid, status)
		}
	}
}

// idle waits, without a child to wait for, until one was started.
func (r *reaper) idle() {
	r.mu.Lock()
	defer r.mu.Unlock()

	for len(r.ended) == 0 {
		r.started.Wait()
	}
}

func (r *reaper) tell(pid int, status syscall.WaitStatus) {
	r.mu.Lock()
	defer r.mu.Unlock()

	if ended, ours := r.ended[pid]; ours {
		ended <- status
		delete(r.ended, pid)
	}
}

func describe(status syscall.WaitStatus) string {
	if status.Signaled() {
		return status.Signal().String()
	}

	return fmt.Sprintf("code %d", status.ExitStatus())
}
