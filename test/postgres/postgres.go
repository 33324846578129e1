// Package postgres starts throwaway PostgreSQL servers for tests, from the
// installed programs, on a free port of loopback, in a temporary folder. Where
// PostgreSQL is not installed, it is installed with the system's package
// manager first.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// startWithin bounds how long a server may take to come up, crash recovery
// included.
const startWithin = 60 * time.Second

// Server is a PostgreSQL server that can be ended and started again with its
// data, at the same address. It is used by one goroutine.
type Server struct {
	// URL of its database postgres, for a superuser.
	URL string

	bin, dir string
	port     int
	settings []string
	attr     *syscall.SysProcAttr
	process  *exec.Cmd // nil while it does not run
}

// Start makes a server with more settings (NAME=VALUE) and starts it. A commit
// outlives a crash of the server, though not one of the machine: data that is
// thrown away needs no fsync.
func Start(ctx context.Context, settings ...string) (*Server, error) {
	bin, err := programs(ctx)
	if err != nil {
		return nil, err
	}

	dir, err := os.MkdirTemp("", "shiplog-postgres-")
	if err != nil {
		return nil, err
	}

	s := &Server{bin: bin, dir: dir, settings: settings}

	if err := s.create(ctx); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}

	if err := s.Start(ctx); err != nil {
		return nil, errors.Join(err, s.Remove())
	}

	return s, nil
}

func (s *Server) create(ctx context.Context) (err error) {
	if s.attr, err = unprivileged(s.dir); err != nil {
		return err
	}

	if s.port, err = freePort(); err != nil {
		return err
	}

	s.URL = fmt.Sprintf("postgres://postgres@127.0.0.1:%d/postgres?sslmode=disable", s.port)

	initdb := exec.CommandContext(ctx, filepath.Join(s.bin, "initdb"), "-D", s.data(), "-A", "trust", "-U", "postgres", "--locale=C", "-E", "UTF8", "--no-sync")
	initdb.SysProcAttr, initdb.Dir = s.attr, s.dir

	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}

	return nil
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// Start starts a server that was ended, and waits until it answers. One that
// runs is left alone.
func (s *Server) Start(ctx context.Context) error {
	if s.process != nil {
		return nil
	}

	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()

	port := strconv.Itoa(s.port)

	args := []string{"-D", s.data(), "-p", port, "-k", s.dir}
	for _, setting := range append([]string{"listen_addresses=127.0.0.1", "fsync=off", "full_page_writes=off", "max_connections=400"}, s.settings...) {
		args = append(args, "-c", setting)
	}

	process := exec.Command(filepath.Join(s.bin, "postgres"), args...)
	process.SysProcAttr, process.Dir, process.Stdout, process.Stderr = s.attr, s.dir, log, log

	if err := process.Start(); err != nil {
		return fmt.Errorf("start postgres: %w", err)
	}

	s.process = process

	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()

	for {
		ready := exec.CommandContext(ctx, filepath.Join(s.bin, "pg_isready"), "-q", "-h", "127.0.0.1", "-p", port)
		if ready.Run() == nil {
			return nil
		}

		select {
		case <-ctx.Done():
			text, err := os.ReadFile(log.Name())

			return errors.Join(fmt.Errorf("postgres does not come up: %s", text), err, s.Stop())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Stop ends the server and its sessions in order ("fast shutdown"). One that
// does not run is left alone.
func (s *Server) Stop() error { return s.end(syscall.SIGINT) }

// Crash ends the server and its sessions at once; the next start recovers.
func (s *Server) Crash() error {
	err := s.end(syscall.SIGQUIT)

	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.Exited() {
		return nil // it says by its code that it did not end in order
	}

	return err
}

func (s *Server) end(how syscall.Signal) error {
	if s.process == nil {
		return nil
	}

	process := s.process
	s.process = nil

	if err := process.Process.Signal(how); err != nil {
		return fmt.Errorf("end postgres: %w", err)
	}

	if err := process.Wait(); err != nil {
		return fmt.Errorf("postgres ended: %w", err)
	}

	return nil
}

// Remove ends the server and deletes its data.
func (s *Server) Remove() error { return errors.Join(s.Stop(), os.RemoveAll(s.dir)) }

func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}

	addr, ok := listener.Addr().(*net.TCPAddr)
	if !ok {
		return 0, errors.Join(fmt.Errorf("%s has no port", listener.Addr()), listener.Close())
	}

	return addr.Port, listener.Close()
}
