//go:build unix

package process

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/shiplog/shiplog/deployer"
)

// Ports for instances come from below the range from which systems take the
// ports of outgoing connections (Linux: 32768 up), so that none is taken
// between its choice and the moment the process listens.
const (
	firstPort = 20000
	lastPort  = 32000
	portTries = 2000
	// lostAfter is how old a reservation must be to count as lost when no
	// anchor names it.
	lostAfter = time.Minute
)

const loopback = "127.0.0.1"

var errNoPort = errors.New("no port is free")

func address(port int) string { return net.JoinHostPort(loopback, strconv.Itoa(port)) }

// reserve takes a port for as long as its file exists, over all servers that
// share the directory. It reports whether it could.
func (d *Deployer) reserve(port int) (bool, error) {
	path := d.portFile(port)

	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, fileMode)
	if errors.Is(err, fs.ErrExist) {
		return false, nil
	}

	if err != nil {
		return false, fmt.Errorf("reserve a port: %w", err)
	}

	if err := f.Close(); err != nil {
		return false, fmt.Errorf("reserve a port: %w", err)
	}

	listener, err := net.Listen("tcp", address(port)) //nolint:noctx // binding a port of loopback waits for nobody
	if err != nil {
		return false, d.release(port) // somebody else's, whatever the reason
	}

	return true, listener.Close()
}

func (d *Deployer) portFile(port int) string {
	return filepath.Join(d.config.Dir, "ports", strconv.Itoa(port))
}

// anyPort reserves a free port.
func (d *Deployer) anyPort() (int, error) {
	for range portTries {
		port := firstPort + rand.IntN(lastPort-firstPort) //nolint:gosec // a port is no secret

		ok, err := d.reserve(port)
		if err != nil || ok {
			return port, err
		}
	}

	return 0, errNoPort
}

// wishedPort reserves the port that is wished for, or another one.
func (d *Deployer) wishedPort(port int) (int, error) {
	if port > 0 {
		ok, err := d.reserve(port)
		if err != nil || ok {
			return port, err
		}
	}

	return d.anyPort()
}

func (d *Deployer) release(port int) error {
	if err := os.Remove(d.portFile(port)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("release a port: %w", err)
	}

	return nil
}

func (a *anchor) ports() []int {
	var all []int
	for _, g := range a.Generations {
		for _, p := range g.Ports {
			all = append(all, p.Listen)
		}

		for _, i := range g.Instances {
			for _, p := range i.Ports {
				all = append(all, p)
			}
		}
	}

	return all
}

// releaseLostPorts gives back what was reserved by a server that died before
// it wrote down what for.
func (d *Deployer) releaseLostPorts(units []deployer.Unit) error {
	entries, err := os.ReadDir(filepath.Join(d.config.Dir, "ports"))
	if err != nil {
		return fmt.Errorf("list the ports: %w", err)
	}

	var named []int
	for _, u := range units {
		dir, err := d.unitDir(u)
		if err != nil {
			return err
		}

		a, _, err := dir.load()
		if err != nil {
			return err
		}

		named = append(named, a.ports()...)
	}

	for _, e := range entries {
		port, err := strconv.Atoi(e.Name())
		if err != nil || slices.Contains(named, port) {
			continue
		}

		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > lostAfter {
			if err := d.release(port); err != nil {
				return err
			}
		}
	}

	return nil
}
