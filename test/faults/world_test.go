package faults

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gofrs/flock"
	"github.com/google/uuid"

	"github.com/shiplog/shiplog/deployer/process"
	"github.com/shiplog/shiplog/internal/store"
	"github.com/shiplog/shiplog/internal/store/storetest"
)

const (
	// markVariable is how the processes that a test deploys are told from all
	// others; contentVariable says which version they are.
	markVariable    = "SHIPLOG_FAULTS_MARK"
	contentVariable = "SHIPLOG_FAULTS_CONTENT"
	// numbered is how many lines every process writes, each with its number.
	numbered = 20
	// place is the environment that everything is deployed to.
	place = "production"
)

// world is a database, a folder and the replicas that share them.
type world struct {
	*client

	mark, data, database string
	replicas             []*replica
	targets              *process.Deployer
}

// newWorld starts replicas on a fresh database of the dialect.
func newWorld(t *testing.T, dialect string, replicas int) *world {
	t.Helper()

	w := emptyWorld(t, dialect)
	for range replicas {
		w.add(newReplica(t, w.data, w.database))
	}

	if err := w.mutate(t.Context(), "createEnvironment", "environment { id }", map[string]any{
		"name": place, "tier": "PRODUCTION", "rank": 10, "target": map[string]any{"kind": "PROCESS"},
	}, nil); err != nil {
		t.Fatal(err)
	}

	return w
}

// emptyWorld has a database and a folder, and ends the processes that were
// deployed there with the test.
func emptyWorld(t *testing.T, dialect string) *world {
	t.Helper()

	return worldOn(t, storetest.URL(t, dialect))
}

// worldOn is an empty world on a database that is there.
func worldOn(t *testing.T, database string) *world {
	t.Helper()

	data := t.TempDir()

	targets, err := process.New(process.Config{Dir: filepath.Join(data, "process"), Program: []string{shared(t).program}})
	if err != nil {
		t.Fatal(err)
	}

	w := &world{client: newClient(), mark: uuid.NewString(), data: data, database: database, targets: targets}

	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 30*time.Second)
		defer cancel()

		if err := targets.StopAll(ctx); err != nil {
			t.Error(err)
		}

		if t.Failed() {
			return
		}

		left, err := marked(w.mark)
		if err != nil || len(left) > 0 {
			t.Errorf("processes that nobody stops: %d, %v", len(left), err)
		}
	})

	return w
}

func (w *world) add(r *replica) {
	w.replicas = append(w.replicas, r)
	w.urls = append(w.urls, r.url())
}

// score is a workload that writes numbered lines and then does what end says:
// "exec sleep 100000" works, "exit 3" is a version that crashes.
func (w *world) score(service, content, end string) map[string]any {
	script := fmt.Sprintf(`i=1; while [ $i -le %d ]; do echo "line $i"; i=$((i+1)); done; %s`, numbered, end)

	return map[string]any{
		"apiVersion": "score.dev/v1b1",
		"metadata":   map[string]any{"name": service, "annotations": map[string]any{"shiplog.dev/startup-timeout": "60s"}},
		"containers": map[string]any{"main": map[string]any{
			"image": "none", "command": []string{"/bin/sh"}, "args": []string{"-c", script},
			"variables": map[string]any{markVariable: w.mark, contentVariable: content},
		}},
	}
}

// late is a workload that is ready after a while.
func (w *world) late(service, content string, after time.Duration) (map[string]any, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}

	document := w.score(service, content, works)
	container := document["containers"].(map[string]any)["main"].(map[string]any)
	container["command"], container["args"] = []string{program}, []string{lateService, after.String()}
	document["service"] = map[string]any{"ports": map[string]any{"web": map[string]any{"port": 8080}}}

	return document, nil
}

const (
	works   = "exec sleep 100000"
	crashes = "exit 3"
)

// service makes a service.
func (w *world) service(ctx context.Context, name string) error {
	return w.mutate(ctx, "createService", "service { id }", map[string]any{"name": name}, nil)
}

// register registers a version of which every process ends so.
func (w *world) register(ctx context.Context, service, version, end string) error {
	return w.registerScore(ctx, service, version, w.score(service, service+"/"+version, end))
}

// registerLate registers a version that is ready after a while.
func (w *world) registerLate(ctx context.Context, service, version string, after time.Duration) error {
	document, err := w.late(service, service+"/"+version, after)
	if err != nil {
		return err
	}

	return w.registerScore(ctx, service, version, document)
}

func (w *world) registerScore(ctx context.Context, service, version string, document map[string]any) error {
	return w.mutate(ctx, "registerVersion", "version { id }", map[string]any{
		"service": service, "version": version, "builtAt": time.Now().UTC().Format(time.RFC3339Nano),
		"workload": map[string]any{"score": document},
	}, nil)
}

