//go:build unix

package hostile

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// bodyMemory is what a body may cost that is not read to its end, garbage
// included: the most of it that is read, some times over.
const bodyMemory = 16 << 20

// Bodies without measure are refused as soon as that is known, whatever is
// still to come, and are not kept.
func TestBodiesWithoutMeasure(t *testing.T) { //nolint:paralleltest // it measures
	a := start(t, "sqlite")
	a.calm()

	position := a.position()

	for name, c := range map[string]struct {
		head   string
		body   io.Reader
		status string
	}{
		"100 MB":               {fmt.Sprintf("Content-Length: %d\r\n", 100<<20), io.LimitReader(spaces{}, 100<<20), "413"},
		"100 MB in chunks":     {"Transfer-Encoding: chunked\r\n", chunks{io.LimitReader(spaces{}, 100<<20)}, "413"},
		"chunks without end":   {"Transfer-Encoding: chunked\r\n", chunks{spaces{}}, "413"},
		"one chunk of 1 TB":    {"Transfer-Encoding: chunked\r\n", io.MultiReader(strings.NewReader("10000000000\r\n"), spaces{}), "413"},
		"a gzip bomb":          {"Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", chunks{bomb100MB(t)}, "415"},
		"a negative length":    {"Content-Length: -1\r\n", strings.NewReader(""), "400"},
		"two lengths":          {"Content-Length: 5\r\nContent-Length: 6\r\n", strings.NewReader("{    }"), "400"},
		"a length and chunks":  {"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", strings.NewReader("0\r\n\r\n"), "400"},
		"a length of the moon": {"Content-Length: 999999999999999999\r\n", spaces{}, "413"},
	} {
		t.Run(name, func(t *testing.T) {
			a := a.of(t)
			before := a.measure()
			conn := a.raw()

			fmt.Fprintf(conn, "POST /graphql HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n%s\r\n", a.host(), c.head)

			sent := make(chan error, 1)

			go func() {
				_, err := io.Copy(conn, c.body)
				sent <- err
			}()

			status := statusLine(t, conn)
			after := a.measure()
			conn.Close()

			// The server stops listening before all is said.
			if err := <-sent; err != nil && !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, net.ErrClosed) {
				t.Error(err)
			}

			if !strings.HasPrefix(status, "HTTP/1.1 "+c.status) {
				// Whose form is broken is not served at all.
				if c.status != "400" || status != "" {
					t.Errorf("%q", status)
				}
			}

			if took := after.allocated - before.allocated; took > bodyMemory {
				t.Errorf("it took %d kB", took>>10)
			}
		})
	}

	if after := a.position(); after != position {
		t.Errorf("the journal moved from %s to %s", position, after)
	}
}

// Whoever says its request byte by byte, the header or the body, is told that
// it takes too long.
func TestDrippingRequests(t *testing.T) {
	t.Parallel()

	a := start(t, "sqlite")
	a.calm()

	t.Run("each", func(t *testing.T) {
		for name, c := range map[string]struct{ head, status string }{
			"the body":   {"Content-Length: 1000\r\n\r\n", "HTTP/1.1 408"},
			"its chunks": {"Transfer-Encoding: chunked\r\n\r\n3e8\r\n", "HTTP/1.1 408"},
			// net/http answers nothing to what is no request yet.
			"the header": {"X-Drip: ", ""},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()

				conn := a.of(t).raw()
				fmt.Fprintf(conn, "POST /graphql HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n%s", a.host(), c.head)

				ctx, stop := context.WithCancel(t.Context())
				ended := make(chan struct{})

				go func() {
					defer close(ended)

					tick := time.NewTicker(time.Second)
					defer tick.Stop()

					for {
						if _, err := io.WriteString(conn, " "); err != nil {
							return // it was closed, as it must
						}

						select {
						case <-tick.C:
						case <-ctx.Done():
							return
						}
					}
				}()

				if got := statusLine(t, conn); !strings.HasPrefix(got, c.status) || c.status == "" && got != "" {
					t.Errorf("%q", got)
				}

				stop()
				<-ended
			})
		}
	})
}

// What a page of another site may send without asking is not read, and a link
// changes nothing.
func TestForeignForms(t *testing.T) {
	t.Parallel()

	a := start(t, "sqlite")
	a.calm()

	const mutation = `mutation { createService(input: {name: "never"}) { service { id } } }`

	before := a.position()

	for name, c := range map[string]struct {
		kind, text string
	}{
		"text":                {"text/plain", body(mutation, nil)},
		"text that says JSON": {"text/plain; application/json", body(mutation, nil)},
		"a form":              {"application/x-www-form-urlencoded", "query=" + strings.ReplaceAll(mutation, " ", "+")},
		"a multipart form":    {"multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"operations\"\r\n\r\n" + body(mutation, nil) + "\r\n--x--\r\n"},
		"a document":          {"application/graphql", mutation},
		"no type":             {"", body(mutation, nil)},
		"nonsense":            {"application/json/x", body(mutation, nil)},
		"another charset":     {"application/json; charset=utf-16", body(mutation, nil)},
	} {
		for _, accept := range []string{"application/graphql-response+json", "application/json", "text/event-stream"} {
			got, err := a.send(c.text, "Content-Type", c.kind, "Accept", accept)
			if err != nil || got.status != http.StatusUnsupportedMediaType || got.code() != "INVALID_INPUT" {
				t.Errorf("%s: %d %s %v", name, got.status, got.raw, err)
			}
		}
	}

	if got := a.get(mutation, nil); got.status != http.StatusMethodNotAllowed || got.code() != "INVALID_INPUT" {
		t.Errorf("a mutation by GET: %d %s", got.status, got.raw)
	}

	for _, method := range []string{http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodHead, http.MethodOptions, "BREW"} {
		request, err := http.NewRequestWithContext(t.Context(), method, a.url+"/graphql", strings.NewReader(body(mutation, nil)))
		if err != nil {
			t.Fatal(err)
		}

		request.Header.Set("Content-Type", "application/json")

		response, err := a.client.Do(request)
		if err != nil {
			t.Fatal(err)
		}

		response.Body.Close()

		if response.StatusCode != http.StatusMethodNotAllowed || response.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: %d", method, response.StatusCode)
		}
	}

	if after := a.position(); after != before {
		t.Errorf("the journal moved from %s to %s", before, after)
	}
}

