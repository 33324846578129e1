package deploy

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/shiplog/shiplog/server"
)

// api is a server of the product, and who asks it.
type api struct {
	t    *testing.T
	url  string
	http *http.Client
}

const token = "a-token-for-the-story"

// serve runs a server that knows the cluster, on a fresh database.
func serve(t *testing.T, b bench) *api {
	t.Helper()

	return serveWith(t, map[string]string{"test": b.Kubeconfig})
}

// serveWith runs one that knows these clusters.
func serveWith(t *testing.T, connections map[string]string) *api {
	t.Helper()

	a, stop := serveIn(t, connections, t.TempDir())
	t.Cleanup(stop)

	return a
}

// serveIn runs one on the database in a folder; it is to be stopped.
func serveIn(t *testing.T, connections map[string]string, dir string) (a *api, end func()) {
	t.Helper()

	config := server.Config{
		Listen: "127.0.0.1:0", Database: "sqlite:" + filepath.Join(dir, "shiplog.db"), Data: dir, Token: token,
		Connections: connections, Program: []string{os.Args[0]}, Log: t.Output(), Version: "test",
	}

	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ready, ended := make(chan string, 1), make(chan error, 1)

	go func() { ended <- server.Run(ctx, config, func(url string) { ready <- url }) }()

	a = &api{t: t, http: &http.Client{Timeout: 30 * time.Second}}
	end = func() {
		a.http.CloseIdleConnections()
		stop()

		if err := <-ended; err != nil {
			t.Error("the server ended:", err)
		}
	}

	select {
	case a.url = <-ready:
	case err := <-ended:
		ended <- err
		t.Fatal("the server did not start:", err)
	}

	return a, end
}

// ask sends one document and decodes its data; the errors are given as text.
func (a *api) ask(document string, variables object, into any) string {
	a.t.Helper()

	body, err := json.Marshal(object{"query": document, "variables": variables})
	if err != nil {
		a.t.Fatal(err)
	}

	req, err := http.NewRequestWithContext(a.t.Context(), http.MethodPost, a.url+"/graphql", bytes.NewReader(body))
	if err != nil {
		a.t.Fatal(err)
	}

	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+token)

	resp, err := a.http.Do(req)
	if err != nil {
		a.t.Fatal(err)
	}
	defer resp.Body.Close()

	var answer struct {
		Data   json.RawMessage
		Errors json.RawMessage
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		a.t.Fatal(err)
	}

	if len(answer.Errors) == 0 && into != nil {
		if err := json.Unmarshal(answer.Data, into); err != nil {
			a.t.Fatal(err)
		}
	}

	return string(answer.Errors)
}

func (a *api) must(document string, variables object, into any) {
	a.t.Helper()

	if errs := a.ask(document, variables, into); errs != "" {
		a.t.Fatalf("%s: %s", document, errs)
	}
}

// deployment is what the story looks at of one.
type deployment struct {
	ID, Status, StatusReason string
	Diagnosis                *struct {
		Kind, Summary, Object, Container string
		ExitCode                         *int
		LastLines                        []string
	}
	Logs struct {
		Nodes []struct{ Stream, Text string }
	}
}

// end waits for the outcome.
func (a *api) end(id string) deployment {
	a.t.Helper()

	for limit := time.Now().Add(3 * time.Minute); ; {
		var d struct{ Deployment deployment }

		a.must(`query($id: ID!) { deployment(id: $id) { id status statusReason diagnosis { kind summary object container exitCode lastLines }
			logs(first: 500) { nodes { stream text } } } }`, object{"id": id}, &d)

		switch d.Deployment.Status {
		case "QUEUED", "RUNNING", "VERIFYING":
		default:
			return d.Deployment
		}

		if time.Now().After(limit) {
			a.t.Fatalf("no outcome: %+v", d.Deployment)
		}

		<-time.After(100 * time.Millisecond)
	}
}

// register makes a version of the image.
func (a *api) register(version, image string, env object) {
	a.t.Helper()

	reference, digest, _ := strings.Cut(image, "@")
	env["VERSION"] = version

	a.must(`mutation($in: RegisterVersionInput!) { registerVersion(input: $in) { created } }`, object{"in": object{
		"service": "hello", "version": version, "image": reference, "digest": digest,
		"workload": object{"score": object{
			"apiVersion": "score.dev/v1b1", "metadata": object{"name": "hello"},
			"containers": object{"web": object{
				"image": ".", "variables": env,
				"readinessProbe": object{"httpGet": object{"path": "/healthz", "port": 8080}},
			}},
			"service": object{"ports": object{"http": object{"port": 80, "targetPort": 8080}}},
		}},
	}}, nil)
}

func (a *api) deploy(version, environment string) deployment {
	a.t.Helper()

	var made struct {
		Deploy struct{ Deployment deployment }
	}

	a.must(`mutation($in: DeployInput!) { deploy(input: $in) { deployment { id } } }`,
		object{"in": object{"service": "hello", "environment": environment, "version": version}}, &made)

	return a.end(made.Deploy.Deployment.ID)
}