// deployment is what a deployment answers.
type deployment struct {
	ID           string
	Status       string
	StatusReason string
	SupersededBy *struct{ ID string }
	Version      *struct{ Name string }
	Service      struct{ Name string }
	ActedAt      *time.Time
	Steps        []step
}

type step struct {
	ID, Kind, Status string
	Attempt          int
	Message          string
}

const deploymentFields = "id status statusReason supersededBy { id } version { name } service { name } actedAt steps { id kind status attempt message }"

func (d deployment) final() bool {
	switch d.Status {
	case "SUCCEEDED", "FAILED", "ERRORED", "CANCELLED", "REJECTED", "SUPERSEDED":
		return true
	}

	return false
}

// deploy deploys a version and gives what was acknowledged. More goes into the
// input.
func (w *world) deploy(ctx context.Context, service, version string, more map[string]any) (deployment, error) {
	input := map[string]any{"service": service, "environment": place, "version": version}
	maps.Copy(input, more)

	var payload struct{ Deployment deployment }

	err := w.mutate(ctx, "deploy", "deployment { "+deploymentFields+" }", input, &payload)

	return payload.Deployment, err
}

// undeploy asks for a service to be taken away.
func (w *world) undeploy(ctx context.Context, service string, more map[string]any) (deployment, error) {
	input := map[string]any{"service": service, "environment": place}
	maps.Copy(input, more)

	var payload struct{ Deployment deployment }

	err := w.mutate(ctx, "undeploy", "deployment { "+deploymentFields+" }", input, &payload)

	return payload.Deployment, err
}

// find reads a deployment.
func (w *world) find(ctx context.Context, id string) (deployment, error) {
	var found struct{ Deployment deployment }

	err := w.read(ctx, "query($id: ID!) { deployment(id: $id) { "+deploymentFields+" } }", map[string]any{"id": id}, &found)

	return found.Deployment, err
}

// await reads a deployment until it is as wanted.
func (w *world) await(ctx context.Context, id string, limit time.Duration, wanted func(deployment) bool) (deployment, error) {
	until := time.Now().Add(limit)

	for {
		d, err := w.find(ctx, id)
		if err != nil || wanted(d) {
			return d, err
		}

		if time.Now().After(until) {
			return d, fmt.Errorf("deployment %s is %s (%s) after %s: %+v", id, d.Status, d.StatusReason, limit, d.Steps)
		}

		select {
		case <-ctx.Done():
			return d, ctx.Err()
		case <-time.After(25 * time.Millisecond):
		}
	}
}

// seize holds a service at the target, so that whoever wants to change it there
// waits until it is let go.
func (w *world) seize(t *testing.T, service string) (free func()) {
	t.Helper()

	dir := filepath.Join(w.data, "process", "units", place, service)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}

	lock := flock.New(filepath.Join(dir, "lock"))
	if err := lock.Lock(); err != nil {
		t.Fatal(err)
	}

	free = sync.OnceFunc(func() {
		if err := lock.Unlock(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(free)

	return free
}

// applying reports whether the target is being told.
func applying(d deployment) bool {
	return slices.ContainsFunc(d.Steps, func(s step) bool { return s.Kind == "APPLY" && s.Status == "RUNNING" })
}

// step gives the step of the kind.
func (d deployment) step(kind string) step {
	for _, s := range d.Steps {
		if s.Kind == kind {
			return s
		}
	}

	return step{}
}

// owner gives the index of the replica that carries the deployment on.
func (w *world) owner(ctx context.Context, s *store.Store, id string) (int, error) {
	d, err := s.Read.Deployment.Get(ctx, id)
	if err != nil {
		return 0, err
	}

	row, err := s.Read.Lease.Get(ctx, "unit/"+d.ServiceID+"/"+d.EnvironmentID)
	if err != nil {
		return 0, err
	}

	for i, r := range w.replicas {
		if strings.Contains(row.Owner, fmt.Sprintf("/%d/", r.pid())) {
			return i, nil
		}
	}

	return 0, fmt.Errorf("%q, the owner of %s, is none of us", row.Owner, id)
}

func is(status ...string) func(deployment) bool {
	return func(d deployment) bool { return slices.Contains(status, d.Status) }
}

// pids gives the processes that run now, by content.
func (w *world) pids(t *testing.T) map[string][]string {
	t.Helper()

	living, err := marked(w.mark)
	if err != nil {
		t.Fatal(err)
	}

	found := map[string][]string{}

	for _, p := range living {
		// A shell that has not yet become what it runs counts too.
		found[p[contentVariable]] = append(found[p[contentVariable]], p["pid"])
	}

	return found
}
