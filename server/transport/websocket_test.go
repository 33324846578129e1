package transport_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"github.com/shiplog/shiplog/internal/fault"
	"github.com/shiplog/shiplog/server/transport"
)

// closeRestart is the close code that makes clients connect again.
const closeRestart = 1012

func (r reply) errorCode(t testing.TB) string {
	t.Helper()

	var errs []struct{ Extensions struct{ Code string } }
	if r.Type != "error" {
		t.Fatalf("%s %s instead of an error", r.Type, r.Payload)
	}

	if err := json.Unmarshal(r.Payload, &errs); err != nil || len(errs) == 0 {
		t.Fatalf("%s: %v", r.Payload, err)
	}

	return errs[0].Extensions.Code
}

func TestOperationsOverWebSocket(t *testing.T) {
	t.Parallel()

	b := serve(t)
	s := b.connect(t)

	s.subscribe("q", "{ hello }")

	if got := s.next(); got.ID != "q" || got.Type != "next" || !strings.HasPrefix(string(got.Payload), `{"data":{"hello":"world"}`) {
		t.Errorf("%+v", got)
	}

	if got := s.next(); got.ID != "q" || got.Type != "complete" {
		t.Errorf("%+v", got)
	}

	for query, code := range map[string]fault.Code{
		"{ nothing }":                            fault.InvalidInput,
		`subscription { refused(code: "HELD") }`: fault.Held,
		"subscription { broken }":                fault.Internal,
		"{ list(limit: 1000000) { id } }":        fault.TooComplex,
		"{ a }" + strings.Repeat(" @a", 100_000): fault.TooComplex,
		"subscription { count(to: 1) silent }":   fault.InvalidInput,
	} {
		s.subscribe("e", query)

		if got := s.next().errorCode(t); got != string(code) {
			t.Errorf("%.40s: %s", query, got)
		}
	}
}

func TestCompleteCancelsTheOperation(t *testing.T) {
	t.Parallel()

	b := serve(t)
	s := b.connect(t)

	s.subscribe("1", "subscription { silent }")
	until(t, "the subscription runs", func() bool { return b.resolvers.Open.Load() == 1 })
	s.send(`{"id":"1","type":"complete"}`)
	until(t, "the subscription ends", func() bool { return b.resolvers.Open.Load() == 0 })

	// The id is free at once.
	s.subscribe("1", "subscription { count(to: 1) }")

	if got := s.next(); got.Type != "next" {
		t.Errorf("%+v", got)
	}
}

func TestAReaderThatStopsHoldsUpNobody(t *testing.T) {
	t.Parallel()

	b := serve(t, func(_ *transport.ExecutorConfig, c *transport.Config) { c.WriteTimeout = 2 * time.Second })

	stuck := b.connect(t)

	var before runtime.MemStats

	runtime.GC()
	runtime.ReadMemStats(&before)

	for i := range 50 {
		stuck.subscribe(strconv.Itoa(i), "subscription { lines(size: 100) { lines { text } } }")
	}

	quick := b.connect(t)
	quick.subscribe("q", "subscription { count(to: 2000) }")

	for range 2000 {
		if got := quick.next(); got.Type != "next" {
			t.Fatalf("%+v", got)
		}
	}

	var during runtime.MemStats

	runtime.GC()
	runtime.ReadMemStats(&during)

	// The outbox, one batch in the hand of each operation, and as much
	// again in gqlgen's buffers.
	if grown := int64(during.HeapAlloc) - int64(before.HeapAlloc); grown > 16<<20 {
		t.Errorf("the stuck viewer holds %d bytes", grown)
	}

	until(t, "the stuck viewer is dropped", func() bool { return b.resolvers.Open.Load() == 0 })
}

func TestPeersThatVanishAreDropped(t *testing.T) {
	t.Parallel()

	const interval = 400 * time.Millisecond

	b := serve(t, func(_ *transport.ExecutorConfig, c *transport.Config) { c.PingInterval = interval })

	// A peer that neither reads nor answers pings, and never closes.
	gone := b.raw(t)
	fmt.Fprint(gone, "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n")
	wantStatus(t, gone, "HTTP/1.1 101")

	alive := b.connect(t)
	alive.subscribe("1", "subscription { silent }")

	pongs := make(chan struct{}, 100)

	alive.SetPingHandler(func(data string) error {
		pongs <- struct{}{}

		return alive.WriteControl(10, []byte(data), time.Now().Add(time.Second))
	})

	closed := make(chan struct{})

	go func() {
		defer close(closed)

		for {
			if _, _, err := alive.ReadMessage(); err != nil {
				return
			}
		}
	}()

	until(t, "the silent peer is dropped", func() bool { return b.handler.Streams() == 1 })

	for range 6 {
		select {
		case <-pongs:
		case <-time.After(patience):
			t.Fatal("no ping came")
		}
	}

	if b.handler.Streams() != 1 {
		t.Error("the peer that answers was dropped")
	}

	alive.Close()
	<-closed
}

