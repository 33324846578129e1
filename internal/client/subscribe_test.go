package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/shiplog/shiplog/internal/fault"
)

// fake is a graphql-transport-ws server that plays one script a connection and
// keeps the `after` that each subscription came with.
type fake struct {
	t       *testing.T
	scripts []func(peer)

	handlers sync.WaitGroup
	mu       sync.Mutex
	afters   []any
}

// peer is the server's side of a subscription that has begun.
type peer struct {
	t    *testing.T
	conn *websocket.Conn
}

func (p peer) send(kind, payload string) {
	m := message{ID: subscriptionID, Type: kind}
	if payload != "" {
		m.Payload = json.RawMessage(payload)
	}

	if err := p.conn.WriteJSON(m); err != nil {
		p.t.Errorf("send %s: %v", kind, err)
	}
}

func (p peer) next(cursors ...string) {
	for _, cursor := range cursors {
		p.send(typeNext, fmt.Sprintf(`{"data":{"lines":{"cursor":%q}}}`, cursor))
	}
}

// close ends the connection with a code of the protocol.
func (p peer) close(code int, text string) {
	if err := p.conn.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(code, text)); err != nil {
		p.t.Errorf("close: %v", err)
	}
}

// untilGone reads until the client hangs up.
func (p peer) untilGone() {
	for {
		if _, _, err := p.conn.ReadMessage(); err != nil {
			return
		}
	}
}

func (f *fake) serve(w http.ResponseWriter, r *http.Request) {
	f.handlers.Add(1)
	defer f.handlers.Done()

	upgrader := websocket.Upgrader{Subprotocols: []string{protocol}}

	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		f.t.Error(err)

		return
	}
	defer conn.Close()

	var begin, subscribe message
	if err := conn.ReadJSON(&begin); err != nil || begin.Type != typeInit {
		f.t.Errorf("first message %+v, %v", begin, err)
	}

	if err := conn.WriteJSON(message{Type: typeAck}); err != nil {
		f.t.Error(err)
	}

	if err := conn.ReadJSON(&subscribe); err != nil || subscribe.Type != typeSubscribe {
		f.t.Errorf("second message %+v, %v", subscribe, err)
	}

	var request struct{ Variables map[string]any }
	if err := json.Unmarshal(subscribe.Payload, &request); err != nil {
		f.t.Error(err)
	}

	f.mu.Lock()
	n := len(f.afters)
	f.afters = append(f.afters, request.Variables["after"])
	f.mu.Unlock()

	if n >= len(f.scripts) {
		f.t.Errorf("connection %d was not expected", n+1)

		return
	}

	f.scripts[n](peer{f.t, conn})
}

// follow subscribes and returns the cursors that came.
func follow(ctx context.Context, t *testing.T, f *fake, tune func(*timing), stopAt string) ([]string, error) {
	t.Helper()

	f.t = t
	c := newClient(t, f.serve)
	c.timing.firstDelay = time.Millisecond

	if tune != nil {
		tune(&c.timing)
	}

	var came []string

	err := c.Subscribe(ctx, "subscription S($after: Cursor) { lines(after: $after) { cursor } }", nil,
		func(data json.RawMessage) error {
			var result struct{ Lines struct{ Cursor string } }
			if err := json.Unmarshal(data, &result); err != nil {
				return err
			}

			came = append(came, result.Lines.Cursor)
			if result.Lines.Cursor == stopAt {
				return errEnough
			}

			return nil
		})

	f.handlers.Wait()

	return came, err
}

var errEnough = errors.New("enough")

func TestSubscribeResumesAfterTheLastResult(t *testing.T) {
	t.Parallel()

	f := &fake{scripts: []func(peer){
		func(p peer) { p.next("1", "2") },                                      // cut without a word
		func(p peer) { p.next("3"); p.close(websocket.CloseGoingAway, "bye") }, // the server restarts
		func(p peer) { p.send(typePing, ""); p.next("4"); p.send(typeComplete, ""); p.untilGone() },
	}}

	came, err := follow(t.Context(), t, f, nil, "")
	if err != nil || !slices.Equal(came, []string{"1", "2", "3", "4"}) {
		t.Errorf("came %v, %v", came, err)
	}

	if !slices.Equal(f.afters, []any{nil, "2", "3"}) {
		t.Errorf("asked after %v", f.afters)
	}
}

