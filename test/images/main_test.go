//go:build unix

// Package images asks a whole server, on both databases, whether what it
// deploys is a digest: with a registry on this machine, and a cluster that
// lets nobody in, since all this is decided before one is told.
package images

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"go.uber.org/goleak"

	"github.com/shiplog/shiplog/deployer/process"
	"github.com/shiplog/shiplog/internal/store/storetest"
	"github.com/shiplog/shiplog/server"
)

// The test binary is also the program that the process deployer executes.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "process-shim":
			syscall.Exit(process.RunShim(os.Args[2:]))
		case "process-proxy":
			syscall.Exit(process.RunProxy(os.Args[2:]))
		}
	}

	flag.Parse()
	goleak.VerifyTestMain(m)
}

// patience bounds what is waited for.
const patience = 30 * time.Second

// shelf is a registry that tests can hinder.
type shelf struct {
	host string

	mu sync.Mutex
	// hinder, when set, answers in its place.
	hinder http.HandlerFunc
	asked  int
}

func stock(t *testing.T) *shelf {
	t.Helper()

	s := &shelf{}
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	served := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		hinder := s.hinder

		if r.Method == http.MethodHead && strings.Contains(r.URL.Path, "/manifests/") {
			s.asked++
		}
		s.mu.Unlock()

		if hinder != nil {
			hinder(w, r)
		} else {
			inner.ServeHTTP(w, r)
		}
	}))

	t.Cleanup(served.Close)

	s.host = strings.TrimPrefix(served.URL, "http://")

	return s
}

func (s *shelf) set(hinder http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()

	s.hinder = hinder
}

func (s *shelf) questions() int {
	s.mu.Lock()
	defer s.mu.Unlock()

	return s.asked
}

// push makes the tag mean something new and gives its digest.
func (s *shelf) push(t *testing.T, tag string) string {
	t.Helper()

	image, err := random.Image(64, 1)
	if err != nil {
		t.Fatal(err)
	}

	ref, err := name.ParseReference(s.host + "/" + tag)
	if err != nil {
		t.Fatal(err)
	}

	transport := &http.Transport{}
	defer transport.CloseIdleConnections()

	if err := remote.Write(ref, image, remote.WithTransport(transport)); err != nil {
		t.Fatal(err)
	}

	digest, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}

	return digest.String()
}

// api is a running server.
type api struct {
	t    *testing.T
	url  string
	http *http.Client
}

func each(t *testing.T, test func(t *testing.T, a *api, s *shelf)) {
	t.Helper()
	t.Parallel()

	for _, dialect := range []string{"sqlite", "postgres"} {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()

			a := serve(t, storetest.URL(t, dialect))
			a.environment("staging", "KUBERNETES")
			a.do(`mutation { createService(input: {name: "hello"}) { service { id } } }`, nil, nil)
			test(t, a, stock(t))
		})
	}
}