func TestConnectionsAreCapped(t *testing.T) {
	t.Parallel()

	b := serve(t, func(_ *transport.ExecutorConfig, c *transport.Config) {
		c.MaxConnections, c.MaxConnectionsPerCaller = 4, 2
		c.CallerKey = func(context.Context) string { return "one" }
	})

	b.connect(t)
	b.connect(t)

	third := b.dial(t)
	third.send(`{"type":"connection_init"}`)

	if code := third.closed(); code != 1013 {
		t.Errorf("closed with %d", code)
	}

	third.Close()

	if got := b.postBody(t, strings.NewReader(body(t, "{ hello }", nil)), "Accept", "text/event-stream"); got.status != http.StatusTooManyRequests {
		t.Errorf("%d %s", got.status, got.raw)
	}

	until(t, "the refused ones are counted out", func() bool { return b.handler.Streams() == 2 })
	b.dial(t)
	b.dial(t)

	if got := b.postBody(t, strings.NewReader(body(t, "{ hello }", nil)), "Accept", "text/event-stream"); got.status != http.StatusServiceUnavailable {
		t.Errorf("%d %s", got.status, got.raw)
	}
}

type tokenKey struct{}

func TestAdmission(t *testing.T) {
	t.Parallel()

	revoke := make(chan context.CancelCauseFunc, 1)
	b := serve(t, func(_ *transport.ExecutorConfig, c *transport.Config) {
		c.InitTimeout = 300 * time.Millisecond
		c.Init = func(ctx context.Context, payload map[string]any, _ *http.Request) (context.Context, time.Time, error) {
			switch payload["token"] {
			case "unauthenticated":
				return nil, time.Time{}, fault.New(fault.Unauthenticated, "no")
			case "forbidden":
				return nil, time.Time{}, fault.New(fault.Forbidden, "no")
			case "database":
				return nil, time.Time{}, io.ErrUnexpectedEOF
			case "panic":
				panic("admission")
			case "slow":
				<-ctx.Done()

				return nil, time.Time{}, ctx.Err()
			case "short":
				return ctx, time.Now().Add(50 * time.Millisecond), nil
			default:
				ctx, cancel := context.WithCancelCause(context.WithValue(ctx, tokenKey{}, "known"))
				revoke <- cancel

				return ctx, time.Time{}, nil
			}
		}
	})

	for token, code := range map[string]int{
		"unauthenticated": 4401, "forbidden": 4403, "database": 1013, "panic": 1013, "slow": 4408, "short": 4401,
	} {
		s := b.dial(t)
		s.send(`{"type":"connection_init","payload":{"token":"` + token + `"}}`)

		if got := s.closed(); got != code {
			t.Errorf("%s: closed with %d, not %d", token, got, code)
		}
	}

	for _, c := range []struct {
		cause error
		code  int
	}{
		{fault.New(fault.Forbidden, "no more"), 4403},
		{fault.New(fault.Unauthenticated, "no more"), 4401},
		{context.Canceled, 4401},
	} {
		s := b.connect(t)
		s.subscribe("1", "subscription { silent }")
		(<-revoke)(c.cause)

		if got := s.closed(); got != c.code {
			t.Errorf("%v: closed with %d, not %d", c.cause, got, c.code)
		}
	}

	until(t, "nothing runs", func() bool { return b.resolvers.Open.Load() == 0 && b.handler.Streams() == 0 })
}

func TestDrain(t *testing.T) {
	t.Parallel()

	b := serve(t)

	viewer := b.connect(t)
	viewer.subscribe("1", "subscription { silent }")

	writer := b.connect(t)
	writer.subscribe("1", "mutation { held }")
	<-b.resolvers.Holding

	stream := b.events(t, "subscription { silent }")
	until(t, "two subscriptions run", func() bool { return b.resolvers.Open.Load() == 2 })

	drained := make(chan error, 1)

	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()

		drained <- b.handler.Drain(ctx)
	}()

	if code := viewer.closed(); code != closeRestart {
		t.Errorf("closed with %d", code)
	}

	for {
		event, err := stream.next()
		if errors.Is(err, io.EOF) {
			break
		}

		if err != nil || strings.HasPrefix(event, "event: complete") {
			t.Fatalf("%q %v", event, err)
		}
	}

	// The mutation is still under way, so its connection is.
	close(b.resolvers.Hold)

	if got := writer.next(); got.Type != "next" || !strings.Contains(string(got.Payload), `"held":1`) {
		t.Errorf("%+v", got)
	}

	if code := writer.closed(); code != closeRestart {
		t.Errorf("closed with %d", code)
	}

	if err := <-drained; err != nil {
		t.Error(err)
	}

	late := b.dial(t)
	if code := late.closed(); code != closeRestart {
		t.Errorf("a late connection was closed with %d", code)
	}
}

