package scale

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/shiplog/shiplog/internal/spec"
	"github.com/shiplog/shiplog/test/apiproxy"
)

// pod is one as a cluster has it, with what makes real ones large.
func pod(service, environment, version string, i int) object {
	var env []any
	for n := range 12 {
		env = append(env, object{"name": fmt.Sprintf("SETTING_%d", n), "value": strings.Repeat("v", 40)})
	}

	return object{
		"apiVersion": "v1", "kind": "Pod",
		"metadata": object{
			"name": fmt.Sprintf("%s-%d", service, i), "annotations": object{"checksum": strings.Repeat("c", 64)},
			"labels": object{spec.LabelService: service, spec.LabelEnvironment: environment, spec.LabelVersion: spec.VersionLabel(version), "app": service},
		},
		"spec": object{
			// Nobody runs it: the object is what counts.
			"schedulerName": "nobody", "terminationGracePeriodSeconds": 0, "automountServiceAccountToken": false,
			"containers": []any{object{
				"name": "web", "image": "registry.example/" + service + "@sha256:" + strings.Repeat("0", 64), "env": env,
				"ports":          []any{object{"containerPort": 8080}},
				"readinessProbe": object{"httpGet": object{"path": "/healthz", "port": 8080}},
				"resources":      object{"requests": object{"cpu": "1m", "memory": "1Mi"}, "limits": object{"cpu": "1", "memory": "64Mi"}},
			}},
		},
	}
}

func status(service string) object {
	now := time.Now().UTC().Format(time.RFC3339)
	image := "registry.example/" + service + "@sha256:" + strings.Repeat("0", 64)

	return object{"status": object{
		"phase": "Running", "podIP": "10.0.0.1", "hostIP": "10.0.0.2", "startTime": now,
		"conditions": []any{
			object{"type": "Initialized", "status": "True", "lastTransitionTime": now},
			object{"type": "Ready", "status": "True", "lastTransitionTime": now},
			object{"type": "ContainersReady", "status": "True", "lastTransitionTime": now},
		},
		"containerStatuses": []any{object{
			"name": "web", "ready": true, "started": true, "restartCount": 0, "image": image, "imageID": image,
			// No state: no node runs it, so that there is no output to follow.
			"containerID": "containerd://" + strings.Repeat("1", 64),
		}},
	}}
}

// send sends one request to the API server.
func send(p *apiproxy.Proxy, method, path, kind string, body any) error {
	content, err := json.Marshal(body)
	if err != nil {
		return err
	}

	req, err := http.NewRequest(method, p.URL+path, bytes.NewReader(content))
	if err != nil {
		return err
	}

	req.Header.Set("Content-Type", kind)

	answer, err := (&http.Client{Timeout: time.Minute}).Do(req)
	if err != nil {
		return err
	}
	defer answer.Body.Close()

	said, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode >= http.StatusBadRequest {
		err = fmt.Errorf("%s %s: %d: %s", method, path, answer.StatusCode, said)
	}

	return err
}

// heap is what lives in this process.
func heap() uint64 {
	runtime.GC()
	runtime.GC()

	var stats runtime.MemStats

	runtime.ReadMemStats(&stats)

	return stats.HeapAlloc
}

