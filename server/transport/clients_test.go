package transport_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// socket is a client of graphql-transport-ws.
type socket struct {
	*websocket.Conn

	t testing.TB
}

type reply struct {
	ID, Type string
	Payload  json.RawMessage
}

// dial connects without an initialisation.
func (b *bench) dial(t testing.TB) socket {
	t.Helper()

	dialer := websocket.Dialer{Subprotocols: []string{"graphql-transport-ws"}, HandshakeTimeout: patience}

	conn, resp, err := dialer.Dial("ws"+strings.TrimPrefix(b.URL, "http"), nil)
	if err != nil {
		t.Fatal(err)
	}

	resp.Body.Close()
	t.Cleanup(func() { conn.Close() })

	return socket{conn, t}
}

// connect connects and initialises.
func (b *bench) connect(t testing.TB) socket {
	t.Helper()

	s := b.dial(t)
	s.send(`{"type":"connection_init"}`)

	if got := s.next(); got.Type != "connection_ack" {
		t.Fatalf("%s instead of the acknowledgement", got.Type)
	}

	return s
}

func (s socket) send(text string) {
	s.t.Helper()

	if err := s.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		s.t.Fatal(err)
	}
}

func (s socket) subscribe(id, query string) {
	s.t.Helper()
	s.send(fmt.Sprintf(`{"id":%q,"type":"subscribe","payload":%s}`, id, body(s.t, query, nil)))
}

func (s socket) next() reply {
	s.t.Helper()

	if err := s.SetReadDeadline(time.Now().Add(patience)); err != nil {
		s.t.Fatal(err)
	}

	_, raw, err := s.ReadMessage()
	if err != nil {
		s.t.Fatal(err)
	}

	var m reply
	if err := json.Unmarshal(raw, &m); err != nil {
		s.t.Fatalf("%s: %v", raw, err)
	}

	return m
}

// closed reads on until the connection is closed, and gives the code.
func (s socket) closed() int {
	s.t.Helper()

	if err := s.SetReadDeadline(time.Now().Add(patience)); err != nil {
		s.t.Fatal(err)
	}

	for {
		_, _, err := s.ReadMessage()
		if err == nil {
			continue
		}

		var closed *websocket.CloseError
		if !errors.As(err, &closed) {
			s.t.Fatal(err)
		}

		return closed.Code
	}
}

// events is a client of an event stream.
type events struct {
	*bufio.Reader
}

func (b *bench) events(t testing.TB, query string, headers ...string) events {
	t.Helper()

	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.URL, strings.NewReader(body(t, query, nil)))
	if err != nil {
		t.Fatal(err)
	}

	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "text/event-stream")

	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}

	resp, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() { resp.Body.Close() })

	return events{bufio.NewReader(resp.Body)}
}

// next gives the next event, as written, io.EOF at the end.
func (e events) next() (string, error) {
	var event strings.Builder

	for {
		line, err := e.ReadString('\n')
		if err != nil {
			return event.String(), err
		}

		if line == "\n" {
			return event.String(), nil
		}

		event.WriteString(line)
	}
}

// raw opens a TCP connection to the server.
func (b *bench) raw(t testing.TB) net.Conn {
	t.Helper()

	conn, err := net.Dial("tcp", b.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() { conn.Close() })

	return conn
}
