package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/gorilla/websocket"

	"github.com/shiplog/shiplog/internal/fault"
)

// timing holds the waits of a subscription, so that tests can shorten them.
type timing struct {
	// retryFor is how long to try to connect again without one result.
	retryFor time.Duration
	// firstDelay and maxDelay bound the wait before connecting again, which
	// doubles from one attempt to the next.
	firstDelay, maxDelay time.Duration
	// ping is sent this often; silence is how long a connection may say
	// nothing at all before it counts as lost.
	ping, silence time.Duration
	// handshake and write bound what should be quick.
	handshake, write time.Duration
}

func defaultTiming(retryFor time.Duration) timing {
	if retryFor == 0 {
		retryFor = time.Minute
	}

	return timing{
		retryFor:   retryFor,
		firstDelay: 100 * time.Millisecond, maxDelay: 5 * time.Second,
		ping: 10 * time.Second, silence: 25 * time.Second,
		handshake: 10 * time.Second, write: 10 * time.Second,
	}
}

// maxMessage bounds one message of a subscription, in bytes.
const maxMessage = 64 << 20

// Subscribe runs one subscription and hands each result's `data` to on, until
// the stream completes (nil), on fails (its error, unwrapped), ctx ends (the
// context's error), the server refuses (*Error) or cannot be reached for too
// long (*Unreachable).
//
// The document must take the variable `$after` and select `cursor` in its one
// root field: with it a lost connection is resumed.
func (c *Client) Subscribe(
	ctx context.Context, query string, variables map[string]any, on func(data json.RawMessage) error,
) error {
	stream := &stream{client: c, query: query, variables: maps.Clone(variables), on: on}
	if stream.variables == nil {
		stream.variables = map[string]any{}
	}

	delay := c.timing.firstDelay
	giveUp := time.Now().Add(c.timing.retryFor)

	for first := true; ; first = false {
		before := stream.results

		err := stream.run(ctx)

		var broken *connectionLost
		if !errors.As(err, &broken) {
			return err
		}

		if ctx.Err() != nil {
			return ctx.Err()
		}

		if stream.results > before {
			delay = c.timing.firstDelay
			giveUp = time.Now().Add(c.timing.retryFor)
		}

		if (first && broken.never) || time.Now().After(giveUp) {
			return &Unreachable{URL: c.socket, Cause: broken.cause}
		}

		select {
		case <-time.After(delay):
		case <-ctx.Done():
			return ctx.Err()
		}

		delay = min(2*delay, c.timing.maxDelay)
	}
}

// connectionLost says that connecting again may help. never: there was no
// connection in the first place.
type connectionLost struct {
	cause error
	never bool
}

func (e *connectionLost) Error() string { return e.cause.Error() }
func (e *connectionLost) Unwrap() error { return e.cause }

// stream is a subscription over its connections.
type stream struct {
	client    *Client
	query     string
	variables map[string]any
	on        func(json.RawMessage) error
	results   int
}

// run makes one connection and serves it to its end. nil: the stream completed.
func (s *stream) run(ctx context.Context) error {
	conn, err := s.client.dial(ctx)
	if err != nil {
		return err
	}

	messages := make(chan message)
	failed := make(chan error, 1)
	done := make(chan struct{})
	reader := make(chan struct{})

	go func() {
		defer close(reader)
		failed <- read(conn, messages, done, s.client.timing.silence)
	}()

	err = s.serve(ctx, conn, messages, failed)

	close(done)
	conn.Close()
	<-reader

	return err
}

// serve speaks the protocol from the greeting to the end of the stream.
func (s *stream) serve(ctx context.Context, conn *websocket.Conn, messages <-chan message, failed <-chan error) error {
	if err := s.send(conn, message{Type: typeInit}); err != nil {
		return err
	}

	ping := time.NewTicker(s.client.timing.ping)
	defer ping.Stop()

	for {
		var err error

		ended := false

		select {
		case m := <-messages:
			ended, err = s.take(conn, m)
		case err = <-failed:
		case <-ping.C:
			err = s.send(conn, message{Type: typePing})
		case <-ctx.Done():
			s.hangUp(conn)

			return ctx.Err()
		}

		if err != nil || ended {
			s.hangUp(conn)

			return err
		}
	}
}

// take handles one message; ended reports that the stream is complete.
func (s *stream) take(conn *websocket.Conn, m message) (ended bool, err error) {
	switch m.Type {
	case typeAck:
		payload, err := json.Marshal(map[string]any{"query": s.query, "variables": s.variables})
		if err != nil {
			return false, fmt.Errorf("encode the request: %w", err)
		}

		return false, s.send(conn, message{ID: subscriptionID, Type: typeSubscribe, Payload: payload})
	case typePing:
		return false, s.send(conn, message{Type: typePong})
	case typeNext:
		return false, s.result(m.Payload)
	case typeError:
		var refused []graphQLError
		if err := json.Unmarshal(m.Payload, &refused); err != nil || len(refused) == 0 {
			return false, fmt.Errorf("the server sent an error that cannot be read: %s", m.Payload)
		}

		return false, retryable(refusal(refused))
	case typeComplete:
		return true, nil
	default:
		return false, nil
	}
}

// result hands one result over and remembers its cursor.
func (s *stream) result(payload json.RawMessage) error {
	var answer response
	if err := json.Unmarshal(payload, &answer); err != nil {
		return fmt.Errorf("decode a result: %w", err)
	}

	if err := refusal(answer.Errors); err != nil {
		return retryable(err)
	}

	if err := s.on(answer.Data); err != nil {
		return err
	}

	s.results++

	var roots map[string]struct {
		Cursor string `json:"cursor"`
	}
	if err := json.Unmarshal(answer.Data, &roots); err != nil {
		return fmt.Errorf("decode a result: %w", err)
	}

	for _, root := range roots {
		if root.Cursor != "" {
			s.variables["after"] = root.Cursor
		}
	}

	return nil
}

// retryable marks a refusal that says "try again" as a lost connection.
func retryable(err error) error {
	var refused *Error
	if errors.As(err, &refused) && refused.Code == fault.Unavailable {
		return &connectionLost{cause: err}
	}

	return err
}

func (s *stream) send(conn *websocket.Conn, m message) error {
	if err := conn.SetWriteDeadline(time.Now().Add(s.client.timing.write)); err != nil {
		return &connectionLost{cause: err}
	}

	if err := conn.WriteJSON(m); err != nil {
		return &connectionLost{cause: err}
	}

	return nil
}

// hangUp says goodbye as far as the connection still allows; what comes of it
// does not matter any more.
func (s *stream) hangUp(conn *websocket.Conn) {
	text := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
	_ = conn.WriteControl(websocket.CloseMessage, text, time.Now().Add(time.Second))
}
