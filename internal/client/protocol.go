package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/gorilla/websocket"

	"github.com/shiplog/shiplog/internal/fault"
)

// The messages of graphql-transport-ws.
const (
	protocol = "graphql-transport-ws"

	typeInit      = "connection_init"
	typeAck       = "connection_ack"
	typePing      = "ping"
	typePong      = "pong"
	typeSubscribe = "subscribe"
	typeNext      = "next"
	typeError     = "error"
	typeComplete  = "complete"

	// subscriptionID is the one id of a connection: each carries one stream.
	subscriptionID = "1"
)

// Close codes of the protocol after which the same request would be closed
// again.
const (
	closeBadRequest   = 4400
	closeUnauthorized = 4401
	closeForbidden    = 4403
	closeNoProtocol   = 4406
)

type message struct {
	ID      string          `json:"id,omitempty"`
	Type    string          `json:"type"`
	Payload json.RawMessage `json:"payload,omitempty"`
}

// dial opens a connection that speaks the protocol.
func (c *Client) dial(ctx context.Context) (*websocket.Conn, error) {
	dialer := websocket.Dialer{
		Proxy:            http.ProxyFromEnvironment,
		HandshakeTimeout: c.timing.handshake,
		Subprotocols:     []string{protocol},
	}

	conn, answer, err := dialer.DialContext(ctx, c.socket, c.header)
	if err != nil {
		return nil, c.refusedHandshake(answer, err)
	}

	if conn.Subprotocol() != protocol {
		conn.Close()

		return nil, &Unreachable{URL: c.socket, Cause: errors.New("the server does not speak " + protocol)}
	}

	conn.SetReadLimit(maxMessage)

	return conn, nil
}

// refusedHandshake tells a refusal from a server that is not there.
func (c *Client) refusedHandshake(answer *http.Response, cause error) error {
	if answer == nil {
		return &connectionLost{cause: cause, never: true}
	}
	defer answer.Body.Close()

	var decoded response

	text, err := io.ReadAll(io.LimitReader(answer.Body, 1<<16))
	if err == nil && json.Unmarshal(text, &decoded) == nil {
		if refused := refusal(decoded.Errors); refused != nil {
			return retryable(refused)
		}
	}

	switch {
	case answer.StatusCode == http.StatusUnauthorized:
		return &Error{Code: fault.Unauthenticated, Message: "the server does not know the caller"}
	case answer.StatusCode == http.StatusForbidden:
		return &Error{Code: fault.Forbidden, Message: "the server does not let the caller in"}
	case answer.StatusCode >= http.StatusInternalServerError:
		return &connectionLost{cause: fmt.Errorf("%s: %w", answer.Status, cause)}
	default:
		return &Unreachable{URL: c.socket, Cause: fmt.Errorf("%s: %w", answer.Status, cause)}
	}
}

// read hands over every message until the connection ends or done is closed,
// and says why it ended. Anything that arrives, a pong too, is a sign of life.
func read(conn *websocket.Conn, messages chan<- message, done <-chan struct{}, silence time.Duration) error {
	for {
		if err := conn.SetReadDeadline(time.Now().Add(silence)); err != nil {
			return &connectionLost{cause: err}
		}

		var m message

		if err := conn.ReadJSON(&m); err != nil {
			return ended(err)
		}

		select {
		case messages <- m:
		case <-done:
			return nil
		}
	}
}

// ended says what the end of a connection means.
func ended(err error) error {
	var closed *websocket.CloseError
	if !errors.As(err, &closed) {
		return &connectionLost{cause: err}
	}

	switch closed.Code {
	case closeUnauthorized:
		return &Error{Code: fault.Unauthenticated, Message: closed.Text}
	case closeForbidden:
		return &Error{Code: fault.Forbidden, Message: closed.Text}
	case closeBadRequest, closeNoProtocol:
		return &Error{Code: fault.InvalidInput, Message: closed.Text}
	default:
		return &connectionLost{cause: err}
	}
}
