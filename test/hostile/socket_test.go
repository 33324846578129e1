//go:build unix

package hostile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/gorilla/websocket"
)

const endless = `subscription { events { cursor } }`

// Who does not keep to the protocol of a socket is told by its close code.
func TestBrokenProtocol(t *testing.T) {
	t.Parallel()

	a := start(t, "sqlite")
	a.calm()

	for name, c := range map[string]struct {
		says []string
		code int
	}{
		"an id that runs":               {[]string{subscribing("1", endless), subscribing("1", endless)}, 4409},
		"an id that runs, a query":      {[]string{subscribing("1", endless), subscribing("1", `{ viewer { __typename } }`)}, 4409},
		"an unknown type":               {[]string{`{"type":"start","id":"1","payload":{"query":"{ viewer { __typename } }"}}`}, 4400},
		"no type":                       {[]string{`{"id":"1"}`}, 4400},
		"not JSON":                      {[]string{`{"type":"ping"`}, 4400},
		"a list":                        {[]string{`[{"type":"ping"}]`}, 4400},
		"nothing":                       {[]string{``}, 4400},
		"two at once":                   {[]string{`{"type":"ping"}{"type":"ping"}`}, 4400},
		"subscribe without id":          {[]string{`{"type":"subscribe","payload":{"query":"{ viewer { __typename } }"}}`}, 4400},
		"subscribe with an empty id":    {[]string{subscribing("", endless)}, 4400},
		"subscribe with a number as id": {[]string{`{"id":1,"type":"subscribe","payload":{"query":"{ viewer { __typename } }"}}`}, 4400},
		"subscribe without payload":     {[]string{`{"id":"1","type":"subscribe"}`}, 4400},
		"a query that is no text":       {[]string{`{"id":"1","type":"subscribe","payload":{"query":["{ viewer { __typename } }"]}}`}, 4400},
		"a payload that is a list":      {[]string{`{"type":"ping","payload":[1]}`}, 4400},
		"an id of 1 kB":                 {[]string{subscribing(strings.Repeat("x", 1024), endless)}, 4400},
		"a second initialisation":       {[]string{`{"type":"connection_init"}`}, 4429},
	} {
		t.Run(name, func(t *testing.T) {
			s := a.of(t).connect()

			for _, text := range c.says {
				s.say(text)
			}

			if code, reason := s.closed(); code != c.code {
				t.Errorf("closed with %d %s, not %d", code, reason, c.code)
			}
		})
	}

	t.Run("a binary message", func(t *testing.T) {
		s := a.of(t).connect()
		if err := s.WriteMessage(websocket.BinaryMessage, []byte(`{"type":"ping"}`)); err != nil {
			t.Fatal(err)
		}

		if code, reason := s.closed(); code != 4400 {
			t.Errorf("closed with %d %s", code, reason)
		}
	})
}

func subscribing(id, document string) string {
	return fmt.Sprintf(`{"id":%q,"type":"subscribe","payload":%s}`, id, body(document, nil))
}

func TestSubscribeBeforeTheInitialisation(t *testing.T) {
	t.Parallel()

	a := start(t, "sqlite")
	a.calm()

	before := a.position()
	s := a.dial()
	s.subscribe("1", `mutation { createService(input: {name: "never"}) { service { id } } }`, nil)

	if code, reason := s.closed(); code != 4401 {
		t.Errorf("closed with %d %s", code, reason)
	}

	if after := a.position(); after != before {
		t.Errorf("the journal moved from %s to %s", before, after)
	}
}

func TestNoInitialisation(t *testing.T) {
	t.Parallel()

	a := start(t, "sqlite")
	a.calm()

	s := a.dial()
	s.say(`{"type":"ping"}`) // which is allowed before, and changes nothing

	if code, reason := s.closed(); code != 4408 {
		t.Errorf("closed with %d %s", code, reason)
	}
}

// A message of 17 MB ends the socket when its length is known, in one frame or
// in a thousand; what is sent is not kept.
func TestHugeMessages(t *testing.T) {
	t.Parallel()

	const size = 17 << 20

	a := start(t, "sqlite")
	a.calm()

	text := []byte(subscribing("1", `{ viewer { __typename } } #`+strings.Repeat("x", size)))

	for name, write := range map[string]func(s socket) error{
		"one frame": func(s socket) error { return s.WriteMessage(websocket.TextMessage, text) },
		"many frames": func(s socket) error {
			w, err := s.NextWriter(websocket.TextMessage)
			if err != nil {
				return err
			}

			for rest := text; len(rest) > 0 && err == nil; rest = rest[min(len(rest), 16<<10):] {
				_, err = w.Write(rest[:min(len(rest), 16<<10)])
			}

			return errors.Join(err, w.Close())
		},
	} {
		before := a.measure()
		s := a.connect()
		wrote := make(chan error, 1)

		go func() { wrote <- write(s) }()

		if code, reason := s.closed(); code != websocket.CloseMessageTooBig {
			t.Errorf("%s: closed with %d %s", name, code, reason)
		}

		after := a.measure()
		s.Close()

		// The server stops listening before all is said, or has discarded it.
		if err := <-wrote; err != nil && !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) && !strings.Contains(err.Error(), "close") {
			t.Errorf("%s: %v", name, err)
		}

		if took := after.allocated - before.allocated; took > 8<<20 {
			t.Errorf("%s: took %d bytes", name, took)
		}
	}
}

