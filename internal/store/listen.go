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
	return s.listen(ctx, pingEvery, pingTimeout)
}

func (s *Store) listen(ctx context.Context, every, timeout time.Duration) error {
	if s.Embedded() {
		<-ctx.Done()

		return nil
	}

	listener := pq.NewDialListener(listenDialer{timeout}, s.dsn, 100*time.Millisecond, 5*time.Second, func(event pq.ListenerEventType, err error) {
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

	s.hear(ctx, listener, every)

	return nil
}

// hear wakes with every notification until ctx ends, and pings: however many
// there are, because the connection's time runs from what was last sent.
func (s *Store) hear(ctx context.Context, listener *pq.Listener, every time.Duration) {
	due := time.NewTicker(every)
	defer due.Stop()

	// One ping at a time, beside the hearing: its answer comes after the
	// notifications before it, which nobody else takes.
	var (
		pinged   = make(chan error)
		pinging  = false
		ended    = ctx.Done()
		notified = (<-chan *pq.Notification)(listener.Notify)
	)

	for ended != nil || pinging {
		select {
		case <-ended:
			ended = nil
		case n, open := <-notified:
			switch {
			case !open: // it was closed
				notified = nil
			case n == nil: // reconnected: whatever was announced meanwhile is lost
				s.woke([]string{Everything})
			default:
				s.woke(strings.Fields(n.Extra))
			}
		case <-due.C:
			if !pinging && ended != nil {
				pinging = true

				go func() { pinged <- listener.Ping() }()
			}
		case err := <-pinged:
			pinging = false

			// Finds a dead connection; the listener reconnects by itself.
			if err != nil && ctx.Err() == nil {
				s.log.WarnContext(ctx, "listening for commits", "error", err)
			}
		}
	}
}

// listenDialer makes the listener's connections, each anew; within is theirs.
type listenDialer struct{ within time.Duration }

func (d listenDialer) Dial(network, address string) (net.Conn, error) {
	return (&dialer{within: d.within}).Dial(network, address)
}

func (d listenDialer) DialTimeout(network, address string, timeout time.Duration) (net.Conn, error) {
	return (&dialer{within: d.within}).DialTimeout(network, address, timeout)
}
