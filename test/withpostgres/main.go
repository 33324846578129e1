// Command withpostgres runs a command with SHIPLOG_TEST_POSTGRES set to a
// Postgres server that may be filled with throwaway databases:
//
//	go run ./test/withpostgres go test ./...
//
// A server named by SHIPLOG_TEST_POSTGRES is used as it is. Otherwise one is
// started from the installed PostgreSQL, on a free port of loopback, in a
// temporary folder, and ended with the command. Where PostgreSQL is not
// installed, it is installed with the system's package manager first.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"os/user"
	"path/filepath"
	"sort"
	"strconv"
	"syscall"
	"time"
)

const variable = "SHIPLOG_TEST_POSTGRES"

func main() {
	code, err := run()
	if err != nil {
		fmt.Fprintln(os.Stderr, "withpostgres:", err)

		code = max(code, 1)
	}

	os.Exit(code)
}

func run() (code int, err error) {
	if len(os.Args) < 2 {
		return 2, errors.New("usage: withpostgres COMMAND [ARGUMENT …]")
	}

	// The command gets the terminal's signals itself; this process only has
	// to stay until it has ended, so that the server is ended too.
	signal.Ignore(os.Interrupt, syscall.SIGTERM)

	url := os.Getenv(variable)
	if url == "" {
		server, err := start()
		if err != nil {
			return 1, err
		}

		defer func() { err = errors.Join(err, server.stop()) }()

		url = server.url
	}

	command := exec.Command(os.Args[1], os.Args[2:]...)
	command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stdout, os.Stderr
	command.Env = append(os.Environ(), variable+"="+url)

	if err := command.Run(); err != nil {
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			return max(exit.ExitCode(), 1), nil
		}

		return 1, err
	}

	return 0, nil
}

type server struct {
	url     string
	dir     string
	process *exec.Cmd
}

func start() (*server, error) {
	bin, err := programs()
	if err != nil {
		return nil, err
	}

	dir, err := os.MkdirTemp("", "shiplog-postgres-")
	if err != nil {
		return nil, err
	}

	attr, err := unprivileged(dir)
	if err != nil {
		return nil, err
	}

	initdb := exec.Command(filepath.Join(bin, "initdb"), "-D", filepath.Join(dir, "data"), "-A", "trust", "-U", "postgres", "--locale=C", "-E", "UTF8", "--no-sync")
	initdb.SysProcAttr, initdb.Dir = attr, dir

	if out, err := initdb.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w\n%s", err, out)
	}

	port, err := freePort()
	if err != nil {
		return nil, err
	}

	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()

	// Data that is thrown away needs no fsync.
	process := exec.Command(filepath.Join(bin, "postgres"), "-D", filepath.Join(dir, "data"), "-p", strconv.Itoa(port), "-k", dir,
		"-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off", "-c", "max_connections=400")
	process.SysProcAttr, process.Dir, process.Stdout, process.Stderr = attr, dir, log, log

	if err := process.Start(); err != nil {
		return nil, fmt.Errorf("start postgres: %w", err)
	}

	s := &server{dir: dir, process: process, url: fmt.Sprintf("postgres://postgres@127.0.0.1:%d/postgres?sslmode=disable", port)}

	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()

	for {
		ready := exec.CommandContext(ctx, filepath.Join(bin, "pg_isready"), "-q", "-h", "127.0.0.1", "-p", strconv.Itoa(port))
		if ready.Run() == nil {
			return s, nil
		}

		select {
		case <-ctx.Done():
			text, _ := os.ReadFile(log.Name())

			return nil, errors.Join(fmt.Errorf("postgres does not come up: %s", text), s.stop())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (s *server) stop() error {
	// SIGINT is Postgres' fast shutdown.
	if err := s.process.Process.Signal(os.Interrupt); err != nil {
		return err
	}

	if err := s.process.Wait(); err != nil {
		return fmt.Errorf("postgres ended: %w", err)
	}

	return os.RemoveAll(s.dir)
}

// programs gives the folder of the newest installed server programs.
func programs() (string, error) {
	if dir := newest(); dir != "" {
		return dir, nil
	}

	if path, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(path), nil
	}

	fmt.Fprintln(os.Stderr, "withpostgres: PostgreSQL is not installed; installing the package postgresql")

	for _, args := range [][]string{{"apt-get", "update"}, {"apt-get", "install", "-y", "--no-install-recommends", "postgresql"}} {
		install := exec.Command(args[0], args[1:]...)
		install.Stdout, install.Stderr = os.Stderr, os.Stderr
		install.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")

		if err := install.Run(); err != nil {
			return "", fmt.Errorf("%v: %w (install PostgreSQL 14 or newer, or set %s)", args, err, variable)
		}
	}

	if dir := newest(); dir != "" {
		return dir, nil
	}

	return "", fmt.Errorf("no PostgreSQL server found; install one, or set %s", variable)
}

func newest() string {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	sort.Slice(found, func(i, j int) bool { return major(found[i]) < major(found[j]) })

	if len(found) == 0 {
		return ""
	}

	return filepath.Dir(found[len(found)-1])
}

func major(path string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path))))

	return n
}

// unprivileged gives the attributes with which Postgres is started: it refuses
// to run as root, so root hands it to the user postgres.
func unprivileged(dir string) (*syscall.SysProcAttr, error) {
	// Its own process group: the terminal's Ctrl-C is for the command.
	attr := &syscall.SysProcAttr{Setpgid: true}
	if os.Getuid() != 0 {
		return attr, nil
	}

	owner, err := user.Lookup("postgres")
	if err != nil {
		return nil, err
	}

	uid, err := strconv.ParseUint(owner.Uid, 10, 32)
	if err != nil {
		return nil, err
	}

	gid, err := strconv.ParseUint(owner.Gid, 10, 32)
	if err != nil {
		return nil, err
	}

	if err := os.Chown(dir, int(uid), int(gid)); err != nil {
		return nil, err
	}

	attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}

	return attr, nil
}

func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer listener.Close()

	return listener.Addr().(*net.TCPAddr).Port, nil
}
