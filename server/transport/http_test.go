package transport_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/shiplog/shiplog/internal/fault"
	"github.com/shiplog/shiplog/server/transport"
)

func TestOnlyJSONBodiesAreRead(t *testing.T) {
	t.Parallel()

	b := serve(t)
	mutation := body(t, "mutation { bump }", nil)

	var zipped bytes.Buffer

	z := gzip.NewWriter(&zipped)
	if _, err := z.Write([]byte(mutation)); err != nil || z.Close() != nil {
		t.Fatal(err)
	}

	for name, c := range map[string]struct {
		body    string
		headers []string
		status  int
	}{
		"text":       {mutation, []string{"Content-Type", "text/plain"}, 415},
		"urlencoded": {"query=mutation{bump}", []string{"Content-Type", "application/x-www-form-urlencoded"}, 415},
		"multipart":  {mutation, []string{"Content-Type", "multipart/form-data; boundary=x"}, 415},
		"no type":    {mutation, []string{"Content-Type", ""}, 415},
		"charset":    {mutation, []string{"Content-Type", "application/json; charset=utf-16"}, 415},
		"gzip":       {zipped.String(), []string{"Content-Encoding", "gzip"}, 415},
		"accept":     {mutation, []string{"Accept", "text/html"}, 406},
		"batch":      {"[" + mutation + "]", nil, 400},
		"two bodies": {mutation + mutation, nil, 400},
		"not UTF-8":  {"{\"query\":\"mutation { bump } #\xff\"}", nil, 400},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			got := b.postBody(t, strings.NewReader(c.body), c.headers...)
			if got.status != c.status || got.code() != string(fault.InvalidInput) || got.Data != nil {
				t.Errorf("%d %s", got.status, got.raw)
			}
		})
	}

	t.Cleanup(func() {
		if n := b.resolvers.Bumps.Load(); n != 0 {
			t.Errorf("%d mutations were executed", n)
		}
	})
}

func TestMutationsAreNotExecutedByGET(t *testing.T) {
	t.Parallel()

	b := serve(t)

	for _, accept := range []string{"application/json", "text/event-stream"} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.URL+"?query="+url.QueryEscape("mutation { bump }"), nil)
		if err != nil {
			t.Fatal(err)
		}

		request.Header.Set("Accept", accept)

		got := b.do(t, request)
		if got.status != http.StatusMethodNotAllowed || got.header.Get("Allow") != http.MethodPost {
			t.Errorf("%s: %d %s", accept, got.status, got.raw)
		}
	}

	if n := b.resolvers.Bumps.Load(); n != 0 {
		t.Errorf("%d mutations were executed", n)
	}
}

func TestBodiesAreBounded(t *testing.T) {
	t.Parallel()

	b := serve(t, func(_ *transport.ExecutorConfig, c *transport.Config) { c.ReadTimeout = 300 * time.Millisecond })

	t.Run("announced", func(t *testing.T) {
		t.Parallel()

		conn := b.raw(t)
		fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100000000\r\n\r\n{")
		wantStatus(t, conn, "HTTP/1.1 413")
	})

	t.Run("without end", func(t *testing.T) {
		t.Parallel()

		conn := b.raw(t)
		fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")

		go func() {
			chunk := "10000\r\n" + strings.Repeat(" ", 1<<16) + "\r\n"
			for {
				if _, err := io.WriteString(conn, chunk); err != nil {
					return
				}
			}
		}()

		wantStatus(t, conn, "HTTP/1.1 413")
	})

	t.Run("too slow", func(t *testing.T) {
		t.Parallel()

		conn := b.raw(t)
		fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{")
		wantStatus(t, conn, "HTTP/1.1 408")
	})
}

func wantStatus(t *testing.T, conn io.Reader, want string) {
	t.Helper()

	got := make([]byte, len(want))
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != want {
		t.Errorf("%q (%v), not %q", got, err, want)
	}
}

func TestNothingOfTheBodyIsRepeated(t *testing.T) {
	t.Parallel()

	b := serve(t)

	for _, broken := range []string{
		`{"query":"{ hello }","variables":{"token":"ghp_secret"}`,
		`{"query":"{ hello }" "ghp_secret"}`,
		`"ghp_secret"`,
		`{"query":"{ hello }","variables":"ghp_secret"}`,
		`ghp_secret`,
	} {
		got := b.postBody(t, strings.NewReader(broken))
		if got.status != http.StatusBadRequest || got.code() != string(fault.InvalidInput) || strings.Contains(got.raw, "ghp_") {
			t.Errorf("%s: %d %s", broken, got.status, got.raw)
		}
	}

	if reports := b.reports(); len(reports) > 0 {
		t.Errorf("reported: %v", reports)
	}
}

func TestErrorsAreCoded(t *testing.T) {
	t.Parallel()

	b := serve(t)
	echo := "query($v: %s) { echo(%s: $v) }"

	for name, c := range map[string]struct {
		query     string
		variables any
		code      fault.Code
		field     string
		message   string
	}{
		"syntax":           {query: "{", code: fault.InvalidInput},
		"unknown field":    {query: "{ nothing }", code: fault.InvalidInput},
		"no operation":     {query: "fragment f on Query { hello }", code: fault.InvalidInput, field: "query"},
		"missing variable": {query: "query($v: String!) { echo(text: $v) }", code: fault.InvalidInput, field: "v"},
		"null variable": {
			query: "query($v: String!) { echo(text: $v) }", variables: map[string]any{"v": nil}, code: fault.InvalidInput, field: "v",
		},
		"number as text": {query: fmt.Sprintf(echo, "String", "text"), variables: map[string]any{"v": 1}, code: fault.InvalidInput, field: "v"},
		"huge number":    {query: fmt.Sprintf(echo, "Int", "number"), variables: map[string]any{"v": 1e300}, code: fault.InvalidInput},
		"odd enum":       {query: fmt.Sprintf(echo, "Tone", "tone"), variables: map[string]any{"v": "loud\x00"}, code: fault.InvalidInput},
		"nested time": {
			query:     fmt.Sprintf(echo, "EchoInput", "input"),
			variables: map[string]any{"v": map[string]any{"inner": map[string]any{"at": "yesterday"}}},
			code:      fault.InvalidInput, field: "inner.at",
		},
		"nested type": {
			query:     fmt.Sprintf(echo, "EchoInput", "input"),
			variables: map[string]any{"v": map[string]any{"many": []any{map[string]any{"number": "x"}}}},
			code:      fault.InvalidInput, field: "v.many[0].number",
		},
		"refused":         {query: `{ fail(code: "CONFLICT", message: "taken") }`, code: fault.Conflict, message: "taken"},
		"database":        {query: "{ fail }", code: fault.Internal, message: "internal error; its request id is request-1"},
		"panic":           {query: "{ panic }", code: fault.Internal, message: "internal error; its request id is request-1"},
		"no event stream": {query: "subscription { silent }", code: fault.InvalidInput},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			got := b.post(t, c.query, c.variables)
			if got.code() != string(c.code) {
				t.Fatalf("%d %s", got.status, got.raw)
			}

			if field := got.Errors[0].Extensions.Field; c.field != "" && field != c.field {
				t.Errorf("field %q, not %q", field, c.field)
			}

			if c.message != "" && got.Errors[0].Message != c.message {
				t.Errorf("message %q", got.Errors[0].Message)
			}

			for _, secret := range []string{"secret", "pq:", ".go:", "goroutine"} {
				if strings.Contains(got.raw, secret) {
					t.Errorf("the answer shows %q: %s", secret, got.raw)
				}
			}
		})
	}
}