func TestEventStreams(t *testing.T) {
	t.Parallel()

	seen := make(chan string, 1)
	b := serve(t, func(_ *transport.ExecutorConfig, c *transport.Config) {
		c.PingInterval = 20 * time.Millisecond
		c.EventID = func(payload []byte) string { return strconv.Itoa(len(payload)) }
		c.Sharer = sharerFunc(func(ctx context.Context, _ *graphql.OperationContext) (transport.Shared, bool) {
			select {
			case seen <- transport.LastEventID(ctx):
			default:
			}

			return nil, false
		})
	})

	e := b.events(t, "subscription { count(to: 1) }", "Last-Event-ID", "c-7")
	want := []string{": \n", "event: next\nid: 20\ndata: {\"data\":{\"count\":1}}\n", "event: complete\ndata: \n"}

	for _, w := range want {
		if got, err := e.next(); err != nil || got != w {
			t.Errorf("%q %v, not %q", got, err, w)
		}
	}

	if _, err := e.next(); !errors.Is(err, io.EOF) {
		t.Error(err)
	}

	if id := <-seen; id != "c-7" {
		t.Errorf("last event id %q", id)
	}

	silent := b.events(t, "subscription { silent }")

	for range 3 {
		if got, err := silent.next(); err != nil || got != ": \n" {
			t.Errorf("%q %v", got, err)
		}
	}
}

type sharerFunc func(ctx context.Context, oc *graphql.OperationContext) (transport.Shared, bool)

func (f sharerFunc) Share(ctx context.Context, oc *graphql.OperationContext) (transport.Shared, bool) {
	return f(ctx, oc)
}

// list yields the payloads, three at a time, and then err.
type list struct {
	payloads [][]byte
	err      error
	closed   *atomic.Int64
}

func (l *list) NextBatch(_ context.Context, buf [][]byte) ([][]byte, error) {
	n := min(3, len(l.payloads), cap(buf))
	buf = append(buf, l.payloads[:n]...)

	if l.payloads = l.payloads[n:]; len(l.payloads) == 0 {
		return buf, l.err
	}

	return buf, nil
}

func (l *list) Close() { l.closed.Add(1) }

func TestSharedSubscriptions(t *testing.T) {
	t.Parallel()

	var closed atomic.Int64

	b := serve(t, func(_ *transport.ExecutorConfig, c *transport.Config) {
		c.Sharer = sharerFunc(func(_ context.Context, oc *graphql.OperationContext) (transport.Shared, bool) {
			shared := &list{err: io.EOF, closed: &closed}
			// Of every length form of a frame.
			for _, n := range []int{1, 40, 125, 200, 70_000, 2, 3} {
				shared.payloads = append(shared.payloads, fmt.Appendf(nil, `{"data":{"x":"%s"}}`, strings.Repeat("x", n)))
			}

			if oc.OperationName == "Refused" {
				shared.err = fault.New(fault.Stale, "too old")
			}

			return shared, true
		})
	})

	s := b.connect(t)
	s.subscribe("1", "subscription { silent }")

	for _, n := range []int{1, 40, 125, 200, 70_000, 2, 3} {
		if got := s.next(); got.ID != "1" || got.Type != "next" || len(got.Payload) != n+len(`{"data":{"x":""}}`) {
			t.Fatalf("%s %s of %d bytes", got.ID, got.Type, len(got.Payload))
		}
	}

	if got := s.next(); got.Type != "complete" {
		t.Errorf("%+v", got)
	}

	stale := b.connect(t)
	stale.send(`{"id":"1","type":"subscribe","payload":{"operationName":"Refused","query":"subscription Refused { silent }"}}`)

	for range 7 {
		stale.next()
	}

	if got := stale.next().errorCode(t); got != string(fault.Stale) {
		t.Error(got)
	}

	until(t, "both parts are closed", func() bool { return closed.Load() == 2 })
}

func TestOriginIsChecked(t *testing.T) {
	t.Parallel()

	b := serve(t)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.URL, nil)
	if err != nil {
		t.Fatal(err)
	}

	for key, value := range map[string]string{
		"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
		"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Origin": "https://evil.example",
	} {
		request.Header.Set(key, value)
	}

	if got := b.do(t, request); got.status != http.StatusForbidden || got.code() != string(fault.Forbidden) {
		t.Errorf("%d %s", got.status, got.raw)
	}
}
