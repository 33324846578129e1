//go:build unix

// Package plans asks both databases how they find what the portal's reads ask
// for. The statements are those of a real server on a filled history, taken by
// the store's hook; their plans are golden, and none may read a large table
// from its beginning to its end.
//
// After a change that is meant: go test ./test/plans -update.
package plans

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"go.uber.org/goleak"

	"github.com/shiplog/shiplog/server"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestMain(m *testing.M) {
	flag.Parse()
	goleak.VerifyTestMain(m)
}

// object is a loose JSON object.
type object = map[string]any

// recorder keeps the texts of statements: those of requests, and those of
// what the server does by itself.
type recorder struct {
	lock                 sync.Mutex
	requests, background map[string]bool
}

func (r *recorder) statement(ctx context.Context, query string, _ time.Duration, _ error) {
	r.lock.Lock()
	defer r.lock.Unlock()

	if graphql.HasOperationContext(ctx) {
		r.requests[query] = true
	} else {
		r.background[query] = true
	}
}

// take gives the statements of requests since it was last called, by text.
func (r *recorder) take() []string {
	r.lock.Lock()
	defer r.lock.Unlock()

	taken := sorted(r.requests)
	r.requests = map[string]bool{}

	return taken
}

func (r *recorder) unasked() []string {
	r.lock.Lock()
	defer r.lock.Unlock()

	return sorted(r.background)
}

func sorted(set map[string]bool) []string {
	all := make([]string, 0, len(set))
	for text := range set {
		all = append(all, text)
	}

	slices.Sort(all)

	return all
}

// api is a running server.
type api struct {
	t    *testing.T
	url  string
	http *http.Client
}

// serve runs a server on the database until the test ends.
func serve(t *testing.T, database string, r *recorder) *api {
	t.Helper()

	config := server.Config{
		Listen: "127.0.0.1:0", Database: database, Data: t.TempDir(), Dev: true, Log: t.Output(), Statement: r.statement, Version: "test",
	}

	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ready, ended := make(chan string, 1), make(chan error, 1)

	go func() { ended <- server.Run(ctx, config, func(url string) { ready <- url }) }()

	a := &api{t: t, http: &http.Client{Transport: &http.Transport{}}}

	t.Cleanup(func() {
		a.http.CloseIdleConnections()
		stop()

		if err := <-ended; err != nil {
			t.Error("the server ended:", err)
		}
	})

	select {
	case a.url = <-ready:
	case err := <-ended:
		ended <- nil

		t.Fatal("the server did not start:", err)
	}

	return a
}

// ask sends a document that must be answered without an error, and gives its
// data.
func (a *api) ask(document string, variables object) (data object) {
	a.t.Helper()

	body, err := json.Marshal(object{"query": document, "variables": variables})
	if err != nil {
		a.t.Fatal(err)
	}

	request, err := http.NewRequestWithContext(a.t.Context(), http.MethodPost, a.url+"/graphql", bytes.NewReader(body))
	if err != nil {
		a.t.Fatal(err)
	}

	request.Header.Set("Content-Type", "application/json")

	response, err := a.http.Do(request)
	if err != nil {
		a.t.Fatal(err)
	}
	defer response.Body.Close()

	var answer struct {
		Data   object
		Errors json.RawMessage
	}

	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || answer.Errors != nil {
		a.t.Fatalf("%s: %v\n%s", document, err, answer.Errors)
	}

	return answer.Data
}
