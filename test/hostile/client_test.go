//go:build unix

package hostile

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/gorilla/websocket"
)

// object is a loose JSON object.
type object = map[string]any

// answer is what a request is answered.
type answer struct {
	status int
	header http.Header
	raw    string

	Data       json.RawMessage
	Errors     []refusal
	Extensions struct{ Cost *cost }
}

// refusal is an entry of an answer's errors.
type refusal struct {
	Message    string
	Path       []any
	Extensions struct {
		Code, Field, RequestID string
		RetryAfter             int
		Cost                   *cost
	}
}

type cost struct{ Requested, Maximum int }

// code is that of the first error, "" without one.
func (r answer) code() string {
	if len(r.Errors) == 0 {
		return ""
	}

	return r.Errors[0].Extensions.Code
}

// body is the JSON of a request.
func body(document string, variables any) string {
	return encode(object{"query": document, "variables": variables})
}

func encode(value any) string {
	raw, err := json.Marshal(value)
	if err != nil {
		panic(err) // a test's own value
	}

	return string(raw)
}

// send sends a body by POST, as JSON unless a header says otherwise.
func (a *api) send(text string, headers ...string) (answer, error) {
	request, err := http.NewRequestWithContext(context.WithoutCancel(a.t.Context()), http.MethodPost, a.url+"/graphql", strings.NewReader(text))
	if err != nil {
		return answer{}, err
	}

	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/graphql-response+json")

	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}

	return a.do(request)
}

func (a *api) do(request *http.Request) (answer, error) {
	response, err := a.client.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()

	raw, err := io.ReadAll(response.Body)
	if err != nil {
		return answer{}, err
	}

	r := answer{status: response.StatusCode, header: response.Header, raw: string(raw)}

	return r, r.decode(raw)
}

// decode reads the answer; of an event stream, its first result.
func (r *answer) decode(raw []byte) error {
	if strings.HasPrefix(r.header.Get("Content-Type"), "text/event-stream") {
		_, rest, _ := bytes.Cut(raw, []byte("event: next\n"))
		_, rest, _ = bytes.Cut(rest, []byte("data: "))
		raw, _, _ = bytes.Cut(rest, []byte("\n"))
	}

	if err := json.Unmarshal(raw, r); err != nil {
		return fmt.Errorf("status %d, %.200q: %w", r.status, r.raw, err)
	}

	return nil
}

// post sends a document.
func (a *api) post(document string, variables any, headers ...string) answer {
	a.t.Helper()

	got, err := a.send(body(document, variables), headers...)
	if err != nil {
		a.t.Error(err) // not Fatal: several goroutines of a test may call it
	}

	return got
}

// ask sends a document that must be answered, and decodes its data.
func (a *api) ask(document string, variables, data any) {
	a.t.Helper()

	got := a.post(document, variables)
	if len(got.Errors) > 0 {
		a.t.Errorf("%.200s: %s", document, got.raw)
	} else if data != nil {
		if err := json.Unmarshal(got.Data, data); err != nil {
			a.t.Error(err)
		}
	}
}

// position is where the journal stands: it moves with every change.
func (a *api) position() string {
	a.t.Helper()

	var data struct{ Events struct{ Position string } }

	a.ask(`{ events(first: 0) { position } }`, nil, &data)

	return data.Events.Position
}

// raw opens a TCP connection to the server; it ends with the test.
func (a *api) raw() net.Conn {
	a.t.Helper()

	conn, err := net.Dial("tcp", a.host())
	if err != nil {
		a.t.Fatal(err)
	}

	a.t.Cleanup(func() { conn.Close() })

	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		a.t.Fatal(err)
	}

	return conn
}

// socket is a client of graphql-transport-ws.
type socket struct {
	*websocket.Conn

	api *api
}

// message is what a server says on a socket.
type message struct {
	ID, Type string
	Payload  json.RawMessage
}

// dial opens a socket without initialising it; it ends with the test.
func (a *api) dial() socket {
	a.t.Helper()

	dialer := websocket.Dialer{Subprotocols: []string{"graphql-transport-ws"}, HandshakeTimeout: patience}

	conn, response, err := dialer.DialContext(a.t.Context(), "ws://"+a.host()+"/graphql", nil)
	if err != nil {
		a.t.Fatal(err)
	}

	response.Body.Close()
	a.t.Cleanup(func() { conn.Close() })

	return socket{conn, a}
}

// connect opens a socket and initialises it.
func (a *api) connect() socket {
	a.t.Helper()

	s := a.dial()
	s.say(`{"type":"connection_init"}`)

	if got := s.next(); got.Type != "connection_ack" {
		a.t.Fatalf("%s instead of the acknowledgement", got.Type)
	}

	return s
}

func (s socket) say(text string) {
	s.api.t.Helper()

	if err := s.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		s.api.t.Fatal(err)
	}
}

// subscribe begins an operation, of any kind.
func (s socket) subscribe(id, document string, variables any) {
	s.api.t.Helper()
	s.say(fmt.Sprintf(`{"id":%q,"type":"subscribe","payload":%s}`, id, body(document, variables)))
}

func (s socket) next() (m message) {
	s.api.t.Helper()

	if err := s.SetReadDeadline(time.Now().Add(patience)); err != nil {
		s.api.t.Fatal(err)
	}

	_, raw, err := s.ReadMessage()
	if err == nil {
		err = json.Unmarshal(raw, &m)
	}

	if err != nil {
		s.api.t.Fatal(err)
	}

	return m
}

// once does an operation and gives its answer: the first result or the errors.
func (s socket) once(id, document string, variables any) (r answer) {
	s.api.t.Helper()
	s.subscribe(id, document, variables)

	m := s.next()
	for m.ID != id || m.Type == "complete" {
		m = s.next() // of the operation before
	}

	var err error

	r.raw = string(m.Payload)

	switch m.Type {
	case "next":
		err = json.Unmarshal(m.Payload, &r)
	case "error":
		err = json.Unmarshal(m.Payload, &r.Errors)
	default:
		err = errors.New(m.Type)
	}

	if err != nil {
		s.api.t.Fatalf("%v: %.200s", err, m.Payload)
	}

	return r
}

// closed reads on until the connection is closed, and gives code and reason.
func (s socket) closed() (code int, reason string) {
	s.api.t.Helper()

	if err := s.SetReadDeadline(time.Now().Add(patience)); err != nil {
		s.api.t.Fatal(err)
	}

	for {
		_, _, err := s.ReadMessage()
		if err == nil {
			continue
		}

		var closed *websocket.CloseError
		if !errors.As(err, &closed) {
			s.api.t.Fatal(err)
		}

		return closed.Code, closed.Text
	}
}
