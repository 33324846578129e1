//go:build unix

package process

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// maxOwnLog bounds the log of a detached process; it is begun anew with the
// next one.
const maxOwnLog = 64 << 10

// spawn starts a detached process that looks after dir, unless there is one.
// The caller holds the unit's lock.
//
// The lock is taken here and handed down locked, so that it is never free
// between the decision and the life of the process.
func (d *Deployer) spawn(subcommand, dir, logName string) (err error) {
	lock, ok, err := tryLock(filepath.Join(dir, "lock"))
	if err != nil || !ok {
		return err
	}

	defer func() { err = errors.Join(err, lock.Close()) }()

	logPath := filepath.Join(dir, logName)

	flags := os.O_CREATE | os.O_WRONLY | os.O_APPEND
	if info, err := os.Stat(logPath); err == nil && info.Size() > maxOwnLog {
		flags |= os.O_TRUNC
	}

	log, err := os.OpenFile(logPath, flags, fileMode)
	if err != nil {
		return fmt.Errorf("open the log of %s: %w", subcommand, err)
	}

	defer func() { err = errors.Join(err, log.Close()) }()

	cmd := &exec.Cmd{
		Path: d.config.Program[0],
		Args: append(append([]string{}, d.config.Program...), subcommand, dir),
		// Nothing of the server's environment is for others to see.
		Env: detachedEnvironment(),
		Dir: "/",
		// Everything else of the server's descriptors is closed on exec.
		Stdout: log, Stderr: log, ExtraFiles: []*os.File{lock},
		// A session of its own: no terminal's Ctrl-C reaches it.
		SysProcAttr: &syscall.SysProcAttr{Setsid: true},
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", subcommand, err)
	}

	d.mu.Lock()
	d.children[cmd.Process.Pid] = struct{}{}
	d.mu.Unlock()

	// It is reaped by pid when it has ended; no goroutine waits for a process
	// that outlives the server.
	if err := cmd.Process.Release(); err != nil {
		return fmt.Errorf("let go of %s: %w", subcommand, err)
	}

	return nil
}

// detachedEnvironment keeps the small processes small.
func detachedEnvironment() []string {
	env := []string{"GOGC=25", "GOMEMLIMIT=24MiB", "GOMAXPROCS=2"}
	for _, name := range inherited() {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}

	return env
}

// reap takes away the detached processes of ours that have ended.
func (d *Deployer) reap() {
	d.mu.Lock()
	defer d.mu.Unlock()

	for pid := range d.children {
		if got, err := syscall.Wait4(pid, nil, syscall.WNOHANG, nil); got == pid || err != nil {
			delete(d.children, pid)
		}
	}
}
