package transport

import (
	"bytes"
	"encoding/json"
	"errors"
	"unicode/utf8"

	"github.com/99designs/gqlgen/graphql"
)

// protocol is the only subprotocol that is spoken.
const protocol = "graphql-transport-ws"

// Close codes of graphql-transport-ws and of WebSocket itself.
const (
	closeNone            = 0 // the connection is gone or its close frame was sent
	closeNormal          = 1000
	closeRestart         = 1012
	closeTryAgain        = 1013
	closeBadRequest      = 4400
	closeUnauthorized    = 4401
	closeForbidden       = 4403
	closeProtocol        = 4406
	closeInitTimeout     = 4408
	closeDuplicate       = 4409
	closeTooManyInits    = 4429
	maxCloseReason       = 123
	maxOperationID       = 256
	messageInit          = "connection_init"
	messagePing          = "ping"
	messagePong          = "pong"
	messageSubscribe     = "subscribe"
	messageComplete      = "complete"
	reasonUnauthorized   = "Unauthorized"
	reasonForbidden      = "Forbidden"
	reasonProtocol       = "Subprotocol not acceptable"
	reasonInitTimeout    = "Connection initialisation timeout"
	reasonTooManyInits   = "Too many initialisation requests"
	reasonRestart        = "Service restart"
	reasonInvalidMessage = "Invalid message"
)

// message is what a client may send.
type message struct {
	id, kind string
	// payload of connection_init and ping, nil without one.
	payload map[string]any
	// params of subscribe.
	params *graphql.RawParams
}

var errMessage = errors.New("invalid message")

// decodeMessage reads a message. Everything that the protocol does not
// describe is an error, which never repeats what was sent.
func decodeMessage(raw []byte) (message, error) {
	if !utf8.Valid(raw) {
		return message{}, errMessage
	}

	var keys map[string]json.RawMessage
	if err := json.Unmarshal(raw, &keys); err != nil || keys == nil {
		return message{}, errMessage
	}

	var m message

	var err error
	if m.kind, err = decodeString("type", keys["type"]); err != nil {
		return message{}, errMessage
	}

	switch m.kind {
	case messageInit, messagePing, messagePong:
		if m.payload, err = decodeObject("payload", keys["payload"]); err != nil {
			return message{}, errMessage
		}
	case messageSubscribe, messageComplete:
		m.id, err = decodeString("id", keys["id"])
		if err != nil || m.id == "" || len(m.id) > maxOperationID {
			return message{}, errMessage
		}

		if m.kind == messageComplete {
			break
		}

		payload := bytes.TrimSpace(keys["payload"])
		if len(payload) == 0 || payload[0] != '{' {
			return message{}, errMessage
		}

		if m.params, err = decodeParams(payload); err != nil {
			return message{}, errMessage
		}
	default:
		return message{}, errMessage
	}

	return m, nil
}

// quoted gives s as JSON.
func quoted(s string) []byte {
	b, err := appendJSON(nil, s)
	if err != nil {
		return []byte(`""`) // Unreachable: strings always encode.
	}

	return b
}