// What is no request may hold a secret: neither the answer nor the log does.
func TestBrokenRequestsAreNotRepeated(t *testing.T) {
	t.Parallel()

	const token = "ghp_0123456789abcdefghijklmnop"

	a := start(t, "sqlite", "SHIPLOG_TOKEN=this-is-the-token-of-the-test")
	bearer := []string{"Authorization", "Bearer this-is-the-token-of-the-test"}

	for _, text := range []string{
		`{"query":"{ viewer { __typename } }","variables":{"token":"%"}`, `{"query":"{ viewer }" "%"}`, `"%"`, `%`, `{"query":"{ viewer }","variables":"%"}`,
		`{"query":"{ viewer }","variables":{"token":"%","a":1e}}`, `{"query":{"token":"%"}}`, `{"%":`, `{"query":"{ viewer }","operationName":["%"]}`,
		`{"query":"{ viewer }","extensions":"%"}`, `["%"]`, `{"query":"{ viewer { __typename } }","variables":{"a":"%\xff"}}`, `query=%`, `{"query": %}`,
	} {
		text = strings.ReplaceAll(text, "%", token)

		for _, accept := range []string{"application/graphql-response+json", "text/event-stream"} {
			got, err := a.send(text, append(bearer, "Accept", accept)...)
			if err != nil || got.status != http.StatusBadRequest || strings.Contains(got.raw, token) {
				t.Errorf("%.50s: %d %s %v", text, got.status, got.raw, err)
			}
		}

		s := a.dial()
		s.say(`{"type":"connection_init","payload":{"token":"this-is-the-token-of-the-test"}}`)
		s.next()
		s.say(text)

		if code, reason := s.closed(); code != 4400 && code != 1007 || strings.Contains(reason, token) {
			t.Errorf("%.50s: closed with %d %s", text, code, reason)
		}
	}

	if got, err := a.send(body(`{ viewer { __typename } }`, nil), "Authorization", "Bearer "+token); err != nil || got.status != http.StatusUnauthorized || strings.Contains(got.raw, token) {
		t.Errorf("another's token: %d %s %v", got.status, got.raw, err)
	}

	s := a.dial()
	s.say(`{"type":"connection_init","payload":{"token":"` + token + `"}}`)

	if code, reason := s.closed(); code != 4401 || strings.Contains(reason, token) {
		t.Errorf("another's token: closed with %d %s", code, reason)
	}

	// A link with one in it, which proxies would log.
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, a.url+`/graphql?query={viewer}&variables={"token":"`+token, nil)
	if err != nil {
		t.Fatal(err)
	}

	request.Header.Set("Authorization", bearer[1])

	if got, err := a.do(request); err != nil || got.status != http.StatusBadRequest || strings.Contains(got.raw, token) {
		t.Errorf("in a link: %d %s %v", got.status, got.raw, err)
	}

	if strings.Contains(a.log.String(), token) {
		t.Error("the log holds the token")
	}
}

// statusLine gives the first line that the server answers, "" when it closes
// without one.
func statusLine(t *testing.T, conn io.Reader) string {
	t.Helper()

	answer := make([]byte, 4096)

	n, err := conn.Read(answer)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
		t.Fatal(err)
	}

	line, _, _ := bytes.Cut(answer[:n], []byte("\r\n"))

	return string(line)
}

// spaces are without end.
type spaces struct{}

// Read gives spaces.
func (spaces) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}

	return len(p), nil
}

// chunks writes in HTTP's chunks what it reads.
type chunks struct{ of io.Reader }

// Read gives one chunk; what it is read into is far larger than its frame.
func (c chunks) Read(p []byte) (int, error) {
	piece := make([]byte, len(p)-32)

	n, err := c.of.Read(piece)
	if n == 0 {
		return 0, err
	}

	return copy(p, fmt.Sprintf("%x\r\n%s\r\n", n, piece[:n])), nil
}

// bomb100MB is little that becomes much.
func bomb100MB(t *testing.T) io.Reader {
	t.Helper()

	var small bytes.Buffer

	w := gzip.NewWriter(&small)
	if _, err := io.Copy(w, io.LimitReader(spaces{}, 100<<20)); err != nil {
		t.Fatal(err)
	}

	if err := w.Close(); err != nil {
		t.Fatal(err)
	}

	return &small
}
