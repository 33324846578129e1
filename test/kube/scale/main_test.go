// Package scale tries the product on a real API server with much to do: many
// deployments at once, many pods, clusters that are slow, stale or gone. Its
// short forms are for every day; SHIPLOG_SCALE=long prints figures.
package scale

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/shiplog/shiplog/internal/journal"
	"github.com/shiplog/shiplog/internal/store/storetest"
	"github.com/shiplog/shiplog/server"
	"github.com/shiplog/shiplog/test/cluster"
)

type object = map[string]any

// long reports whether figures are asked for.
func long() bool { return os.Getenv("SHIPLOG_SCALE") == "long" }

// size is how much there is to do.
func size(short, full int) int {
	if long() {
		return full
	}

	return short
}

func connect(t *testing.T) *cluster.Cluster {
	t.Helper()

	c, err := cluster.Connect()
	if err != nil {
		t.Fatal(err)
	}

	return c
}

func kubectl(t *testing.T, c *cluster.Cluster, input string, args ...string) string {
	t.Helper()

	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()

	out, err := c.Run(ctx, []byte(input), args...)
	if err != nil {
		t.Fatal(err)
	}

	return strings.TrimSpace(string(out))
}

// namespace makes one of the test's own.
func namespace(t *testing.T, c *cluster.Cluster) string {
	t.Helper()

	name := fmt.Sprintf("scale-%d", time.Now().UnixNano())
	kubectl(t, c, "", "create", "namespace", name)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()

		if _, err := c.Run(ctx, nil, "delete", "namespace", name, "--wait=false"); err != nil {
			t.Error(err)
		}
	})

	return name
}

const token = "a-token-for-the-scale"

// app is a server of the product, and who asks it.
type app struct {
	url, database string
	http          *http.Client
	stop          func() error
}

// serve runs a server that knows these clusters, on a fresh database; dialect is
// sqlite or postgres.
func serve(t *testing.T, dialect string, connections map[string]string) *app {
	t.Helper()

	return serveOn(t, storetest.URL(t, dialect), connections)
}

// serveOn runs one on a database that is there.
func serveOn(t *testing.T, database string, connections map[string]string) *app {
	t.Helper()

	a := &app{database: database, http: &http.Client{Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}}

	log, err := os.Create(filepath.Join(t.TempDir(), "server.log"))
	if err != nil {
		t.Fatal(err)
	}

	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ready, ended := make(chan string, 1), make(chan error, 1)

	go func() {
		ended <- server.Run(ctx, server.Config{
			Listen: "127.0.0.1:0", Database: a.database, Data: t.TempDir(), Token: token, Connections: connections,
			Program: []string{os.Args[0]}, Log: log, Version: "test",
		}, func(url string) { ready <- url })
	}()

	stopped := false
	a.stop = func() error {
		if stopped {
			return nil
		}

		stopped = true

		a.http.CloseIdleConnections()
		cancel()

		return <-ended
	}

	t.Cleanup(func() {
		if err := a.stop(); err != nil {
			t.Error("the server ended:", err)
		}

		if t.Failed() {
			said, err := os.ReadFile(log.Name())
			t.Logf("%s %v", said[max(0, len(said)-6000):], err)
		}

		if err := log.Close(); err != nil {
			t.Error(err)
		}
	})

	select {
	case a.url = <-ready:
	case err := <-ended:
		t.Fatal("the server did not start:", err)
	}

	return a
}

// ask sends one document and decodes its data.
func (a *app) ask(ctx context.Context, document string, variables object, into any) error {
	body, err := json.Marshal(object{"query": document, "variables": variables})
	if err != nil {
		return err
	}

	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.url+"/graphql", bytes.NewReader(body))
	if err != nil {
		return err
	}

	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+token)

	resp, err := a.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()

	var answer struct {
		Data   json.RawMessage
		Errors []struct{ Message string }
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return err
	}

	if len(answer.Errors) > 0 {
		return fmt.Errorf("%s: %v", document, answer.Errors)
	}

	if into == nil {
		return nil
	}

	return json.Unmarshal(answer.Data, into)
}

