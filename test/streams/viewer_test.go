//go:build unix

package streams

import (
	"bufio"
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

// The transports.
const (
	webSocket   = "websocket"
	eventStream = "sse"
)

const document = `subscription ($deployment: ID!, $after: Cursor, $until: LogUntil) {
	deploymentLogs(deployment: $deployment, after: $after, until: $until) {
		gap { reason lines }
		lines { cursor time stream phase source { step container instance attempt } text truncated }
		cursor complete
	}
}`

type line struct {
	Cursor    string
	Time      time.Time
	Stream    string
	Text      string
	Truncated bool
}

type batch struct {
	Gap      *struct{ Reason string }
	Lines    []line
	Cursor   string
	Complete bool
}

// viewer follows one log.
type viewer struct {
	url, transport, deployment string
	// after is the cursor to go on from, "" for the start.
	after string
	// header says it by Last-Event-ID and repeats the argument that it began
	// with, as browsers do; that is the first cursor it was told.
	header bool
	began  string
	// until is OUTCOME when empty.
	until string
	// dial connects; a plain connection when nil.
	dial func(ctx context.Context, address string) (net.Conn, error)
	// each is told every batch; its error ends the connection.
	each func(b batch) error
	// completed is set by the message that ends the subscription.
	completed bool
}

// errCut is the end of a connection without an end of the subscription.
var errCut = errors.New("the connection was cut")

// closedError is the close code of a WebSocket.
type closedError int

func (c closedError) Error() string { return fmt.Sprintf("closed with %d", int(c)) }

// follow connects once and takes batches until the subscription completes
// (nil) or the connection ends.
func (v *viewer) follow(ctx context.Context) error {
	if v.transport == webSocket {
		return v.followSocket(ctx)
	}

	return v.followEvents(ctx)
}

func (v *viewer) payload() []byte {
	variables := map[string]any{"deployment": v.deployment}
	after := v.after
	if v.header {
		after = v.began
	}

	if after != "" {
		variables["after"] = after
	}

	if v.until != "" {
		variables["until"] = v.until
	}

	raw, _ := json.Marshal(map[string]any{"query": document, "variables": variables}) //nolint:errchkjson // strings and numbers always marshal

	return raw
}

func (v *viewer) connect(ctx context.Context, _, address string) (net.Conn, error) {
	if v.dial != nil {
		return v.dial(ctx, address)
	}

	var d net.Dialer

	return d.DialContext(ctx, "tcp", address)
}

// take reads a result.
func (v *viewer) take(raw []byte) error {
	var result struct {
		Data   *struct{ DeploymentLogs batch }
		Errors json.RawMessage
	}

	if err := json.Unmarshal(raw, &result); err != nil {
		return fmt.Errorf("not JSON: %w: %.200s", err, raw)
	}

	if result.Data == nil {
		return fmt.Errorf("refused: %s", result.Errors)
	}

	b := result.Data.DeploymentLogs
	if err := v.each(b); err != nil {
		return err
	}

	v.after = b.Cursor
	if v.began == "" {
		v.began = b.Cursor
	}

	return nil
}

func (v *viewer) followSocket(ctx context.Context) error {
	dialer := websocket.Dialer{Subprotocols: []string{"graphql-transport-ws"}, NetDialContext: v.connect}

	conn, response, err := dialer.DialContext(ctx, "ws"+strings.TrimPrefix(v.url, "http")+"/graphql", nil)
	if err != nil {
		return fmt.Errorf("%w: %w", errCut, err)
	}
	defer conn.Close()
	defer response.Body.Close()

	defer context.AfterFunc(ctx, func() { conn.Close() })()

	for _, message := range []string{`{"type":"connection_init"}`, `{"id":"1","type":"subscribe","payload":` + string(v.payload()) + `}`} {
		if err := conn.WriteMessage(websocket.TextMessage, []byte(message)); err != nil {
			return fmt.Errorf("%w: %w", errCut, err)
		}

		if strings.Contains(message, "init") {
			if _, _, err := conn.ReadMessage(); err != nil { // the acknowledgement
				return ended(err)
			}
		}
	}

	for {
		_, raw, err := conn.ReadMessage()
		if err != nil {
			return ended(err)
		}

		var message struct {
			Type    string
			Payload json.RawMessage
		}

		if err := json.Unmarshal(raw, &message); err != nil {
			return fmt.Errorf("not JSON: %w: %.200s", err, raw)
		}

		switch message.Type {
		case "next":
			if err := v.take(message.Payload); err != nil {
				return err
			}
		case "complete":
			v.completed = true

			return nil
		default:
			return fmt.Errorf("refused: %s", raw)
		}
	}
}

func ended(err error) error {
	var closed *websocket.CloseError
	if errors.As(err, &closed) && closed.Code != websocket.CloseAbnormalClosure {
		return closedError(closed.Code)
	}

	return fmt.Errorf("%w: %w", errCut, err)
}

func (v *viewer) followEvents(ctx context.Context) error {
	transport := &http.Transport{DialContext: v.connect, DisableKeepAlives: true}
	defer transport.CloseIdleConnections()

	request, err := http.NewRequestWithContext(ctx, http.MethodPost, v.url+"/graphql", bytes.NewReader(v.payload()))
	if err != nil {
		return err
	}

	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "text/event-stream")

	if v.header && v.after != "" {
		request.Header.Set("Last-Event-Id", v.after)
	}

	response, err := transport.RoundTrip(request)
	if err != nil {
		return fmt.Errorf("%w: %w", errCut, err)
	}
	defer response.Body.Close()

	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", response.StatusCode)
	}

	events := bufio.NewReaderSize(response.Body, 64<<10)
	kind, id := "", ""

	for {
		text, err := events.ReadBytes('\n')
		if err != nil {
			return fmt.Errorf("%w: %w", errCut, err)
		}

		text = bytes.TrimSuffix(text, []byte("\n"))

		name, field, _ := bytes.Cut(text, []byte(": "))

		switch {
		case string(name) == "event":
			kind, id = string(field), ""
		case string(name) == "id":
			id = string(field)
		case string(name) == "data" && kind == "complete":
			v.completed = true

			return nil
		case string(name) == "data" && kind == "next":
			if err := v.take(field); err != nil {
				return err
			}

			if id != v.after {
				return fmt.Errorf("the event has the id %q, its batch the cursor %q", id, v.after)
			}
		}
	}
}

// lossy is a connection that is reset after so many bytes were read from it.
type lossy struct {
	*net.TCPConn

	left int
}

// cutAfter dials connections that are reset after so many bytes.
func cutAfter(bytes int) func(ctx context.Context, address string) (net.Conn, error) {
	return func(ctx context.Context, address string) (net.Conn, error) {
		var d net.Dialer

		conn, err := d.DialContext(ctx, "tcp", address)
		if err != nil {
			return nil, err
		}

		tcp, ok := conn.(*net.TCPConn)
		if !ok {
			return nil, errors.New("not TCP")
		}

		return &lossy{TCPConn: tcp, left: bytes}, nil
	}
}

// Read reads, or resets the connection.
func (l *lossy) Read(into []byte) (int, error) {
	if l.left <= 0 {
		// With a linger of zero closing is a reset.
		return 0, errors.Join(io.ErrUnexpectedEOF, l.SetLinger(0), l.Close())
	}

	n, err := l.TCPConn.Read(into[:min(len(into), l.left)])
	l.left -= n

	return n, err
}
