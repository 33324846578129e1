//go:build unix

package memory

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/shiplog/shiplog/internal/store/storetest"
	"github.com/shiplog/shiplog/server"
)

// patience bounds what is waited for.
const patience = 30 * time.Second

// api is a running server and the client that asks it.
type api struct {
	t        testing.TB
	url      string
	database string
	http     *http.Client
}

// each runs the test against a server of its own on every database.
func each(t *testing.T, test func(t *testing.T, a *api)) {
	t.Helper()
	t.Parallel()

	for _, dialect := range []string{"sqlite", "postgres"} {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()
			test(t, serve(t, dialect, nil))
		})
	}
}

const nowhere = `apiVersion: v1
kind: Config
current-context: nowhere
contexts: [{name: nowhere, context: {cluster: nowhere, user: nobody}}]
clusters: [{name: nowhere, cluster: {server: "http://127.0.0.1:1"}}]
users: [{name: nobody, user: {}}]
`

// serve runs a server on a fresh database until the test ends.
func serve(t testing.TB, dialect string, statement func(ctx context.Context, query string, took time.Duration, err error)) *api {
	t.Helper()

	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}

	// A cluster that never answers: the memory needs none.
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(kubeconfig, []byte(nowhere), 0o600); err != nil {
		t.Fatal(err)
	}

	config := server.Config{
		Connections: map[string]string{"cluster": kubeconfig},
		Listen:      "127.0.0.1:0", Database: storetest.URL(t, dialect), Data: t.TempDir(), Dev: true, StopProcesses: true,
		Program: []string{program}, Log: t.Output(), Statement: statement, Version: "test",
	}

	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ready, ended := make(chan string, 1), make(chan error, 1)

	go func() { ended <- server.Run(ctx, config, func(url string) { ready <- url }) }()

	a := &api{t: t, database: config.Database, http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 100}}}

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
		ended <- err
		t.Fatal("the server did not start:", err)
	}

	return a
}

// answer is what a request is answered.
type answer struct {
	Status int             `json:"-"`
	Data   json.RawMessage `json:"data"`
	Errors []refusal       `json:"errors"`
}

// refusal is an entry of an answer's errors.
type refusal struct {
	Message    string `json:"message"`
	Path       []any  `json:"path"`
	Extensions struct {
		Code    string                                `json:"code"`
		Field   string                                `json:"field"`
		Current *struct{ Deployment, Version string } `json:"current"`
	} `json:"extensions"`
}

// code is that of the first error, "" without one.
func (a answer) code() string {
	if len(a.Errors) == 0 {
		return ""
	}

	return a.Errors[0].Extensions.Code
}

// field is that of the first error, "" without one.
func (a answer) field() string {
	if len(a.Errors) == 0 {
		return ""
	}

	return a.Errors[0].Extensions.Field
}

// post sends one document.
func (a *api) post(document string, variables map[string]any) (answer, error) {
	body, err := json.Marshal(map[string]any{"query": document, "variables": variables})
	if err != nil {
		return answer{}, err
	}

	request, err := http.NewRequestWithContext(context.WithoutCancel(a.t.Context()), http.MethodPost, a.url+"/graphql", bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}

	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/graphql-response+json")

	response, err := a.http.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()

	raw, err := io.ReadAll(response.Body)
	if err != nil {
		return answer{}, err
	}

	got := answer{Status: response.StatusCode}
	if err := json.Unmarshal(raw, &got); err != nil {
		return got, fmt.Errorf("status %d, body %.300q: %w", response.StatusCode, raw, err)
	}

	return got, nil
}

// ask sends a document that must be answered without an error, and decodes
// its data; the test fails when it is not, and goes on.
func ask[T any](a *api, document string, variables map[string]any) (data T) {
	a.t.Helper()

	got, err := a.post(document, variables)
	if err == nil && len(got.Errors) > 0 {
		err = fmt.Errorf("%s: %+v\nfor %.300s\nwith %.500v", got.code(), got.Errors, document, variables)
	}

	if err == nil {
		err = json.Unmarshal(got.Data, &data)
	}

	if err != nil {
		// Not Fatal: it may be called by several goroutines of a test.
		a.t.Error(err)
	}

	return data
}

// object is a loose JSON object, for answers that are only looked at.
type object = map[string]any

// environment makes an EXTERNAL environment.
func (a *api) environment(name string, rank int) {
	a.t.Helper()
	ask[object](a, `mutation($i: CreateEnvironmentInput!) { createEnvironment(input: $i) { environment { id } } }`, object{"i": object{
		"name": name, "rank": rank, "tier": "OTHER", "target": object{"kind": "EXTERNAL"}, "idempotencyKey": "environment " + name,
	}})
}

// recorded is a recorded deployment's answer.
type recorded struct {
	RecordDeployment struct {
		Created    bool
		Deployment struct{ ID string }
	}
}

// record records a deployment.
func (a *api) record(input object) recorded {
	a.t.Helper()

	return ask[recorded](a, `mutation($input: RecordDeploymentInput!) { recordDeployment(input: $input) { created deployment { id } } }`, object{"input": input})
}

// position is the journal's.
func (a *api) position() string {
	a.t.Helper()

	return ask[struct{ Events struct{ Position string } }](a, `{ events(first: 0) { position } }`, nil).Events.Position
}
