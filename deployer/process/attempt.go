//go:build unix

package process

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// reapPoll is how often a group that is ending is looked at.
const reapPoll = 10 * time.Millisecond

// attempt starts the container and stays until it and all that it made have
// ended and their output is written. Its errors are the shim's own; how the
// container fared is in the state.
func (s *shim) attempt() error {
	s.state.Attempt++
	s.state.StartedAt = time.Now().UTC()
	s.state.StartError, s.state.ProbeError, s.state.Hopeless = "", "", false

	cmd, captures, err := s.start()
	if err != nil {
		s.state.StartError, s.state.Hopeless = startMessage(s.spec.Argv[0], err), hopeless(err)

		return nil
	}

	s.state.Phase, s.state.Process = phaseRunning, cmd.Process.Pid
	s.save()

	var reading sync.WaitGroup
	for _, c := range captures {
		reading.Go(func() {
			if err := c.run(s.write); err != nil {
				s.log.Error("capture output", "error", err)
			}
		})
	}

	waited := make(chan error, 1)

	var waiting sync.WaitGroup
	waiting.Go(func() { waited <- cmd.Wait() })

	runErr := s.attend(waited)
	waiting.Wait()

	sweepErr := s.sweep()
	for _, c := range captures {
		if err := c.finish(); err != nil {
			s.log.Error("bound the last output", "error", err)
		}
	}

	reading.Wait()

	s.state.Process, s.state.Ready = 0, false
	s.state.LastExit = exitOf(cmd.ProcessState, s.state.Attempt)
	if !s.state.EverReady {
		s.state.Crashes++
	}

	return errors.Join(runErr, sweepErr)
}

// start starts the container in a group of its own, with pipes.
func (s *shim) start() (*exec.Cmd, []*capture, error) {
	env := s.environment()

	path, err := findProgram(s.spec.Argv[0], s.spec.WorkDir, env["PATH"])
	if err != nil {
		return nil, nil, err
	}

	cmd := &exec.Cmd{
		Path: path, Args: s.spec.Argv, Dir: s.spec.WorkDir,
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true},
	}
	dieWithShim(cmd.SysProcAttr)

	for name, value := range env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}

	outR, outW, err := os.Pipe()
	if err != nil {
		return nil, nil, fmt.Errorf("make a pipe: %w", err)
	}

	errR, errW, err := os.Pipe()
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("make a pipe: %w", err), outR.Close(), outW.Close())
	}

	cmd.Stdout, cmd.Stderr = outW, errW

	err = cmd.Start()
	closeErr := errors.Join(outW.Close(), errW.Close())

	if err != nil {
		return nil, nil, errors.Join(err, closeErr, outR.Close(), errR.Close())
	}

	if closeErr != nil {
		s.log.Error("close the container's ends of the pipes", "error", closeErr)
	}

	return cmd, []*capture{
		{pipe: outR, stream: streamStdout, attempt: s.state.Attempt},
		{pipe: errR, stream: streamStderr, attempt: s.state.Attempt},
	}, nil
}

// environment is what the container sees: its variables, and nothing
// inherited but PATH, HOME and TMPDIR.
func (s *shim) environment() map[string]string {
	env := map[string]string{}
	for _, name := range inherited() {
		if value, ok := os.LookupEnv(name); ok {
			env[name] = value
		}
	}

	maps.Copy(env, s.spec.Variables)

	return env
}

func inherited() []string { return []string{"PATH", "HOME", "TMPDIR"} }

