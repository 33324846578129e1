package main

import (
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestRoutes(t *testing.T) {
	t.Parallel()

	cases := map[string]struct {
		settings settings
		path     string
		status   int
		body     string
	}{
		"greets with its version":        {settings{Version: "1.0.0", Greeting: "Hi", Ready: true}, "/", 200, "Hi from hello 1.0.0\n"},
		"says its version":               {settings{Version: "1.0.0", Ready: true}, "/version", 200, "1.0.0\n"},
		"is ready":                       {settings{Version: "1.0.0", Ready: true}, "/healthz", 200, "ok\n"},
		"is never ready":                 {settings{Version: "1.3.0"}, "/healthz", 503, "warming up the cache\n"},
		"1.0.0 cannot greet by name":     {settings{Version: "1.0.0", Greeting: "Hi", Ready: true}, "/greet?name=Ada", 404, "404 page not found\n"},
		"1.1.0 greets by name":           {settings{Version: "1.1.0", Greeting: "Hi", Ready: true}, "/greet?name=Ada", 200, "Hi, Ada, from hello 1.1.0\n"},
		"1.1.0 greets without a name":    {settings{Version: "1.1.0", Greeting: "Hi", Ready: true}, "/greet", 200, "Hi, stranger, from hello 1.1.0\n"},
		"what it does not know is a 404": {settings{Version: "1.1.0", Ready: true}, "/nothing", 404, "404 page not found\n"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			var out strings.Builder

			recorder := httptest.NewRecorder()
			handler := logged(log.New(&out, "", 0), routes(c.settings))
			handler.ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, c.path, nil))

			if recorder.Code != c.status || recorder.Body.String() != c.body {
				t.Errorf("GET %s = %d %q, want %d %q", c.path, recorder.Code, recorder.Body, c.status, c.body)
			}

			if !strings.HasPrefix(out.String(), "GET "+c.path+" ") {
				t.Errorf("the request was not logged: %q", out.String())
			}
		})
	}
}

func TestServeEndsWithItsContext(t *testing.T) {
	t.Parallel()

	ctx, cancel := context.WithCancel(t.Context())
	reader, writer := io.Pipe()
	ended := make(chan error, 1)

	go func() {
		err := serve(ctx, log.New(writer, "", 0), settings{Version: "1.0.0", Port: "0", Ready: true})
		ended <- errors.Join(err, writer.Close())
	}()

	line := make([]byte, 256)

	n, err := reader.Read(line)
	if err != nil || !strings.HasPrefix(string(line[:n]), "listening on http://127.0.0.1:") {
		t.Fatalf("first line %q, %v", line[:n], err)
	}

	cancel()

	rest, err := io.ReadAll(reader)
	if err != nil || !strings.Contains(string(rest), "draining") {
		t.Errorf("last lines %q, %v", rest, err)
	}

	if err := <-ended; err != nil {
		t.Errorf("serve = %v", err)
	}
}
