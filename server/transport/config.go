package transport

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// InitFunc admits a WebSocket connection. It gets the context of the HTTP
// request, the payload of connection_init (nil without one) and the request,
// whose body must not be touched. It returns the context of the connection's
// operations, derived from ctx, and when the admission ends (zero: never).
//
// When it refuses, the code of its error closes the connection: FORBIDDEN
// 4403; RATE_LIMITED, UNAVAILABLE and errors without a code 1013 (the latter
// are also reported); all others 4401. When the returned context is cancelled
// its cause does the same, and the end of the admission closes with 4401.
type InitFunc func(
	ctx context.Context, payload map[string]any, r *http.Request,
) (admitted context.Context, expires time.Time, err error)

// Config says how requests get in. See [DefaultConfig] for the values and
// their reasons.
type Config struct {
	// MaxBody is the most bytes of a POST body, MaxMessage of a WebSocket
	// message.
	MaxBody, MaxMessage int64
	// ReadTimeout is how long a body may take to arrive.
	ReadTimeout time.Duration
	// WriteTimeout is how long one write may take before its connection ends.
	WriteTimeout time.Duration
	// InitTimeout is how long connection_init, and then Init, may take.
	InitTimeout time.Duration
	// PingInterval is the time between pings and between the comments that
	// keep event streams alive. A peer that says nothing for nearly two of
	// them is gone.
	PingInterval time.Duration
	// DrainGrace is how long queries and mutations of WebSocket connections
	// may go on after Drain was called.
	DrainGrace time.Duration
	// Outbox is the most bytes of results that wait for a WebSocket peer.
	Outbox int
	// MaxOperations is the most operations at a time on a WebSocket
	// connection; one more is refused with RATE_LIMITED.
	MaxOperations int
	// MaxConnections is the most WebSocket connections and event streams at a
	// time, MaxConnectionsPerCaller the same for one CallerKey. One more
	// WebSocket connection or event stream is answered 503 and 429; a caller
	// known only after connection_init is closed with 1013.
	MaxConnections, MaxConnectionsPerCaller int
	// Init admits WebSocket connections; without it all are.
	Init InitFunc
	// CheckOrigin decides whether a WebSocket handshake may come from its
	// Origin; without it the origin must be the host of the request.
	CheckOrigin func(r *http.Request) bool
	// CallerKey names the caller for MaxConnectionsPerCaller, from the context
	// that Init returned or that of an event stream's request. Without it, or
	// when it gives "", callers are not told apart.
	CallerKey func(ctx context.Context) string
	// EventID gives the id of a server-sent event, for Last-Event-ID, from
	// its payload; "" for none.
	EventID func(payload []byte) string
	// Sharer may take subscriptions over; without it all are executed.
	Sharer Sharer
}

// DefaultConfig gives the defaults; the hooks are left out.
func DefaultConfig() Config {
	return Config{
		// Enough for a Score workload or Kubernetes manifests with notes.
		MaxBody:    1 << 20,
		MaxMessage: 1 << 20,
		// 1 MiB in 10 s is a slow mobile connection.
		ReadTimeout:  10 * time.Second,
		WriteTimeout: 10 * time.Second,
		// graphql-ws waits 3 s by default.
		InitTimeout: 10 * time.Second,
		// Below the idle timeout of common proxies (nginx and AWS: 60 s).
		PingInterval: 15 * time.Second,
		DrainGrace:   5 * time.Second,
		// Ten batches of a hundred log lines of 200 bytes.
		Outbox: 256 << 10,
		// A portal page has one to ten.
		MaxOperations: 100,
		// Some 30 kB of memory each.
		MaxConnections: 10_000,
		// A portal's backend opens one for each of its users.
		MaxConnectionsPerCaller: 2_000,
	}
}

// Validate reports the first setting that cannot work.
func (c Config) Validate() error {
	for _, n := range []struct {
		name  string
		value int64
	}{
		{"MaxBody", c.MaxBody},
		{"MaxMessage", c.MaxMessage},
		{"ReadTimeout", int64(c.ReadTimeout)},
		{"WriteTimeout", int64(c.WriteTimeout)},
		{"InitTimeout", int64(c.InitTimeout)},
		{"PingInterval", int64(c.PingInterval)},
		{"Outbox", int64(c.Outbox)},
		{"MaxOperations", int64(c.MaxOperations)},
		{"MaxConnections", int64(c.MaxConnections)},
		{"MaxConnectionsPerCaller", int64(c.MaxConnectionsPerCaller)},
	} {
		if n.value <= 0 {
			return fmt.Errorf("%s must be positive, not %d", n.name, n.value)
		}
	}

	if c.DrainGrace < 0 {
		return errors.New("DrainGrace must not be negative")
	}

	return nil
}
