package node

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
)

// forward takes connections at one address and brings each to another, until
// it is closed; closing ends the connections, too.
func forward(fromNet, from, toNet, to string) (closeIt func(), err error) {
	listener, err := net.Listen(fromNet, from)
	if err != nil {
		return nil, err
	}

	f := &forwarder{toNet: toNet, to: to, open: map[net.Conn]bool{}}

	f.running.Go(func() { f.accept(listener) })

	return func() {
		listener.Close()
		f.closeAll()
		f.running.Wait()
	}, nil
}

type forwarder struct {
	toNet, to string

	running sync.WaitGroup

	mu     sync.Mutex
	closed bool
	open   map[net.Conn]bool
}

func (f *forwarder) accept(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}

		if err != nil {
			fmt.Fprintln(os.Stderr, "forward:", err)

			continue
		}

		f.running.Go(func() { f.serve(conn) })
	}
}

// serve carries one connection. A side that has ended its half leaves the other
// half open: answers may still be under way.
func (f *forwarder) serve(conn net.Conn) {
	if !f.keep(conn) {
		return
	}
	defer f.drop(conn)

	far, err := net.Dial(f.toNet, f.to)
	if err != nil {
		return // not there yet, or gone: the caller sees the end, as of a closed port
	}

	if !f.keep(far) {
		return
	}
	defer f.drop(far)

	var halves sync.WaitGroup

	halves.Go(func() { pipe(far, conn) })
	halves.Go(func() { pipe(conn, far) })
	halves.Wait()
}

// halfCloser is a connection whose writing half can be ended alone.
type halfCloser interface{ CloseWrite() error }

func pipe(to, from net.Conn) {
	_, err := io.Copy(to, from)
	if half, ok := to.(halfCloser); ok && err == nil {
		err = half.CloseWrite()
	}

	if err != nil { // one direction is broken: so is the connection
		to.Close()
		from.Close()
	}
}

func (f *forwarder) keep(conn net.Conn) bool {
	f.mu.Lock()
	defer f.mu.Unlock()

	if f.closed {
		conn.Close()

		return false
	}

	f.open[conn] = true

	return true
}

func (f *forwarder) drop(conn net.Conn) {
	f.mu.Lock()
	defer f.mu.Unlock()

	conn.Close()
	delete(f.open, conn)
}

func (f *forwarder) closeAll() {
	f.mu.Lock()
	defer f.mu.Unlock()

	f.closed = true
	for conn := range f.open {
		conn.Close()
	}
}
