package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
)

// Host is the stage outside. It ends, with all that is inside, at SIGTERM.
func Host(dir string) (err error) {
	// init is to die with this process, which the kernel measures by the thread
	// that started it: this one, for as long as the process lives.
	runtime.LockOSThread()

	s, err := Read(dir)
	if err != nil {
		return err
	}

	held, err := lock(dir)
	if err != nil {
		return err
	}
	defer held.Close()

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()

	closeAll, err := s.listen()
	if err != nil {
		return err
	}
	defer closeAll()

	inside := exec.CommandContext(ctx, "/proc/self/exe", "init", dir)
	inside.Args[0] = os.Args[0]
	inside.Stdout, inside.Stderr = os.Stdout, os.Stderr
	inside.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC,
		Setsid:     true,
		Pdeathsig:  syscall.SIGKILL,
	}

	if err := inside.Start(); err != nil {
		return fmt.Errorf("start the node: %w", err)
	}

	err = os.WriteFile(filepath.Join(dir, "init.pid"), []byte(strconv.Itoa(inside.Process.Pid)), 0o600)
	if err != nil {
		return errors.Join(err, inside.Process.Kill(), inside.Wait())
	}

	err = inside.Wait()
	if ctx.Err() != nil {
		err = nil // it was asked to end
	}

	// The command's context may be over; what is left must be cleaned anyway.
	return errors.Join(err, Clean(context.Background(), dir))
}

// listen opens the machine's ports.
func (s Spec) listen() (closeAll func(), err error) {
	var closers []func()

	closeAll = func() {
		for _, c := range closers {
			c()
		}
	}

	for _, f := range s.Forwards {
		c, err := forward("tcp", "127.0.0.1:"+strconv.Itoa(f.Port), "unix", s.socket(f.Name))
		if err != nil {
			closeAll()

			return nil, fmt.Errorf("forward %s: %w", f.Name, err)
		}

		closers = append(closers, c)
	}

	return closeAll, nil
}
