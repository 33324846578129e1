//go:build unix

package streams

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/binary"
	"io"
	"net"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	_ "github.com/lib/pq" // the driver
)

// outerBound is how late a line may be on a machine that is busy with other
// things. Without being told, a viewer is a second late at most: how that is
// counted is tested where it is done.
const outerBound = 15 * time.Second

// The listening connections of both replicas are killed every second: viewers
// on either go on, and nothing is lost.
func TestViewersOutliveTheirListener(t *testing.T) {
	t.Parallel()

	c := config(t, "postgres")

	database, err := sql.Open("postgres", c.Database)
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() { database.Close() })

	ctx, stop := context.WithCancel(t.Context())
	killed, ended := 0, make(chan struct{})

	go func() {
		defer close(ended)

		tick := time.NewTicker(time.Second)
		defer tick.Stop()

		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}

			var n int
			if err := database.QueryRowContext(ctx, `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
				WHERE datname = current_database() AND query ILIKE 'LISTEN%'`).Scan(&n); err != nil && ctx.Err() == nil {
				t.Error(err)
			}

			killed += n
		}
	}()

	onBothReplicas(t, c.Database, c.Database)
	stop()

	if <-ended; killed < 5 {
		t.Errorf("only %d connections were killed", killed)
	}

	t.Logf("%d listening connections were killed", killed)
}

// Not one notification reaches a replica: its viewers ask unasked.
func TestViewersNeedNoNotification(t *testing.T) {
	t.Parallel()

	p := newMuffler(t, config(t, "postgres").Database)
	onBothReplicas(t, p.database, p.database)

	if p.dropped.Load() < 5 {
		t.Errorf("only %d notifications were dropped", p.dropped.Load())
	}

	t.Logf("%d notifications were dropped", p.dropped.Load())
}

// onBothReplicas deploys what talks for ten seconds, and follows it on two
// replicas over both transports: one of the replicas does not write it.
func onBothReplicas(t *testing.T, databases ...string) {
	t.Helper()

	const lines, perSecond = 1000, 100

	var replicas []*api

	// One folder for both: either may start what is deployed, and either may be
	// the one that collects its output.
	data := t.TempDir()

	for _, database := range databases {
		c, err := configOf(database, data)
		if err != nil {
			t.Fatal(err)
		}

		c.Log = t.Output()
		replicas = append(replicas, serve(t, c))
	}

	id := replicas[0].deploy("talker", "talk", strconv.Itoa(lines), strconv.Itoa(perSecond))

	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()

	var viewers sync.WaitGroup

	for i, a := range replicas {
		for _, transport := range []string{webSocket, eventStream} {
			viewers.Go(func() {
				r := &record{}
				v := &viewer{url: a.url, transport: transport, deployment: id, each: r.take}

				if err := v.follow(ctx); err != nil {
					t.Errorf("on replica %d over %s after line %d: %v", i, transport, r.last, err)
				} else if err := r.complete(v, lines); err != nil {
					t.Errorf("on replica %d over %s: %v", i, transport, err)
				}

				t.Logf("on replica %d over %s: p50 %v, p99 %v, most %v from the line to the viewer",
					i, transport, r.percentile(.5), r.percentile(.99), r.percentile(1))

				if r.percentile(1) > outerBound {
					t.Errorf("on replica %d over %s a line was %v late", i, transport, r.percentile(1))
				}
			})
		}
	}

	viewers.Wait()
}

// muffler stands before Postgres and lets everything through but
// notifications.
type muffler struct {
	// database is the URL through it.
	database string
	upstream string
	dropped  atomic.Int64
	running  sync.WaitGroup
}

func newMuffler(t *testing.T, database string) *muffler {
	t.Helper()

	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}

	m := &muffler{upstream: u.Host}
	u.Host = listener.Addr().String()
	m.database = u.String()

	m.running.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}

			m.running.Go(func() { m.serve(t, client) })
		}
	})

	t.Cleanup(func() {
		if err := listener.Close(); err != nil {
			t.Error(err)
		}

		m.running.Wait()
	})

	return m
}

func (m *muffler) serve(t *testing.T, client net.Conn) {
	defer client.Close()

	server, err := net.Dial("tcp", m.upstream)
	if err != nil {
		t.Error(err)

		return
	}
	defer server.Close()

	var requests sync.WaitGroup
	defer requests.Wait()

	requests.Go(func() {
		_, _ = io.Copy(server, client) // until either has closed
		_ = server.Close()
	})

	_ = m.answers(client, server) // the same
	_ = client.Close()
}

// notification is the type of that message of Postgres.
const notification = 'A'

// answers passes on what the server says, message by message.
func (m *muffler) answers(client io.Writer, server io.Reader) error {
	var (
		header [5]byte
		answer bytes.Buffer
	)

	for {
		if _, err := io.ReadFull(server, header[:]); err != nil {
			return err
		}

		answer.Reset()
		answer.Write(header[:])

		if _, err := io.CopyN(&answer, server, int64(binary.BigEndian.Uint32(header[1:]))-4); err != nil {
			return err
		}

		if header[0] == notification {
			m.dropped.Add(1)

			continue
		}

		if _, err := client.Write(answer.Bytes()); err != nil {
			return err
		}
	}
}
