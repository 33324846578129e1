package transport_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/shiplog/shiplog/server/transport"
	"github.com/shiplog/shiplog/server/transport/testschema"
)

func TestMain(m *testing.M) {
	if address := os.Getenv(viewersEnv); address != "" {
		os.Exit(runViewers(address))
	}

	goleak.VerifyTestMain(m)
}

// patience is the longest that a test waits for what must happen.
const patience = 20 * time.Second

// bench is a server of the test schema.
type bench struct {
	*httptest.Server

	handler   *transport.Handler
	resolvers *testschema.Resolvers

	mu       sync.Mutex
	reported []error
}

type setting func(*transport.ExecutorConfig, *transport.Config)

func serve(t testing.TB, settings ...setting) *bench {
	t.Helper()

	b := &bench{resolvers: &testschema.Resolvers{Hold: make(chan struct{}), Holding: make(chan struct{}, 1)}}

	execution := transport.DefaultExecutorConfig()
	execution.RequestID = func(context.Context) string { return "request-1" }
	execution.Report = func(_ context.Context, _ string, err error) {
		b.mu.Lock()
		defer b.mu.Unlock()

		b.reported = append(b.reported, err)
	}
	config := transport.DefaultConfig()

	for _, set := range settings {
		set(&execution, &config)
	}

	executor, err := transport.NewExecutor(testschema.New(b.resolvers), execution)
	if err != nil {
		t.Fatal(err)
	}

	if b.handler, err = transport.New(executor, config); err != nil {
		t.Fatal(err)
	}

	b.Server = httptest.NewServer(b.handler)
	t.Cleanup(func() {
		b.drain(t)
		b.CloseClientConnections()
		b.Close()
		http.DefaultClient.CloseIdleConnections()
	})

	return b
}

func (b *bench) drain(t testing.TB) {
	t.Helper()

	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()

	if err := b.handler.Drain(ctx); err != nil {
		t.Error(err)
	}
}

// reports gives what was reported so far.
func (b *bench) reports() []error {
	b.mu.Lock()
	defer b.mu.Unlock()

	return append([]error(nil), b.reported...)
}

// result is the answer to a request.
type result struct {
	status int
	header http.Header
	raw    string

	Data   map[string]any
	Errors []struct {
		Message    string
		Extensions struct{ Code, Field, RequestID string }
	}
	Extensions struct {
		Cost struct{ Requested, Maximum int }
	}
}

func (r result) code() string {
	if len(r.Errors) == 0 {
		return ""
	}

	return r.Errors[0].Extensions.Code
}

func (b *bench) do(t testing.TB, request *http.Request) result {
	t.Helper()

	resp, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()

	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}

	r := result{status: resp.StatusCode, header: resp.Header, raw: string(raw)}
	if err := json.Unmarshal(raw, &r); err != nil {
		t.Fatalf("%s: %v", raw, err)
	}

	return r
}

func (b *bench) postBody(t testing.TB, body io.Reader, headers ...string) result {
	t.Helper()

	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.URL, body)
	if err != nil {
		t.Fatal(err)
	}

	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/graphql-response+json")

	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}

	return b.do(t, request)
}

func body(t testing.TB, query string, variables any) string {
	t.Helper()

	raw, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		t.Fatal(err)
	}

	return string(raw)
}

func (b *bench) post(t testing.TB, query string, variables any) result {
	t.Helper()

	return b.postBody(t, strings.NewReader(body(t, query, variables)))
}

// until waits for what must become true.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()

	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()

	deadline := time.After(patience)

	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}