// drift waits until the placement is seen as wanted.
func (a *api) drift(want, version string) {
	a.t.Helper()

	for limit := time.Now().Add(time.Minute); ; {
		var seen struct {
			Service struct {
				Placements []struct {
					Drift    string
					Observed *struct {
						Versions []struct {
							Version        *struct{ Name string }
							Ready, Desired int
						}
					}
				}
			}
		}

		a.must(`{ service(name: "hello") { placements { drift observed { versions { version { name } ready desired } } } } }`, nil, &seen)

		for _, p := range seen.Service.Placements {
			if p.Drift == want && p.Observed != nil && len(p.Observed.Versions) > 0 && p.Observed.Versions[0].Version != nil && p.Observed.Versions[0].Version.Name == version {
				return
			}
		}

		if time.Now().After(limit) {
			a.t.Fatalf("not %s of %s: %+v", want, version, seen)
		}

		<-time.After(100 * time.Millisecond)
	}
}

func (d deployment) says(stream, text string) bool {
	for _, l := range d.Logs.Nodes {
		if l.Stream == stream && strings.Contains(l.Text, text) {
			return true
		}
	}

	return false
}

// TestStory is what a team does: two versions, a bad image, a crash, and back.
func TestStory(t *testing.T) {
	t.Parallel()

	b, err := theBench()
	if err != nil {
		t.Fatal(err)
	}

	a, namespace := serve(t, b), b.namespace(t)

	a.must(`mutation { createService(input: {name: "hello", title: "Hello", owner: "group:default/team"}) { service { id } } }`, nil, nil)

	environment := `mutation($in: CreateEnvironmentInput!) { createEnvironment(input: $in) { environment { id } } }`
	where := object{"name": namespace, "tier": "DEVELOPMENT", "rank": 1, "target": object{"kind": "KUBERNETES", "connection": "elsewhere", "namespace": "{environment}"}}

	if errs := a.ask(environment, object{"in": where}, nil); !strings.Contains(errs, "target.connection") || !strings.Contains(errs, "accepted are test") {
		t.Errorf("another server's connection: %s", errs)
	}

	where["target"].(object)["connection"] = "test"
	a.must(environment, object{"in": where}, nil)

	a.register("1.0.0", b.image, object{"LINES": "3"})

	first := a.deploy("1.0.0", namespace)
	if first.Status != "SUCCEEDED" || !first.says("STEP", "Deployment/hello is made") {
		t.Fatalf("the first: %+v", first)
	}

	a.drift("IN_SYNC", "1.0.0")
	a.register("2.0.0", b.image, object{"LINES": "5"})

	if second := a.deploy("2.0.0", namespace); second.Status != "SUCCEEDED" {
		t.Fatalf("the second: %+v", second)
	}

	a.drift("IN_SYNC", "2.0.0")

	if first = a.end(first.ID); !first.says("CONTAINER", "line 3 of version 1.0.0") {
		t.Errorf("the first one's output is not in its log: %+v", first.Logs)
	}

	reference, _, _ := strings.Cut(b.image, "@")
	a.register("3.0.0", reference+"@sha256:"+strings.Repeat("0", 64), object{})

	third := a.deploy("3.0.0", namespace)
	if third.Status != "FAILED" || third.Diagnosis == nil || third.Diagnosis.Kind != "IMAGE_UNAVAILABLE" || !strings.HasPrefix(third.Diagnosis.Object, "Pod/") {
		t.Fatalf("an image that is not there: %+v %+v", third, third.Diagnosis)
	}

	t.Log(third.Diagnosis.Summary)

	// What was there goes on by itself.
	a.drift("VERSION_DIFFERS", "2.0.0")
	a.register("4.0.0", b.image, object{"CRASH_AFTER": "200ms", "EXIT_CODE": "7", "READY_AFTER": "never"})

	fourth := a.deploy("4.0.0", namespace)
	if fourth.Status != "FAILED" || fourth.Diagnosis == nil || fourth.Diagnosis.Kind != "CRASHED" || fourth.Diagnosis.ExitCode == nil || *fourth.Diagnosis.ExitCode != 7 {
		t.Fatalf("a crash: %+v %+v", fourth, fourth.Diagnosis)
	}

	t.Log(fourth.Diagnosis.Summary, fourth.Diagnosis.LastLines)

	var back struct {
		Rollback struct{ Deployment deployment }
	}

	a.must(`mutation($in: RollbackInput!) { rollback(input: $in) { deployment { id } } }`,
		object{"in": object{"service": "hello", "environment": namespace, "to": first.ID, "reason": "the story"}}, &back)

	if end := a.end(back.Rollback.Deployment.ID); end.Status != "SUCCEEDED" {
		t.Fatalf("back: %+v", end)
	}

	a.drift("IN_SYNC", "1.0.0")

	image := b.kubectl(t, "get", "deployment", "hello", "-n", namespace, "-o", `jsonpath={.spec.template.spec.containers[0].env[?(@.name=="VERSION")].value}`)
	if image != "1.0.0" {
		t.Errorf("the cluster runs %s", image)
	}
}
