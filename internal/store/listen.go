package store

import (
	"context"
	"net"
	"strings"
	"time"

	"github.com/lib/pq"
)

const (
	// pingEvery is how often a connection that says nothing is asked whether
	// it lives, and pingTimeout how long it may take to answer: longer, so
	// that the time of one that lives is renewed before it is over.
	pingEvery   = 10 * time.Second
	pingTimeout = 15 * time.Second
)

// Listen waits for the commits of other replicas until ctx ends and wakes as
// for our own. It is a hint only: after a reconnect it wakes everything.
// On an embedded database it just waits for ctx.
func (s *Store) Listen(ctx context.Context) error {
	if s.Embedded() {
		<-ctx.Done()

		return nil
	}

	listener := pq.NewDialListener(listenDialer{}, s.dsn, 100*time.Millisecond, 5*time.Second, func(event pq.ListenerEventType, err error) {
		if err != nil {
			s.log.WarnContext(ctx, "listening for commits", "event", event, "error", err)
		}
	})

	// Close can only say that it was closed before. It also ends a Listen
	// that waits for the database.
	stop := context.AfterFunc(ctx, func() { _ = listener.Close() })
	defer func() {
		if stop() {
			_ = listener.Close()
		}
	}()

	if err := listener.Listen(Channel); err != nil {
		if ctx.Err() != nil {
			return nil
		}

		return Classify(err)
	}

	for {
		select {
		case <-ctx.Done():
			return nil
		case n := <-listener.Notify:
			if n == nil { // reconnected: whatever was announced meanwhile is lost
				s.woke([]string{Everything})

				continue
			}

			s.woke(strings.Fields(n.Extra))
		case <-time.After(pingEvery):
			// Finds a dead connection; the listener reconnects by itself.
			if err := listener.Ping(); err != nil {
				s.log.WarnContext(ctx, "listening for commits", "error", err)
			}
		}
	}
}

// listenDialer makes the listener's connections, each anew.
type listenDialer struct{}

func (listenDialer) Dial(network, address string) (net.Conn, error) {
	return (&dialer{within: pingTimeout}).Dial(network, address)
}

func (listenDialer) DialTimeout(network, address string, timeout time.Duration) (net.Conn, error) {
	return (&dialer{within: pingTimeout}).DialTimeout(network, address, timeout)
}