func (a *app) must(t *testing.T, document string, variables object, into any) {
	t.Helper()

	if err := a.ask(t.Context(), document, variables, into); err != nil {
		t.Fatal(err)
	}
}

func (a *app) environment(t *testing.T, name, connection, namespace string) {
	t.Helper()

	a.must(t, `mutation($in: CreateEnvironmentInput!) { createEnvironment(input: $in) { environment { id } } }`, object{"in": object{
		"name": name, "tier": "DEVELOPMENT", "rank": 1, "target": object{"kind": "KUBERNETES", "connection": connection, "namespace": namespace},
	}}, nil)
}

func (a *app) service(ctx context.Context, name string) error {
	return a.ask(ctx, `mutation($in: CreateServiceInput!) { createService(input: $in) { service { id } } }`,
		object{"in": object{"name": name, "title": name, "owner": "group:default/team"}}, nil)
}

// register registers a version of one ConfigMap, named as the service.
func (a *app) register(ctx context.Context, service, version string) (decided []string, err error) {
	var made struct {
		RegisterVersion struct {
			Decisions []struct{ Deployment *struct{ ID string } }
		}
	}

	err = a.ask(ctx, `mutation($in: RegisterVersionInput!) { registerVersion(input: $in) { decisions { deployment { id } } } }`, object{"in": object{
		"service": service, "version": version, "builtAt": time.Now().UTC().Format(time.RFC3339Nano),
		"workload": object{"manifests": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + service + "}\ndata: {version: \"" + version + "\"}\n"},
	}}, &made)

	for _, d := range made.RegisterVersion.Decisions {
		if d.Deployment != nil {
			decided = append(decided, d.Deployment.ID)
		}
	}

	return decided, err
}

func (a *app) deploy(ctx context.Context, service, environment, version string) (string, error) {
	var made struct {
		Deploy struct{ Deployment struct{ ID string } }
	}

	err := a.ask(ctx, `mutation($in: DeployInput!) { deploy(input: $in) { deployment { id } } }`,
		object{"in": object{"service": service, "environment": environment, "version": version}}, &made)

	return made.Deploy.Deployment.ID, err
}

// deployment is what these tests look at of one.
type deployment struct {
	ID, Status, StatusReason string
	Steps                    []struct {
		Kind, Status, Message string
		Attempt               int
	}
	Logs struct {
		Nodes []struct{ Stream, Text string }
	}
}

func (a *app) find(t *testing.T, id string) deployment {
	t.Helper()

	var found struct{ Deployment deployment }

	a.must(t, `query($id: ID!) { deployment(id: $id) { id status statusReason steps { kind status message attempt } logs(first: 500) { nodes { stream text } } } }`,
		object{"id": id}, &found)

	return found.Deployment
}

// until waits for something to become true of a deployment.
func (a *app) until(t *testing.T, id, what string, is func(deployment) bool) deployment {
	t.Helper()

	for began := time.Now(); ; {
		d := a.find(t, id)
		if is(d) {
			t.Logf("%s after %s", what, time.Since(began).Round(10*time.Millisecond))

			return d
		}

		if time.Since(began) > time.Minute {
			t.Fatalf("not %s: %+v", what, d)
		}

		<-time.After(50 * time.Millisecond)
	}
}

func ended(want string) func(deployment) bool {
	return func(d deployment) bool { return d.Status == want }
}

func (d deployment) waits() bool {
	for _, s := range d.Steps {
		if s.Status == "RUNNING" && strings.HasPrefix(s.Message, "waiting: the cluster ") {
			return true
		}
	}

	return false
}

// verify ends the server and checks the journal's chain.
func (a *app) verify(t *testing.T) (entries int64, took time.Duration) {
	t.Helper()

	if err := a.stop(); err != nil {
		t.Fatal(err)
	}

	s := storetest.OpenURL(t, a.database, nil)
	began := time.Now()

	n, err := journal.Verify(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}

	return n, time.Since(began)
}