func TestSubscribeNoticesASilentConnection(t *testing.T) {
	t.Parallel()

	f := &fake{scripts: []func(peer){
		func(p peer) { p.next("1"); p.untilGone() }, // answers no ping
		func(p peer) { p.next("2"); p.send(typeComplete, "") },
	}}

	came, err := follow(t.Context(), t, f, func(timing *timing) {
		timing.ping, timing.silence = 20*time.Millisecond, 100*time.Millisecond
	}, "")
	if err != nil || !slices.Equal(came, []string{"1", "2"}) {
		t.Errorf("came %v, %v", came, err)
	}
}

func TestSubscribeTriesAgainWhenTheServerSaysSo(t *testing.T) {
	t.Parallel()

	unavailable := `[{"message":"draining","extensions":{"code":"UNAVAILABLE"}}]`
	f := &fake{scripts: []func(peer){
		func(p peer) { p.next("1"); p.send(typeError, unavailable); p.untilGone() },
		func(p peer) { p.next("2"); p.send(typeComplete, "") },
	}}

	came, err := follow(t.Context(), t, f, nil, "")
	if err != nil || !slices.Equal(came, []string{"1", "2"}) || !slices.Equal(f.afters, []any{nil, "1"}) {
		t.Errorf("came %v, asked after %v, %v", came, f.afters, err)
	}
}

func TestSubscribeReturnsRefusals(t *testing.T) {
	t.Parallel()

	cases := map[string]struct {
		script func(peer)
		code   fault.Code
	}{
		"an error message": {func(p peer) {
			p.send(typeError, `[{"message":"too old","extensions":{"code":"STALE","field":"after"}}]`)
			p.untilGone()
		}, fault.Stale},
		"an error in a result": {func(p peer) {
			p.send(typeNext, `{"data":null,"errors":[{"message":"no","extensions":{"code":"FORBIDDEN"}}]}`)
			p.untilGone()
		}, fault.Forbidden},
		"a close that says who are you": {func(p peer) { p.close(closeUnauthorized, "unknown token") }, fault.Unauthenticated},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			_, err := follow(t.Context(), t, &fake{scripts: []func(peer){tc.script}}, nil, "")

			var refused *Error
			if !errors.As(err, &refused) || refused.Code != tc.code {
				t.Errorf("%v, want %s", err, tc.code)
			}
		})
	}
}

func TestSubscribeEndsWithItsCallbackAndItsContext(t *testing.T) {
	t.Parallel()

	f := &fake{scripts: []func(peer){func(p peer) { p.next("1", "2"); p.untilGone() }}}
	if came, err := follow(t.Context(), t, f, nil, "2"); !errors.Is(err, errEnough) || len(came) != 2 {
		t.Errorf("came %v, %v, want the callback's error", came, err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	f = &fake{scripts: []func(peer){func(p peer) { p.next("1"); cancel(); p.untilGone() }}}

	if _, err := follow(ctx, t, f, nil, ""); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want the context's error", err)
	}
}

func TestSubscribeGivesUp(t *testing.T) {
	t.Parallel()

	cut := func(peer) {}
	f := &fake{scripts: slices.Repeat([]func(peer){cut}, 100)}

	_, err := follow(t.Context(), t, f, func(timing *timing) {
		timing.retryFor, timing.maxDelay = 50*time.Millisecond, 10*time.Millisecond
	}, "")

	var unreachable *Unreachable
	if !errors.As(err, &unreachable) || len(f.afters) < 2 {
		t.Errorf("%v after %d connections, want an Unreachable after some", err, len(f.afters))
	}
}