// serve runs a server until the test ends.
func serve(t *testing.T, database string) *api {
	t.Helper()

	cluster := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403}`)
	}))
	t.Cleanup(cluster.Close)

	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	content := fmt.Sprintf(`{apiVersion: v1, kind: Config, current-context: a, contexts: [{name: a, context: {cluster: a, user: a}}],
clusters: [{name: a, cluster: {server: %q}}], users: [{name: a, user: {}}]}`, cluster.URL)

	if err := os.WriteFile(kubeconfig, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}

	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ready, ended := make(chan string, 1), make(chan error, 1)
	config := server.Config{
		Listen: "127.0.0.1:0", Database: database, Data: t.TempDir(), Dev: true, StopProcesses: true, Log: t.Output(), Version: "test",
		Connections: map[string]string{"closed": kubeconfig},
	}

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
		ended <- err
		t.Fatal("the server did not start:", err)
	}

	return a
}

// refusal is an entry of an answer's errors.
type refusal struct {
	Message    string
	Extensions struct{ Code, Field string }
}

// ask sends one document and reads its data.
func (a *api) ask(document string, variables map[string]any, data any) []refusal {
	a.t.Helper()

	body, err := json.Marshal(map[string]any{"query": document, "variables": variables})
	if err != nil {
		a.t.Fatal(err)
	}

	response, err := a.http.Post(a.url+"/graphql", "application/json", bytes.NewReader(body))
	if err != nil {
		a.t.Fatal(err)
	}
	defer response.Body.Close()

	var answer struct {
		Data   json.RawMessage
		Errors []refusal
	}

	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		a.t.Fatal(err)
	}

	if data != nil && len(answer.Errors) == 0 {
		if err := json.Unmarshal(answer.Data, data); err != nil {
			a.t.Fatal(err)
		}
	}

	return answer.Errors
}

// do is ask of what is not refused.
func (a *api) do(document string, variables map[string]any, data any) {
	a.t.Helper()

	if errs := a.ask(document, variables, data); len(errs) > 0 {
		a.t.Fatalf("%s: %+v", document, errs)
	}
}

func (a *api) environment(name, kind string) {
	a.t.Helper()

	target := map[string]any{"kind": kind}
	if kind == "KUBERNETES" {
		target["connection"], target["namespace"] = "closed", "shop"
	}

	a.do(`mutation($name: String!, $target: TargetInput!) { createEnvironment(input: {name: $name, tier: STAGING, rank: 1, target: $target}) { environment { id } } }`,
		map[string]any{"name": name, "target": target}, nil)
}

// register registers a version of hello that runs the images.
func (a *api) register(version string, images ...string) {
	a.t.Helper()

	var containers []string
	for i, image := range images {
		containers = append(containers, fmt.Sprintf("{name: c%d, image: %q}", i, image))
	}

	manifests := "{apiVersion: v1, kind: Pod, metadata: {name: hello}, spec: {containers: [" + strings.Join(containers, ", ") + "]}}"

	a.do(`mutation($version: String!, $image: String!, $manifests: String!) {
		registerVersion(input: {service: "hello", version: $version, image: $image, workload: {manifests: $manifests}}) { version { id } }
	}`, map[string]any{"version": version, "image": images[0], "manifests": manifests}, nil)
}

// deploy deploys and gives the deployment's id.
func (a *api) deploy(version, environment string) string {
	a.t.Helper()

	var made struct {
		Deploy struct{ Deployment struct{ ID string } }
	}

	a.do(`mutation($v: ID!, $e: ID!) { deploy(input: {service: "hello", environment: $e, version: $v}) { deployment { id } } }`,
		map[string]any{"v": version, "e": environment}, &made)

	return made.Deploy.Deployment.ID
}

// seen is a deployment as it is shown.
type seen struct {
	Status       string
	StatusReason string
	FinishedAt   *time.Time
	Snapshot     *struct {
		Digest  string
		Images  []image
		Objects json.RawMessage
	}
	Diagnosis *struct{ Kind, Summary, Advice string }
	Steps     []struct{ Kind, Status string }
	Logs      struct{ Nodes []struct{ Text string } }
}

type image struct{ Name, Reference, Digest string }

// until waits for the deployment to be as is wanted.
func (a *api) until(deployment, what string, is func(seen) bool) seen {
	a.t.Helper()

	for limit := time.Now().Add(patience); ; {
		var now struct{ Deployment seen }

		a.do(`query($id: ID!) { deployment(id: $id) { status statusReason finishedAt diagnosis { kind summary advice } steps { kind status }
			snapshot { digest images { name reference digest } objects } logs(first: 100) { nodes { text } } } }`, map[string]any{"id": deployment}, &now)

		if is(now.Deployment) {
			return now.Deployment
		}

		if time.Now().After(limit) {
			a.t.Fatalf("never %s: %+v", what, now.Deployment)
		}

		<-time.After(20 * time.Millisecond)
	}
}

func isPlanned(d seen) bool { return d.Snapshot != nil }

func isOver(d seen) bool { return d.FinishedAt != nil }

// images gives those of the version.
func (a *api) images(version string) []image {
	a.t.Helper()

	var now struct{ Version struct{ Images []image } }

	a.do(`query($v: ID!) { version(service: "hello", name: $v) { images { name reference digest } } }`, map[string]any{"v": version}, &now)

	return now.Version.Images
}

// events gives the messages of the events of a type.
func (a *api) events(kind string) []string {
	a.t.Helper()

	var now struct {
		Events struct {
			Nodes []struct{ Type, Message string }
		}
	}

	a.do(`{ events(first: 1000) { nodes { type message } } }`, nil, &now)

	var messages []string

	for _, e := range now.Events.Nodes {
		if e.Type == kind {
			messages = append(messages, e.Message)
		}
	}

	return messages
}
