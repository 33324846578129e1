package store

import (
	"context"
	"net"
	"time"
)

// answerTimeout is how long Postgres may take to answer anything. Statements
// are far quicker; it ends connections into a black hole.
const answerTimeout = 30 * time.Second

// deadlineDialer makes connections whose reads end answerTimeout after the
// last write: lib/pq itself waits for ever for a server that is gone without
// a word.
type deadlineDialer struct{}

func (d deadlineDialer) Dial(network, address string) (net.Conn, error) {
	return d.DialContext(context.Background(), network, address)
}

func (d deadlineDialer) DialTimeout(network, address string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()

	return d.DialContext(ctx, network, address)
}

func (deadlineDialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	dialer := net.Dialer{Timeout: 5 * time.Second, KeepAlive: 15 * time.Second}

	conn, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}

	return &deadlineConn{Conn: conn}, nil
}

type deadlineConn struct{ net.Conn }

func (c *deadlineConn) Write(b []byte) (int, error) {
	if err := c.SetDeadline(time.Now().Add(answerTimeout)); err != nil {
		return 0, err
	}

	return c.Conn.Write(b)
}