// Of 10,000 operations on one socket as many run as its cap says, the others
// are refused alone, and when those end there is room again.
func TestTenThousandOperations(t *testing.T) {
	t.Parallel()

	const asked, most = 10_000, 100

	a := start(t, "sqlite")
	a.calm()

	s := a.connect()

	// Said by itself, because the server does not take more while nobody
	// reads its refusals.
	said := make(chan error, 1)

	go func() {
		for i := range asked {
			if err := s.WriteMessage(websocket.TextMessage, []byte(subscribing(strconv.Itoa(i), endless))); err != nil {
				said <- err

				return
			}
		}

		said <- nil
	}()

	refused := map[string]bool{}

	for len(refused) < asked-most {
		m := s.next()

		var errs []refusal
		if err := json.Unmarshal(m.Payload, &errs); m.Type != "error" || err != nil || len(errs) != 1 {
			t.Fatalf("%s %s", m.Type, m.Payload)
		}

		if e := errs[0].Extensions; e.Code != "RATE_LIMITED" || e.RetryAfter <= 0 || !strings.Contains(errs[0].Message, strconv.Itoa(most)) {
			t.Fatalf("%s", m.Payload)
		}

		refused[m.ID] = true
	}

	if err := <-said; err != nil {
		t.Fatal(err)
	}

	if len(refused) != asked-most {
		t.Errorf("%d were refused", len(refused))
	}

	if g := a.measure(); g.goroutines > 20*most {
		t.Errorf("with %d operations: %v", most, g)
	}

	// Those that run are alive, and each frees its place.
	for i := range asked {
		if id := strconv.Itoa(i); !refused[id] {
			s.say(`{"id":"` + id + `","type":"complete"}`)
		}
	}

	got := s.once("again", `{ viewer { __typename } }`, nil)
	for eventually := 0; got.code() == "RATE_LIMITED" && eventually < 1000; eventually++ {
		got = s.once("again"+strconv.Itoa(eventually), `{ viewer { __typename } }`, nil)
	}

	if got.code() != "" {
		t.Errorf("no place is free again: %s", got.raw)
	}
}

// What is not of the protocol of WebSocket itself: the server answers in
// HTTP's terms, or closes.
func TestBrokenHandshakes(t *testing.T) {
	t.Parallel()

	a := start(t, "sqlite")
	a.calm()

	for name, c := range map[string]struct{ head, want string }{
		"another version": {"Sec-WebSocket-Version: 7\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", "HTTP/1.1 400"},
		"no key":          {"Sec-WebSocket-Version: 13\r\n", "HTTP/1.1 400"},
		"another origin":  {"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: https://evil.example\r\n", "HTTP/1.1 403"},
	} {
		conn := a.raw()
		fmt.Fprintf(conn, "GET /graphql HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n%s\r\n", a.host(), c.head)

		got := make([]byte, 1024)

		n, err := conn.Read(got)
		if err != nil || !bytes.HasPrefix(got[:n], []byte(c.want)) {
			t.Errorf("%s: %v %s", name, err, got[:n])
		}
	}

	t.Run("a frame that is not masked", func(t *testing.T) {
		s := a.of(t).connect()
		if _, err := s.NetConn().Write([]byte("\x81\x0f{\"type\":\"ping\"}")); err != nil {
			t.Fatal(err)
		}

		if code, _ := s.closed(); code != websocket.CloseProtocolError {
			t.Errorf("closed with %d", code)
		}
	})

	t.Run("another subprotocol", func(t *testing.T) {
		dialer := websocket.Dialer{Subprotocols: []string{"graphql-ws"}}

		conn, response, err := dialer.DialContext(t.Context(), "ws://"+a.host()+"/graphql", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		defer response.Body.Close()

		if code, _ := (socket{conn, a.of(t)}).closed(); code != 4406 {
			t.Errorf("closed with %d", code)
		}
	})
}
