package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/shiplog/shiplog/internal/fault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newClient makes a client of a test server and closes both at the end.
func newClient(t *testing.T, handler http.HandlerFunc) *Client {
	t.Helper()

	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)

	c, err := New(Config{Server: server.URL, Token: "secret", UserAgent: "shiplog/test"})
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(c.Close)

	return c
}

func TestDoSendsAsTheContractWantsIt(t *testing.T) {
	t.Parallel()

	c := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}

		want := `{"query":"query { x }","variables":{"a":1}}`
		if string(body) != want || r.Method != http.MethodPost || r.URL.Path != "/graphql" {
			t.Errorf("%s %s %s, want POST /graphql %s", r.Method, r.URL.Path, body, want)
		}

		for name, value := range map[string]string{
			"Authorization": "Bearer secret", "Content-Type": "application/json", "User-Agent": "shiplog/test",
			"Accept": "application/graphql-response+json, application/json;q=0.9",
		} {
			if r.Header.Get(name) != value {
				t.Errorf("%s: %q, want %q", name, r.Header.Get(name), value)
			}
		}

		fmt.Fprint(w, `{"data":{"x":7}}`)
	})

	var out struct{ X int }
	if err := c.Do(t.Context(), "query { x }", map[string]any{"a": 1}, &out); err != nil || out.X != 7 {
		t.Errorf("x = %d, %v", out.X, err)
	}

	var raw json.RawMessage
	if err := c.Do(t.Context(), "query { x }", map[string]any{"a": 1}, &raw); err != nil || string(raw) != `{"x":7}` {
		t.Errorf("data = %s, %v", raw, err)
	}
}

func TestDoTellsRefusalsFromBadAnswers(t *testing.T) {
	t.Parallel()

	cases := map[string]struct {
		status int
		body   string
		text   string
		code   fault.Code // "" for an Unreachable
	}{
		"a refusal with a field": {
			422, `{"errors":[{"message":"no such service","extensions":{"code":"NOT_FOUND","field":"service"}}]}`,
			"NOT_FOUND: no such service (field service)", fault.NotFound,
		},
		"a refusal without a code": {200, `{"data":null,"errors":[{"message":"odd"}]}`, "INTERNAL: odd", fault.Internal},
		"a fault with its request": {
			500, `{"errors":[{"message":"internal","extensions":{"code":"INTERNAL","requestId":"r1"}}]}`,
			"INTERNAL: internal (request r1)", fault.Internal,
		},
		"some other server": {502, `<html>bad gateway</html>`, "", ""},
		"JSON without data": {200, `{}`, "", ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			c := newClient(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(tc.status)
				fmt.Fprint(w, tc.body)
			})
			err := c.Do(t.Context(), "query { x }", nil, nil)

			var (
				refused     *Error
				unreachable *Unreachable
			)

			switch {
			case tc.code == "":
				if !errors.As(err, &unreachable) {
					t.Errorf("%v, want an Unreachable", err)
				}
			case !errors.As(err, &refused) || refused.Code != tc.code || refused.Error() != tc.text:
				t.Errorf("%v, want %s", err, tc.text)
			}
		})
	}
}

func TestDoRepeatsOnlyWhatIsHarmless(t *testing.T) {
	t.Parallel()

	keyed := map[string]any{"input": map[string]any{"idempotencyKey": "k"}}
	cases := map[string]struct {
		query     string
		variables map[string]any
		requests  int32
		ok        bool
	}{
		"a query":                {"query { x }", nil, 2, true},
		"a mutation with a key":  {"mutation M { x }", keyed, 2, true},
		"a mutation without one": {"mutation M { x }", map[string]any{"input": map[string]any{}}, 1, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			var requests atomic.Int32

			c := newClient(t, func(w http.ResponseWriter, _ *http.Request) {
				if requests.Add(1) == 1 {
					panic(http.ErrAbortHandler) // the answer is lost
				}

				fmt.Fprint(w, `{"data":{}}`)
			})

			err := c.Do(t.Context(), tc.query, tc.variables, nil)
			if (err == nil) != tc.ok || requests.Load() != tc.requests {
				t.Errorf("%d requests, %v", requests.Load(), err)
			}
		})
	}
}

func TestNewRefusesURLs(t *testing.T) {
	t.Parallel()

	for _, server := range []string{"127.0.0.1:8080", "ftp://host", "http://", "://"} {
		if _, err := New(Config{Server: server}); err == nil {
			t.Errorf("%q was accepted", server)
		}
	}
}

func TestNobodyThere(t *testing.T) {
	t.Parallel()

	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()

	c, err := New(Config{Server: server.URL})
	if err != nil {
		t.Fatal(err)
	}

	var unreachable *Unreachable
	if err := c.Do(t.Context(), "query { x }", nil, nil); !errors.As(err, &unreachable) {
		t.Errorf("Do: %v, want an Unreachable", err)
	}

	err = c.Subscribe(t.Context(), "subscription { x }", nil, func(json.RawMessage) error { return nil })
	if !errors.As(err, &unreachable) {
		t.Errorf("Subscribe: %v, want an Unreachable", err)
	}
}
