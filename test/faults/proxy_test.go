package faults

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
)

// proxy stands before Postgres and can lose answers, fall silent, or be gone.
type proxy struct {
	database string // the URL through the proxy
	upstream string
	addr     string

	mu       sync.Mutex
	listener net.Listener
	links    map[*link]struct{}
	victim   *victim
	silent   chan struct{} // not nil while nothing gets through; closed to end it
	garbled  bool          // answers are replaced by what is none
	running  sync.WaitGroup
}

// victim is the transaction that loses an answer: the first one of which a
// statement holds the key.
type victim struct {
	key  []byte
	lose int64 // which answer, from 1; 0 loses none
	last bool  // lose the answer to COMMIT
	// How it is lost: by a reset instead of an end, or because from then on
	// nothing gets through on any connection.
	rst, mute bool

	link    atomic.Pointer[link]
	answers atomic.Int64
	lost    atomic.Bool
	muted   chan struct{} // closed when nothing gets through
	over    atomic.Bool
}

// newProxy stands before the database; it ends with the test.
func newProxy(t *testing.T, database string) *proxy {
	t.Helper()

	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}

	p := &proxy{upstream: u.Host, addr: "127.0.0.1:0", links: map[*link]struct{}{}}
	if err := p.open(); err != nil {
		t.Fatal(err)
	}

	u.Host = p.addr
	p.database = u.String()

	t.Cleanup(func() {
		p.speak()

		if err := p.shut(); err != nil {
			t.Error(err)
		}

		p.running.Wait()
	})

	return p
}

// open takes connections, at the same address as before.
func (p *proxy) open() error {
	listener, err := net.Listen("tcp", p.addr)
	if err != nil {
		return err
	}

	p.mu.Lock()
	defer p.mu.Unlock()

	p.listener, p.addr = listener, listener.Addr().String()

	p.running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}

			p.running.Go(func() { p.serve(conn) })
		}
	})

	return nil
}

// shut takes no more connections and cuts those that are there.
func (p *proxy) shut() error {
	p.mu.Lock()
	defer p.mu.Unlock()

	err := p.listener.Close()
	if errors.Is(err, net.ErrClosed) {
		err = nil
	}

	for l := range p.links {
		l.cut(false)
	}

	return err
}

// hush lets nothing through, in no direction, without a word.
func (p *proxy) hush() {
	p.mu.Lock()
	defer p.mu.Unlock()

	p.silent = make(chan struct{})
}

// speak ends the silence. What was sent meanwhile gets through.
func (p *proxy) speak() {
	p.mu.Lock()
	defer p.mu.Unlock()

	if p.silent != nil {
		close(p.silent)
		p.silent = nil
	}
}

// garble lets answers be messages that Postgres does not have, or no more.
func (p *proxy) garble(yes bool) {
	p.mu.Lock()
	defer p.mu.Unlock()

	p.garbled = yes
}

func (p *proxy) garbles() bool {
	p.mu.Lock()
	defer p.mu.Unlock()

	return p.garbled
}

// forget ends the silence for new connections only: nothing more is heard of
// those that are there, as when a router has lost them.
func (p *proxy) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()

	for l := range p.links {
		l.deaf.Store(true)
	}

	if p.silent != nil {
		close(p.silent)
		p.silent = nil
	}
}

// await waits while it is silent.
func (p *proxy) await() {
	p.mu.Lock()
	silent := p.silent
	p.mu.Unlock()

	if silent != nil {
		<-silent
	}
}

// aim chooses the next victim.
func (p *proxy) aim(v *victim) {
	p.mu.Lock()
	defer p.mu.Unlock()

	p.victim = v
}

func (p *proxy) aimed() *victim {
	p.mu.Lock()
	defer p.mu.Unlock()

	return p.victim
}

// link is one connection through the proxy.
type link struct {
	proxy          *proxy
	client, server net.Conn
	once           sync.Once
	deaf           atomic.Bool
	gone           chan struct{} // closed when it is cut
}

// await waits while nothing gets through.
func (l *link) await() {
	l.proxy.await()

	if l.deaf.Load() {
		<-l.gone
	}
}

func (p *proxy) serve(client net.Conn) {
	p.await()

	server, err := net.Dial("tcp", p.upstream)
	if err != nil {
		_ = client.Close() // the database is gone, and so is its proxy

		return
	}

	l := &link{proxy: p, client: client, server: server, gone: make(chan struct{})}

	p.mu.Lock()
	p.links[l] = struct{}{}
	p.mu.Unlock()

	var both sync.WaitGroup

	both.Go(func() { l.requests() })
	both.Go(func() { l.answers() })
	both.Wait()

	p.mu.Lock()
	delete(p.links, l)
	p.mu.Unlock()
}

// cut ends the connection on both sides.
func (l *link) cut(rst bool) {
	l.once.Do(func() {
		if tcp, ok := l.client.(*net.TCPConn); ok && rst {
			_ = tcp.SetLinger(0) // it makes a close a reset
		}

		_ = l.client.Close()
		_ = l.server.Close()
		close(l.gone)
	})
}

func (l *link) requests() {
	defer l.cut(false)

	buffer := make([]byte, 1<<16)

	for {
		n, err := l.client.Read(buffer)
		if err != nil {
			return
		}

		l.await()

		if v := l.proxy.aimed(); v != nil && bytes.Contains(buffer[:n], v.key) {
			v.link.CompareAndSwap(nil, l)
		}

		if _, err := l.server.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// ready is the message by which Postgres ends an answer.
const ready = 'Z'

// answers passes on what the server says, answer by answer.
func (l *link) answers() {
	defer l.cut(false)

	var (
		header [5]byte
		answer bytes.Buffer
	)

	for {
		if _, err := io.ReadFull(l.server, header[:]); err != nil {
			return
		}

		answer.Write(header[:])

		if _, err := io.CopyN(&answer, l.server, int64(binary.BigEndian.Uint32(header[1:]))-4); err != nil {
			return
		}

		l.await()

		if v := l.proxy.aimed(); header[0] == ready && l.loses(v, answer.Bytes()[answer.Len()-1]) {
			if !v.mute {
				l.cut(v.rst)

				return
			}

			l.proxy.hush()
			close(v.muted)
			l.await()
		}

		// Everything up to the end of an answer is held back, so that it is
		// lost as a whole; the start-up asks for words in between.
		if header[0] == ready || header[0] == 'R' {
			content := answer.Bytes()
			if l.proxy.garbles() {
				content = []byte("?\x00\x00\x00\x10/srv/secret\x00")
			}

			if _, err := l.client.Write(content); err != nil {
				return
			}

			answer.Reset()
		}
	}
}

// loses counts an answer of the victim and reports whether it is the one to be
// lost. An answer with the status I is that of COMMIT.
func (l *link) loses(v *victim, status byte) bool {
	if v == nil || v.link.Load() != l || v.over.Load() {
		return false
	}

	n := v.answers.Add(1)
	if status == 'I' {
		v.over.Store(true)
	}

	if n == v.lose || v.last && status == 'I' {
		v.lost.Store(true)
		v.over.Store(true)

		return true
	}

	return false
}
