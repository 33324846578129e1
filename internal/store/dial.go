package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/lib/pq"
)

const (
	// answerTimeout is how long Postgres may take to answer anything but a
	// migration. Statements are far quicker; it ends connections into a black
	// hole, and is what a COMMIT waits for at most.
	answerTimeout = 10 * time.Second
	// cancelTimeout is how long a statement whose context is over may take to
	// be cancelled.
	cancelTimeout = time.Second
	// dialTimeout is how long a connection may take to be made.
	dialTimeout = 5 * time.Second
	// idleTimeout is how long a transaction may pause before Postgres ends it:
	// one whose replica was cut off would keep its locks for hours.
	idleTimeout = 10 * time.Second
)

// connector makes connections to Postgres that wait for nothing for ever:
// lib/pq itself waits until a server that is gone without a word answers, even
// when the context is over.
type connector struct {
	config pq.Config
	// silent is when, in ns since 1970, a statement was sent that was never
	// answered. Connections that have said nothing since are not used again.
	silent *atomic.Int64
}

var _ driver.Connector = (*connector)(nil)

func newConnector(dsn string) (*connector, error) {
	config, err := pq.NewConfig(dsn)
	if err != nil {
		return nil, err
	}

	return &connector{config: config, silent: &atomic.Int64{}}, nil
}

// Connect makes a connection; its time ends with ctx.
func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	inner, err := pq.NewConnectorConfig(c.config)
	if err != nil {
		return nil, err
	}

	d := &dialer{within: answerTimeout, silent: c.silent}
	inner.Dialer(d)

	stop := context.AfterFunc(ctx, d.giveUp)
	conn, err := inner.Connect(ctx)

	if err == nil {
		d.connected.Store(true)

		err = c.set(ctx, conn)
		if err != nil {
			err = errors.Join(err, conn.Close())
		}
	}

	if !stop() && err == nil { // the deadline may have been cut already
		err = errors.Join(ctx.Err(), conn.Close())
	}

	if err != nil {
		return nil, err
	}

	return conn, nil
}

// set makes the session's settings. Not at the start-up: connection poolers
// refuse what they do not know there.
func (c *connector) set(ctx context.Context, conn driver.Conn) error {
	session, ok := conn.(driver.ExecerContext)
	if !ok {
		return errors.New("the driver executes nothing")
	}

	_, err := session.ExecContext(ctx, fmt.Sprintf("SET idle_in_transaction_session_timeout = %d", idleTimeout.Milliseconds()), nil)

	return err
}

// Driver is lib/pq's.
func (c *connector) Driver() driver.Driver { return &pq.Driver{} }

// dialer makes the connection of one session. Once that is there, lib/pq dials
// again only to cancel a statement whose context is over.
type dialer struct {
	within time.Duration
	silent *atomic.Int64 // nil: nobody else is to know

	conn      atomic.Pointer[conn]
	connected atomic.Bool
}

var _ pq.DialerContext = (*dialer)(nil)

// Dial is DialContext for lib/pq's older interface.
func (d *dialer) Dial(network, address string) (net.Conn, error) {
	return d.DialContext(context.Background(), network, address)
}

// DialTimeout is DialContext for lib/pq's older interface.
func (d *dialer) DialTimeout(network, address string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()

	return d.DialContext(ctx, network, address)
}

// DialContext makes the connection, or one that cancels its statement.
func (d *dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if d.connected.Load() {
		return d.dialCancel(ctx, network, address)
	}

	plain := net.Dialer{Timeout: dialTimeout, KeepAlive: 15 * time.Second}

	made, err := plain.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}

	c := &conn{Conn: made, within: d.within, silent: d.silent}
	d.conn.Store(c)

	return c, nil
}

// dialCancel ends the statement under way soon, with Postgres' help or
// without.
func (d *dialer) dialCancel(ctx context.Context, network, address string) (net.Conn, error) {
	if c := d.conn.Load(); c != nil {
		if err := c.SetDeadline(time.Now().Add(cancelTimeout)); err != nil {
			return nil, err
		}
	}

	plain := net.Dialer{Timeout: cancelTimeout}

	made, err := plain.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}

	if err := made.SetDeadline(time.Now().Add(cancelTimeout)); err != nil {
		return nil, errors.Join(err, made.Close())
	}

	return made, nil
}

// giveUp ends the making of the connection.
func (d *dialer) giveUp() {
	if c := d.conn.Load(); c != nil {
		// It can only fail when the connection is closed.
		_ = c.SetDeadline(time.Now())
	}
}

// conn is a connection whose reads end some time after the last write.
type conn struct {
	net.Conn

	within time.Duration
	silent *atomic.Int64
	// sent and heard are when something was last, in ns since 1970.
	sent, heard atomic.Int64
}

// errSilent: nothing was sent, so that database/sql takes another connection.
var errSilent = errors.New("the connection has been silent since the database did not answer on another one")

func (c *conn) Write(b []byte) (int, error) {
	if c.silent != nil && c.heard.Load() > 0 && c.heard.Load() < c.silent.Load() {
		return 0, errSilent
	}

	now := time.Now()
	c.sent.Store(now.UnixNano())

	if err := c.SetDeadline(now.Add(c.within)); err != nil {
		return 0, err
	}

	return c.Conn.Write(b)
}

func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)

	switch {
	case n > 0:
		c.heard.Store(time.Now().UnixNano())
	case c.silent != nil && errors.Is(err, os.ErrDeadlineExceeded):
		c.doubt()
	}

	return n, err
}

// doubt tells the other connections that a statement was not answered.
func (c *conn) doubt() {
	for sent := c.sent.Load(); ; {
		known := c.silent.Load()
		if known >= sent || c.silent.CompareAndSwap(known, sent) {
			return
		}
	}
}
