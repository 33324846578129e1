package transport_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"github.com/gorilla/websocket"

	"github.com/shiplog/shiplog/server/transport"
)

// bomb is a shared subscription that panics.
type bomb struct{ inNext bool }

func (b bomb) NextBatch(_ context.Context, buf [][]byte) ([][]byte, error) {
	if b.inNext {
		panic("NextBatch panics on purpose")
	}

	return buf, io.EOF
}

func (b bomb) Close() {
	if !b.inNext {
		panic("Close panics on purpose")
	}
}

func TestPanickingHooksDoNotEndTheProcess(t *testing.T) {
	t.Parallel()

	b := serve(t, func(_ *transport.ExecutorConfig, c *transport.Config) {
		c.Sharer = sharerFunc(func(_ context.Context, oc *graphql.OperationContext) (transport.Shared, bool) {
			switch oc.OperationName {
			case "Share":
				panic("Share panics on purpose")
			case "Next":
				return bomb{inNext: true}, true
			default:
				return bomb{}, true
			}
		})
	})

	for _, name := range []string{"Share", "Next"} {
		s := b.connect(t)
		s.send(`{"id":"1","type":"subscribe","payload":{"operationName":"` + name + `","query":"subscription ` + name + ` { silent }"}}`)

		if got := s.next().errorCode(t); got != "INTERNAL" {
			t.Errorf("%s: %s", name, got)
		}
	}

	s := b.connect(t)
	s.subscribe("1", "subscription Close { silent }")

	if code := s.closed(); code != 1013 {
		t.Errorf("closed with %d", code)
	}

	e := b.events(t, "subscription Close { silent }")
	for {
		if _, err := e.next(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}

	until(t, "all are reported", func() bool { return len(b.reports()) == 4 })
}

// demanding is an extension as those of servers are: it expects an operation
// context with every answer, and may panic.
type demanding struct{ panics bool }

func (demanding) ExtensionName() string { return "Demanding" }

func (demanding) Validate(graphql.ExecutableSchema) error { return nil }

func (d demanding) InterceptResponse(ctx context.Context, next graphql.ResponseHandler) *graphql.Response {
	response := next(ctx)

	if graphql.GetOperationContext(ctx).Operation == nil && d.panics {
		panic("InterceptResponse panics on purpose")
	}

	return response
}

func TestOperationsAreCapped(t *testing.T) {
	t.Parallel()

	b := serve(t, func(e *transport.ExecutorConfig, c *transport.Config) {
		c.MaxOperations = 2
		e.Extensions = append(e.Extensions, demanding{})
	})
	s := b.connect(t)

	for _, id := range []string{"1", "2", "3", "4"} {
		s.subscribe(id, "subscription { silent }")
	}

	for _, id := range []string{"3", "4"} {
		if got := s.next(); got.ID != id || got.errorCode(t) != "RATE_LIMITED" || !strings.Contains(string(got.Payload), `"retryAfter":5`) {
			t.Errorf("%s: %s", got.ID, got.Payload)
		}
	}

	s.send(`{"id":"1","type":"complete"}`)
	until(t, "one has ended", func() bool { return b.resolvers.Open.Load() == 1 })
	s.subscribe("5", "subscription { count(to: 1) }")

	if got := s.next(); got.ID != "5" || got.Type != "next" {
		t.Errorf("%s %s", got.Type, got.Payload)
	}
}

// A panic in the reader ends the connection and all that runs on it.
func TestAPanicInTheReaderEndsTheConnection(t *testing.T) {
	t.Parallel()

	b := serve(t, func(e *transport.ExecutorConfig, c *transport.Config) {
		c.MaxOperations = 1
		e.Extensions = append(e.Extensions, demanding{panics: true})
	})
	s := b.connect(t)
	s.subscribe("1", "subscription { silent }")
	until(t, "it runs", func() bool { return b.resolvers.Open.Load() == 1 })
	s.subscribe("2", "subscription { silent }")

	if code := s.closed(); code != 1013 {
		t.Errorf("closed with %d", code)
	}

	until(t, "nothing is left", func() bool { return b.resolvers.Open.Load() == 0 && b.handler.Streams() == 0 })

	if n := len(b.reports()); n != 1 {
		t.Errorf("%d reports", n)
	}
}

// Over TLS frames are copied together instead of gathered.
func TestWebSocketOverTLS(t *testing.T) {
	t.Parallel()

	plain := serve(t)
	server := httptest.NewTLSServer(plain.handler)

	t.Cleanup(func() {
		plain.drain(t)
		server.Close()
	})

	tripper, ok := server.Client().Transport.(*http.Transport)
	if !ok {
		t.Fatal("the test server's client has another transport")
	}

	dialer := websocket.Dialer{
		Subprotocols: []string{"graphql-transport-ws"}, HandshakeTimeout: patience,
		TLSClientConfig: &tls.Config{RootCAs: tripper.TLSClientConfig.RootCAs, MinVersion: tls.VersionTLS13},
	}

	conn, resp, err := dialer.Dial("wss"+strings.TrimPrefix(server.URL, "https"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	defer resp.Body.Close()

	s := socket{conn, t}
	s.send(`{"type":"connection_init"}`)
	s.next()
	s.subscribe("1", "subscription { lines(size: 100, to: 30000) { lines { text } } }")

	for range 300 {
		if got := s.next(); got.Type != "next" {
			t.Fatalf("%s %s", got.Type, got.Payload)
		}
	}

	if got := s.next(); got.Type != "complete" {
		t.Errorf("%s %s", got.Type, got.Payload)
	}
}

// What is sent is never repeated, whatever it is.
func FuzzBodiesAreNotRepeated(f *testing.F) {
	const secret = "ghp_0123456789"

	for _, seed := range []string{
		`{"query":"%"`, `{"query":%}`, `%`, `["%"]`, `{"query":"{ hello }","variables":"%"}`, `{"query":"{ hello }","operationName":["%"]}`,
		`{"%":1}`, `{"query":null,"x":"%"}`,
	} {
		f.Add(seed)
	}

	b := serve(f)

	f.Fuzz(func(t *testing.T, text string) {
		request := httptest.NewRequest("POST", "/graphql", strings.NewReader(strings.ReplaceAll(text, "%", secret)))
		request.Header.Set("Content-Type", "application/json")

		answer := httptest.NewRecorder()
		b.handler.ServeHTTP(answer, request)

		if answer.Code >= 500 {
			t.Errorf("%d %s", answer.Code, answer.Body)
		}

		// A 200 may be about a document, whose words its errors name.
		if answer.Code == 400 && strings.Contains(answer.Body.String(), secret) {
			t.Errorf("repeated: %s", answer.Body)
		}
	})
}
