//go:build unix

package streams

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"testing"

	"github.com/shiplog/shiplog/internal/store/storetest"
	"github.com/shiplog/shiplog/server"
)

// api is a running server.
type api struct {
	t      testing.TB
	url    string
	config server.Config
	// stop is nil when it was stopped.
	stop  func()
	ended chan error
}

// each runs the test with both databases and both transports.
func each(t *testing.T, test func(t *testing.T, a *api, transport string)) {
	t.Helper()
	t.Parallel()

	for _, dialect := range []string{"sqlite", "postgres"} {
		for _, transport := range []string{webSocket, eventStream} {
			t.Run(dialect+"/"+transport, func(t *testing.T) {
				t.Parallel()
				test(t, serve(t, config(t, dialect)), transport)
			})
		}
	}
}

func config(t testing.TB, dialect string) server.Config {
	t.Helper()

	c, err := configOf(storetest.URL(t, dialect), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}

	c.Log = t.Output()

	return c
}

func configOf(database, data string) (server.Config, error) {
	program, err := os.Executable()

	return server.Config{
		Listen: "127.0.0.1:0", Database: database, Data: data, Dev: true, StopProcesses: true, Program: []string{program}, Version: "test",
	}, err
}

// serve runs a server until the test ends.
func serve(t testing.TB, c server.Config) *api {
	t.Helper()

	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	a := &api{t: t, config: c, stop: stop, ended: make(chan error, 1)}
	ready := make(chan string, 1)

	go func() { a.ended <- server.Run(ctx, c, func(url string) { ready <- url }) }()

	t.Cleanup(a.end)

	select {
	case a.url = <-ready:
	case err := <-a.ended:
		t.Fatal("the server did not start:", err)
	}

	return a
}

// end stops the server as SIGTERM does and waits for it; twice is harmless.
func (a *api) end() {
	if a.stop == nil {
		return
	}

	a.stop()
	a.stop = nil
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()

	if err := <-a.ended; err != nil {
		a.t.Error("the server ended:", err)
	}
}

// ask sends one document and reads its data.
func (a *api) ask(document string, variables map[string]any, data any) {
	a.t.Helper()

	body, err := json.Marshal(map[string]any{"query": document, "variables": variables})
	if err != nil {
		a.t.Fatal(err)
	}

	response, err := http.Post(a.url+"/graphql", "application/json", bytes.NewReader(body))
	if err != nil {
		a.t.Fatal(err)
	}
	defer response.Body.Close()

	var answer struct {
		Data   json.RawMessage
		Errors []any
	}

	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		a.t.Fatal(err)
	}

	if answer.Errors != nil {
		a.t.Fatal(answer.Errors...)
	}

	if data != nil {
		if err := json.Unmarshal(answer.Data, data); err != nil {
			a.t.Fatal(err)
		}
	}
}

// deploy deploys this binary with the arguments and gives the deployment's id.
func (a *api) deploy(name string, args ...string) string {
	a.t.Helper()

	command := append([]string{a.config.Program[0]}, args...)
	port := freePort(a.t)
	score := map[string]any{
		"apiVersion": "score.dev/v1b1",
		"metadata":   map[string]any{"name": name, "annotations": map[string]any{"shiplog.dev/startup-timeout": "10m"}},
		"containers": map[string]any{"main": map[string]any{
			"image": "none", "command": command,
			"readinessProbe": map[string]any{"httpGet": map[string]any{"path": "/", "port": port}},
		}},
		"service": map[string]any{"ports": map[string]any{"web": map[string]any{"port": port}}},
	}

	a.ask(`mutation ($name: String!, $ref: ID!, $score: JSON!) {
		createEnvironment(input: {name: $name, tier: DEVELOPMENT, rank: 1, target: {kind: PROCESS}}) { environment { id } }
		createService(input: {name: $name}) { service { id } }
		registerVersion(input: {service: $ref, version: "1", workload: {score: $score}}) { version { id } }
	}`, map[string]any{"name": name, "ref": name, "score": score}, nil)

	var data struct {
		Deploy struct{ Deployment struct{ ID string } }
	}

	a.ask(`mutation ($ref: ID!) { deploy(input: {service: $ref, environment: $ref, version: "1"}) { deployment { id } } }`,
		map[string]any{"ref": name}, &data)

	return data.Deploy.Deployment.ID
}

// status is where the deployment stands.
func (a *api) status(deployment string) string {
	a.t.Helper()

	var data struct{ Deployment struct{ Status string } }

	a.ask(`query ($id: ID!) { deployment(id: $id) { status } }`, map[string]any{"id": deployment}, &data)

	return data.Deployment.Status
}

func freePort(t testing.TB) int {
	t.Helper()

	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()

	address, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		t.Fatal(fmt.Sprint("no port in ", l.Addr()))
	}

	return address.Port
}