// TestManyPods lets a server that has just started observe 500 services with
// ten pods each, in five namespaces.
func TestManyPods(t *testing.T) {
	var (
		c        = connect(t)
		filler   = apiproxy.New(t, c)
		p        = apiproxy.New(t, c)
		a        = serve(t, "sqlite", map[string]string{"test": c.Kubeconfig})
		services = size(20, 500)
		places   []string
	)

	const pods = 10

	for range size(2, 5) {
		place := namespace(t, c)
		a.environment(t, place, "test", "{environment}")

		places = append(places, place)
	}

	began := time.Now()
	work, ctx := errgroup.WithContext(t.Context())
	work.SetLimit(8)

	for i := range services {
		place, name := places[i%len(places)], fmt.Sprintf("s%d", i)

		work.Go(func() error {
			if err := a.service(ctx, name); err != nil {
				return err
			}

			if _, err := a.register(ctx, name, "1.0.0"); err != nil {
				return err
			}

			if _, err := a.deploy(ctx, name, place, "1.0.0"); err != nil {
				return err
			}

			for n := range pods {
				path := "/api/v1/namespaces/" + place + "/pods"
				if err := send(filler, http.MethodPost, path, "application/json", pod(name, place, "1.0.0", n)); err != nil {
					return err
				}

				if err := send(filler, http.MethodPatch, fmt.Sprintf("%s/%s-%d/status", path, name, n), "application/merge-patch+json", status(name)); err != nil {
					return err
				}
			}

			return nil
		})
	}

	if err := work.Wait(); err != nil {
		t.Fatal(err)
	}

	for i, place := range places {
		a.count(t, place, (services+len(places)-1-i)/len(places))
	}

	t.Logf("%d services with %d pods each made in %s", services, pods, time.Since(began).Round(time.Second))

	if err := a.stop(); err != nil {
		t.Fatal(err)
	}

	filler.Forget()

	// The same database, and a server that has seen nothing. Idle is one that
	// knows no cluster.
	idle := serveOn(t, a.database, nil)
	before := heap()

	if err := idle.stop(); err != nil {
		t.Fatal(err)
	}

	began = time.Now()
	used := cpu(t)
	fresh := serveOn(t, a.database, map[string]string{"test": p.Kubeconfig(t, "")})
	ready := fresh.observed(t, services, pods, began)
	full := time.Since(began)
	spent := cpu(t) - used

	// What the first lists left behind is gone by now.
	<-time.After(2 * time.Second)

	more := int64(heap()) - int64(before)

	p.Forget()

	rest := time.Duration(size(10, 60)) * time.Second
	used = cpu(t)

	<-time.After(rest)

	asked := p.Requests()
	resting := cpu(t) - used
	minute := float64(len(asked)) * float64(time.Minute) / float64(rest)

	t.Logf("%d pods of %d services: ready after %s, all placements after %s with %s CPU; %.1f MB of heap above idle; %.0f requests a minute at rest with %.1f %% of a core",
		services*pods, services, ready.Round(time.Millisecond), full.Round(time.Millisecond), spent.Round(time.Millisecond), float64(more)/1e6, minute, 100*float64(resting)/float64(rest))

	if most := int64(size(30, 100)) << 20; more > most {
		t.Errorf("%d MB of heap above idle, want at most %d", more>>20, most>>20)
	}

	if minute > 60 {
		t.Errorf("%.0f requests a minute at rest: %v", minute, asked[:min(len(asked), 20)])
	}
}

// observed waits until every placement was seen with so many ready, later than a
// moment; it gives how long the first one took.
func (a *app) observed(t *testing.T, services, pods int, since time.Time) (first time.Duration) {
	t.Helper()

	for {
		var seen struct {
			Placements struct {
				Nodes []struct {
					Observed *struct {
						At       time.Time
						Versions []struct{ Ready int }
					}
				}
				PageInfo struct{ EndCursor *string }
			}
		}

		done, after := 0, (*string)(nil)

		for page := 0; page*200 < services; page++ {
			a.must(t, `query($after: Cursor) { placements(first: 200, after: $after) { nodes { observed { at versions { ready } } } pageInfo { endCursor } } }`, object{"after": after}, &seen)
			after = seen.Placements.PageInfo.EndCursor

			for _, n := range seen.Placements.Nodes {
				if n.Observed != nil && n.Observed.At.After(since) && len(n.Observed.Versions) > 0 && slices.ContainsFunc(n.Observed.Versions, func(v struct{ Ready int }) bool { return v.Ready == pods }) {
					done++
				}
			}
		}

		if done > 0 && first == 0 {
			first = time.Since(since)
		}

		if done == services {
			return first
		}

		if time.Since(since) > 2*time.Minute {
			t.Fatalf("%d of %d placements are observed", done, services)
		}

		<-time.After(20 * time.Millisecond)
	}
}
