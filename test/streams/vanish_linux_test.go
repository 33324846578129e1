package streams

import (
	"context"
	"errors"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"
)

// pingInterval of the servers whose viewers vanish.
const pingInterval = 2 * time.Second

// noise is how many goroutines and descriptors a server has more or less from
// moment to moment: pollers of its job engine, its connections to the database.
const noise = 40

// Viewers that vanish without a word, of a log that says nothing either, are
// noticed within two ping intervals, and nothing of them is left.
func TestVanishedViewersLeaveNothing(t *testing.T) {
	t.Parallel()

	const viewers = 500 // half of them over each transport

	for _, dialect := range []string{"sqlite", "postgres"} {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()

			c := config(t, dialect)
			c.PingInterval = pingInterval
			a := alone(t, c)
			id := a.deploy("hush", "hush")

			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()

			// One stays, so that the log is read all the while.
			var (
				watching sync.WaitGroup
				line     = make(chan struct{})
				once     sync.Once
			)

			watching.Go(func() {
				stays := &viewer{url: a.url, transport: webSocket, deployment: id, each: func(b batch) error {
					for i := range b.Lines {
						if b.Lines[i].Stream == "CONTAINER" {
							once.Do(func() { close(line) })
						}
					}

					return nil
				}}

				if err := stays.follow(ctx); ctx.Err() == nil {
					t.Error("the viewer that stayed: ", err)
					once.Do(func() { close(line) })
				}
			})
			defer watching.Wait()
			defer cancel()

			<-line

			before := a.measure()
			gone := &dead{}

			for i := range viewers {
				transport := webSocket
				if i%2 == 0 {
					transport = eventStream
				}

				v := &viewer{url: a.url, transport: transport, deployment: id, dial: gone.dial, each: func(batch) error { return nil }}

				watching.Go(func() {
					if err := v.follow(ctx); !errors.Is(err, errCut) && ctx.Err() == nil {
						t.Error("a viewer: ", err)
					}
				})
			}

			until(t, "all viewers are there", func() bool { return a.measure().streams == before.streams+viewers })

			there := a.measure()

			gone.vanish(t)

			since := time.Now()

			var now gauges

			until(t, "what they needed is free again", func() bool {
				now = a.measure()

				return now.streams == before.streams && now.goroutines <= before.goroutines+noise && now.descriptors <= before.descriptors+noise
			})

			t.Logf("before: %v; with %d viewers: %v; %v after they vanished: %v", before, viewers, there, time.Since(since), now)

			if there.descriptors < before.descriptors+viewers {
				t.Errorf("%d viewers, %d descriptors", viewers, there.descriptors-before.descriptors)
			}
		})
	}
}

// dead are connections that can vanish together: no packet reaches them any
// more, so that none is acknowledged, and none is sent.
type dead struct {
	mu    sync.Mutex
	conns []*net.TCPConn
}

func (d *dead) dial(ctx context.Context, address string) (net.Conn, error) {
	var dialer net.Dialer

	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}

	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return nil, errors.New("not TCP")
	}

	d.mu.Lock()
	defer d.mu.Unlock()

	d.conns = append(d.conns, tcp)

	return tcp, nil
}

// vanish lets the kernel drop all that comes for the connections.
func (d *dead) vanish(t *testing.T) {
	t.Helper()

	d.mu.Lock()
	defer d.mu.Unlock()

	// A program of one instruction: return 0, accept none of the packet.
	drop := []syscall.SockFilter{{Code: syscall.BPF_RET | syscall.BPF_K}}

	for _, conn := range d.conns {
		raw, err := conn.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}

		var failed error

		if err := raw.Control(func(fd uintptr) { failed = syscall.AttachLsf(int(fd), drop) }); err != nil || failed != nil { //nolint:staticcheck // it is all that is needed of x/net/bpf
			t.Fatal("let no packet through: ", err, failed)
		}
	}
}
