//go:build unix

package process

import (
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"syscall"
	"time"
)

const (
	// glance is how often a shim looks for a wish to stop by itself, should
	// a wake be lost.
	glance = time.Second
	// soundRun is how long an attempt must last for the backoff to begin
	// anew.
	soundRun = 30 * time.Second
)

// RunShim is the hidden subcommand `process-shim DIR`: it runs one container
// of one instance until it is told to stop, and gives the exit code.
func RunShim(args []string) int {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	if len(args) != 1 {
		log.Error("process-shim takes the directory of a run")

		return 2
	}

	// The container dies with the thread that starts it: this goroutine keeps
	// its thread until the process ends.
	runtime.LockOSThread()

	dir := runDir(args[0])

	return whileLocked(dir.lock(), log, func() error { return runShim(dir, log) })
}

func runShim(dir runDir, log *slog.Logger) (err error) {
	s := &shim{dir: dir, log: log}
	if found, err := readJSON(dir.spec(), &s.spec); err != nil || !found {
		return errors.Join(errors.New("there is no run here"), err)
	}

	if s.out, err = openSegments(string(dir), s.spec.SegmentBytes, s.spec.Segments); err != nil {
		return err
	}

	woken, control, err := listenControl(string(dir))
	if err != nil {
		return err
	}

	s.woken = woken
	// The goroutine behind woken ends with the pipe.
	defer func() {
		err = errors.Join(err, control.Close(), s.out.close())
		for range woken {
		}
	}()

	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGCHLD)
	signal.Ignore(syscall.SIGINT, syscall.SIGHUP, syscall.SIGPIPE)
	defer signal.Stop(signals)

	s.signals = signals

	return s.supervise()
}

// shim is the supervisor of one run. All fields but out belong to the one
// goroutine that supervises.
type shim struct {
	dir     runDir
	spec    runSpec
	state   runState
	log     *slog.Logger
	woken   <-chan struct{}
	signals <-chan os.Signal
	// terminated: a SIGTERM came. unsaved: the state on disk is an old one.
	terminated, unsaved bool

	// mu guards out, to which both streams write, and losing: the last write
	// failed.
	mu     sync.Mutex
	out    *segmentWriter
	losing bool
}

func (s *shim) supervise() error {
	if err := s.begin(); err != nil {
		return err
	}

	backoff := s.spec.BackoffFirst

	for {
		if stop, err := s.pause(0); err != nil || stop {
			s.end()

			return err
		}

		started := time.Now()
		if err := s.attempt(); err != nil {
			s.end()

			return err
		}

		if time.Since(started) >= soundRun {
			backoff = s.spec.BackoffFirst
		}

		if s.stopWanted() {
			s.end()

			return nil
		}

		s.state.Phase = phaseBackoff
		s.save()

		if stop, err := s.pause(backoff); err != nil || stop {
			s.end()

			return err
		}

		backoff = min(backoff*2, s.spec.BackoffMax)
	}
}

// begin ends what an earlier shim left and takes over its counts.
func (s *shim) begin() error {
	earlier := s.dir.readState()
	boot := bootID()

	if earlier.Shim > 0 && earlier.Boot == boot && earlier.Phase != phaseStopped {
		if err := endSession(earlier.Shim); err != nil {
			return err
		}
	}

	if err := adoptOrphans(); err != nil {
		return err
	}

	s.state = earlier
	s.state.Shim, s.state.Boot, s.state.Process = os.Getpid(), boot, 0
	s.state.Phase, s.state.Ready = phaseStarting, false
	s.save()

	return nil
}

func (s *shim) end() {
	s.state.Phase, s.state.Ready, s.state.Process = phaseStopped, false, 0
	s.save()
}

// save writes the state. A disk that is full is no reason to end a container:
// it is tried again.
func (s *shim) save() {
	err := writeJSON(s.dir.state(), s.state, false)
	if err != nil && !s.unsaved {
		s.log.Error("the state is not written; trying on", "error", err)
	}

	s.unsaved = err != nil
}

func (s *shim) saveAgain() {
	if s.unsaved {
		s.save()
	}
}

// pause waits, and reports whether the run has to stop.
func (s *shim) pause(d time.Duration) (bool, error) {
	end := time.After(d)

	for !s.stopWanted() {
		select {
		case <-end:
			return s.stopWanted(), nil
		case <-s.woken:
		case sig := <-s.signals:
			if err := s.heed(sig); err != nil {
				return false, err
			}
		case <-time.After(glance):
			s.saveAgain()
		}
	}

	return true, nil
}

// heed notes a SIGTERM and reaps on SIGCHLD.
func (s *shim) heed(sig os.Signal) error {
	if sig == syscall.SIGTERM {
		s.terminated = true

		return nil
	}

	_, err := sweepChildren(s.state.Process, false)

	return err
}

// stopWanted reports whether it is time to stop.
func (s *shim) stopWanted() bool { return s.terminated || s.stopIn() == 0 }

// stopIn gives the time until the run has to stop: negative when nobody wants
// it to.
func (s *shim) stopIn() time.Duration {
	var wish stopWish

	found, err := readJSON(s.dir.stop(), &wish)
	switch {
	case err != nil:
		// Half a wish, after a power loss, is a wish.
		return 0
	case !found:
		return -1
	}

	return max(0, time.Until(wish.NotBefore))
}