func TestOddInputIsNeverAServerError(t *testing.T) {
	t.Parallel()

	b := serve(t)
	values := []any{
		nil, true, -1, 1 << 60, 1e308, 0.5, "", strings.Repeat("x", 1<<19), "\u202Eabc", "../..", "%00", "\x00",
		[]any{},
		[]any{nil},
		[]any{[]any{1}},
		map[string]any{},
		map[string]any{"": 1},
		map[string]any{"inner": []any{}},
	}

	for arg, kind := range map[string]string{
		"text": "String", "number": "Int", "ratio": "Float", "flag": "Boolean", "id": "ID", "tone": "Tone",
		"input": "EchoInput", "at": "Time", "list": "[Int!]",
	} {
		for _, value := range values {
			got := b.post(t, fmt.Sprintf("query($v: %s) { echo(%s: $v) }", kind, arg), map[string]any{"v": value})
			if got.status >= 500 || got.code() != "" && got.code() != string(fault.InvalidInput) || len(got.raw) > 1<<20 {
				t.Errorf("%s %.40v: %d %.200s", kind, value, got.status, got.raw)
			}
		}
	}

	if reports := b.reports(); len(reports) > 0 {
		t.Errorf("reported: %v", reports)
	}
}

func TestCostIsTold(t *testing.T) {
	t.Parallel()

	b := serve(t)
	query := "query($n: Int = 5) { items(first: $n) { edges { node { ...f } } } } fragment f on Item { children(first: 3) { nodes { id } } }"

	// 1 connection, 5 edges, 5 nodes, 5 connections of 3 nodes.
	if got := b.post(t, query, nil); got.Extensions.Cost.Requested != 1+5*(1+1+1+3) || got.Extensions.Cost.Maximum != 50_000 {
		t.Error(got.raw)
	}

	got := b.post(t, query, map[string]any{"n": 1_000_000})
	if got.code() != string(fault.TooComplex) || got.Extensions.Cost.Requested != 1+1_000_000*6 {
		t.Error(got.raw)
	}
}

func TestIntrospectionCanBeTurnedOff(t *testing.T) {
	t.Parallel()

	b := serve(t, func(c *transport.ExecutorConfig, _ *transport.Config) { c.NoIntrospection = true })

	if got := b.post(t, "{ ...f } fragment f on Query { __schema { types { name } } }", nil); got.code() != string(fault.Forbidden) {
		t.Error(got.raw)
	}

	if got := b.post(t, "{ hello __typename }", nil); got.code() != "" {
		t.Error(got.raw)
	}
}

func TestDrainServesPlainRequestsOn(t *testing.T) {
	t.Parallel()

	b := serve(t)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()

	if err := b.handler.Drain(ctx); err != nil && ctx.Err() == nil {
		t.Fatal(err)
	}

	if got := b.post(t, "{ hello }", nil); got.status != http.StatusOK {
		t.Error(got.raw)
	}
}