// attend watches over the running container: readiness, wishes and signals,
// until it has ended.
func (s *shim) attend(waited <-chan error) (err error) {
	ctx, cancel := context.WithCancel(context.Background())
	changes := make(chan readiness)

	var probing sync.WaitGroup
	probing.Go(func() { s.spec.Probe.watch(ctx, changes) })
	defer probing.Wait()
	defer cancel()

	var (
		look  = time.After(0)
		grace <-chan time.Time
	)

	for {
		select {
		case waitErr := <-waited:
			return errors.Join(err, ignoreExit(waitErr))
		case change := <-changes:
			s.state.Ready, s.state.ProbeError = change.Ready, change.Err
			s.state.EverReady = s.state.EverReady || change.Ready
			s.save()
		case <-grace:
			err = errors.Join(err, kill(-s.state.Process, syscall.SIGKILL))
		case sig := <-s.signals:
			err = errors.Join(err, s.heed(sig))
			look = time.After(0)
		case <-s.woken:
			look = time.After(0)
		case <-look:
			s.saveAgain()

			wait := s.stopIn()
			if s.terminated {
				wait = 0
			}

			switch {
			case grace != nil:
				look = nil
			case wait == 0:
				cancel()
				s.state.Ready = false
				s.save()
				err = errors.Join(err, kill(-s.state.Process, syscall.SIGTERM))
				grace, look = time.After(s.spec.Grace), nil
			case wait > 0:
				look = time.After(min(wait, glance))
			default:
				look = time.After(glance)
			}
		}
	}
}

// sweep ends what the container left: at once after a crash, and after the
// rest of the grace when it was asked to stop.
func (s *shim) sweep() error {
	group := -s.state.Process
	deadline := time.Now()

	if s.stopWanted() {
		deadline = deadline.Add(s.spec.Grace)
	}

	poll := time.NewTicker(reapPoll)
	defer poll.Stop()

	for {
		end := !time.Now().Before(deadline)

		left, err := sweepChildren(0, end)
		if err != nil {
			return err
		}

		if end {
			if err := kill(group, syscall.SIGKILL); err != nil {
				return err
			}
		}

		gone := errors.Is(syscall.Kill(group, 0), syscall.ESRCH)
		if gone && !left || time.Now().After(deadline.Add(lastWords)) {
			return nil
		}

		<-poll.C
	}
}

// findProgram looks a command up as a shell would, with the PATH that the
// container gets.
func findProgram(name, workDir, path string) (string, error) {
	if strings.Contains(name, "/") {
		if !filepath.IsAbs(name) {
			name = filepath.Join(workDir, name)
		}

		return name, executable(name)
	}

	err := error(&fs.PathError{Op: "find", Path: name, Err: syscall.ENOENT})

	for _, dir := range filepath.SplitList(path) {
		candidate := filepath.Join(dir, name)
		if !filepath.IsAbs(candidate) {
			candidate = filepath.Join(workDir, candidate)
		}

		switch found := executable(candidate); {
		case found == nil:
			return candidate, nil
		case errors.Is(found, fs.ErrPermission):
			err = found
		}
	}

	return "", err
}

func executable(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}

	if info.IsDir() || info.Mode()&0o111 == 0 {
		return &fs.PathError{Op: "execute", Path: path, Err: syscall.EACCES}
	}

	return nil
}

// startMessage says why a command cannot be started, in words for the user.
func startMessage(command string, err error) string {
	var path *fs.PathError

	switch {
	case errors.As(err, &path) && path.Op == "chdir":
		return fmt.Sprintf("the working directory %s cannot be entered: %v", path.Path, path.Err)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Sprintf("the command %q was not found", command)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Sprintf("the command %q may not be executed", command)
	case errors.Is(err, syscall.ENOEXEC):
		return fmt.Sprintf("the command %q is no program for this machine", command)
	default:
		return fmt.Sprintf("the command %q could not be started: %v", command, err)
	}
}

// hopeless reports whether trying again cannot help. A file that is being
// written (ETXTBSY) or a machine without room is another matter.
func hopeless(err error) bool {
	for _, final := range []error{
		fs.ErrNotExist, fs.ErrPermission, syscall.ENOEXEC, syscall.ENOTDIR, syscall.E2BIG, syscall.EINVAL,
	} {
		if errors.Is(err, final) {
			return true
		}
	}

	return false
}

func exitOf(state *os.ProcessState, attempt int) *exit {
	e := &exit{Attempt: attempt, At: time.Now().UTC()}

	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		e.Signal = signalName(status.Signal())
	} else {
		code := state.ExitCode()
		e.Code = &code
	}

	return e
}

// ignoreExit drops the error that only says how the process ended.
func ignoreExit(err error) error {
	if _, ok := errors.AsType[*exec.ExitError](err); ok {
		return nil
	}

	return err
}
