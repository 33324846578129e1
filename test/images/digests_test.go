//go:build unix

package images

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shiplog/shiplog/internal/store/storetest"
)

// runs reports whether a container of the snapshot has exactly this image.
func runs(d seen, reference string) bool {
	return strings.Contains(string(d.Snapshot.Objects), `"`+reference+`"`)
}

// TestTagMoves: a version keeps the digest that was found first, whatever its
// tag means later and wherever it goes, and so do those who repeat it.
func TestTagMoves(t *testing.T) {
	each(t, func(t *testing.T, a *api, s *shelf) {
		first, beside := s.push(t, "shop/hello:1.0"), s.push(t, "proxy:2")
		own, proxy := s.host+"/shop/hello:1.0", s.host+"/proxy:2"

		a.register("1.0", own, proxy)

		if got := a.images("1.0"); len(got) != 1 || got[0].Digest != "" {
			t.Fatalf("before it is deployed: %+v", got)
		}

		dry := a.dry("1.0", "staging")
		if got := a.images("1.0"); got[0].Digest != "" {
			t.Fatalf("a dry run stored %+v", got)
		}

		one := a.deploy("1.0", "staging")
		planned := a.until(one, "planned", isPlanned)

		if !runs(planned, own+"@"+first) || !runs(planned, proxy+"@"+beside) {
			t.Errorf("runs %s", planned.Snapshot.Objects)
		}

		if planned.Snapshot.Digest != dry {
			t.Errorf("the dry run said %s, it is %s", dry, planned.Snapshot.Digest)
		}

		want := []image{{"main", own, first}}
		if !slices.Equal(planned.Snapshot.Images, want) || !slices.Equal(a.images("1.0"), want) {
			t.Errorf("snapshot %+v, version %+v, want %+v", planned.Snapshot.Images, a.images("1.0"), want)
		}

		s.push(t, "shop/hello:1.0")
		s.push(t, "proxy:2")

		asked := s.questions()

		a.environment("production", "KUBERNETES")

		two := a.until(a.deploy("1.0", "production"), "planned", isPlanned)
		if two.Snapshot.Digest != planned.Snapshot.Digest {
			t.Errorf("the second has %s, the first %s", two.Snapshot.Digest, planned.Snapshot.Digest)
		}

		a.until(one, "over", isOver)

		for _, configuration := range []string{"THEN", "LATEST"} {
			var made struct {
				Redeploy struct{ Deployment struct{ ID string } }
			}

			a.do(`mutation($d: ID!, $c: RepeatConfiguration) { redeploy(input: {deployment: $d, configuration: $c}) { deployment { id } } }`,
				map[string]any{"d": one, "c": configuration}, &made)

			again := a.until(made.Redeploy.Deployment.ID, "planned and over", func(d seen) bool { return isPlanned(d) && isOver(d) })
			if again.Snapshot.Digest != planned.Snapshot.Digest {
				t.Errorf("%s has %s, the first %s", configuration, again.Snapshot.Digest, planned.Snapshot.Digest)
			}
		}

		if s.questions() != asked {
			t.Errorf("the registry was asked %d times again", s.questions()-asked)
		}

		if got := a.events("version.resolved"); len(got) != 1 || !strings.Contains(got[0], own+" is "+first) || !strings.Contains(got[0], proxy+" is "+beside) {
			t.Errorf("events %q", got)
		}

		// The same registration is the same still, and another one is told
		// from it by what was registered.
		a.register("1.0", own, proxy)

		errs := a.ask(`mutation($i: String!, $d: String!) { registerVersion(input: {service: "hello", version: "1.0", image: $i, digest: $d}) { version { id } } }`,
			map[string]any{"i": own, "d": first}, nil)
		if len(errs) != 1 || errs[0].Extensions.Code != "CONFLICT" || !strings.Contains(errs[0].Message, "(images)") {
			t.Errorf("with the digest: %+v", errs)
		}
	})
}

// dry gives the digest of a dry run.
func (a *api) dry(version, environment string) string {
	a.t.Helper()

	var said struct {
		Deploy struct{ Plan struct{ Digest string } }
	}

	a.do(`mutation($v: ID!, $e: ID!) { deploy(input: {service: "hello", environment: $e, version: $v, dryRun: true}) { plan { digest } } }`,
		map[string]any{"v": version, "e": environment}, &said)

	return said.Deploy.Plan.Digest
}

// TestRegistryAway: the deployment waits, says once for what, and goes on when
// the registry is there.
func TestRegistryAway(t *testing.T) {
	each(t, func(t *testing.T, a *api, s *shelf) {
		digest := s.push(t, "shop/hello:1.0")
		own := s.host + "/shop/hello:1.0"

		s.set(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
		a.register("1.0", own)

		errs := a.ask(`mutation { deploy(input: {service: "hello", environment: "staging", version: "1.0", dryRun: true}) { plan { digest } } }`, nil, nil)
		if len(errs) != 1 || errs[0].Extensions.Code != "UNAVAILABLE" || !strings.Contains(errs[0].Message, "503") {
			t.Errorf("a dry run: %+v", errs)
		}

		id := a.deploy("1.0", "staging")
		waiting := a.until(id, "waiting", func(d seen) bool { return d.StatusReason != "" })

		if waiting.Status != "QUEUED" || !strings.Contains(waiting.StatusReason, own) || !strings.Contains(waiting.StatusReason, "staging") || !strings.Contains(waiting.StatusReason, "503") {
			t.Errorf("it is %s: %s", waiting.Status, waiting.StatusReason)
		}

		// Asked again, and nothing said twice.
		asked := make(chan struct{}, 1000)
		s.set(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusServiceUnavailable)

			select {
			case asked <- struct{}{}:
			default:
			}
		})

		select {
		case <-asked:
		case <-time.After(patience):
			t.Fatal("the registry is not asked again")
		}

		s.set(nil)

		done := a.until(id, "planned", isPlanned)
		if !runs(done, own+"@"+digest) || strings.Contains(done.StatusReason, "503") {
			t.Errorf("runs %s: %s", done.Snapshot.Objects, done.StatusReason)
		}

		said := 0

		for _, line := range done.Logs.Nodes {
			if strings.Contains(line.Text, "answered 503") && strings.Contains(line.Text, "tried again") {
				said++
			}
		}

		if said != 1 {
			t.Errorf("said %d times: %+v", said, done.Logs.Nodes)
		}
	})
}

// TestCancelWhileWaiting: what waits for a registry has not acted.
func TestCancelWhileWaiting(t *testing.T) {
	each(t, func(t *testing.T, a *api, s *shelf) {
		s.set(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
		a.register("1.0", s.host+"/shop/hello:1.0")

		id := a.deploy("1.0", "staging")
		a.until(id, "waiting", func(d seen) bool { return d.StatusReason != "" })
		a.do(`mutation($d: ID!) { cancelDeployment(input: {deployment: $d}) { deployment { id } } }`, map[string]any{"d": id}, nil)

		if over := a.until(id, "over", isOver); over.Status != "CANCELLED" || over.Snapshot != nil {
			t.Errorf("%+v", over)
		}
	})
}

// TestNoSuchImage: it ends, with image and environment named.
func TestNoSuchImage(t *testing.T) {
	each(t, func(t *testing.T, a *api, s *shelf) {
		own := s.host + "/shop/hello:1.0"
		a.register("1.0", own)

		errs := a.ask(`mutation { deploy(input: {service: "hello", environment: "staging", version: "1.0", dryRun: true}) { plan { digest } } }`, nil, nil)
		if len(errs) != 1 || errs[0].Extensions.Code != "INVALID_INPUT" || errs[0].Extensions.Field != "version" || !strings.Contains(errs[0].Message, own) {
			t.Errorf("a dry run: %+v", errs)
		}

		over := a.until(a.deploy("1.0", "staging"), "over", isOver)
		if over.Status != "FAILED" || over.Diagnosis == nil || over.Diagnosis.Kind != "IMAGE_UNAVAILABLE" {
			t.Fatalf("%+v", over)
		}

		for _, text := range []string{over.StatusReason, over.Diagnosis.Summary} {
			if !strings.Contains(text, "no image "+own) || !strings.Contains(text, "staging") {
				t.Errorf("says %q", text)
			}
		}

		for _, step := range over.Steps {
			if want := map[string]string{"PLAN": "FAILED", "APPLY": "SKIPPED", "ROLLOUT": "SKIPPED"}[step.Kind]; step.Status != want {
				t.Errorf("step %s is %s", step.Kind, step.Status)
			}
		}

		// A newer image of that name is another attempt.
		digest := s.push(t, "shop/hello:1.0")
		if again := a.until(a.deploy("1.0", "staging"), "planned", isPlanned); !runs(again, own+"@"+digest) {
			t.Errorf("runs %s", again.Snapshot.Objects)
		}
	})
}

// TestAllAtOnce: one version is planned in several environments at once, on
// Postgres by two replicas, while its tag moves with every question: one
// digest is stored, and all run it.
func TestAllAtOnce(t *testing.T) {
	t.Parallel()

	for _, dialect := range []string{"sqlite", "postgres"} {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()

			database := storetest.URL(t, dialect)
			replicas := []*api{serve(t, database)}

			if dialect == "postgres" {
				replicas = append(replicas, serve(t, database))
			}

			const environments = 6

			s, a := stock(t), replicas[0]
			names := []string{"a", "b", "c", "d", "e", "f"}

			for _, name := range names {
				a.environment(name, "KUBERNETES")
			}

			a.do(`mutation { createService(input: {name: "hello"}) { service { id } } }`, nil, nil)
			a.register("1.0", s.host+"/shop/hello:1.0")

			// Nobody is answered before several have asked, and every one
			// is told something else.
			var (
				mu       sync.Mutex
				told     int
				together = make(chan struct{})
			)

			s.set(func(w http.ResponseWriter, r *http.Request) {
				if !strings.Contains(r.URL.Path, "/manifests/") {
					return
				}

				mu.Lock()
				told++
				digest := "sha256:" + strings.Repeat(string("0123456789abcdef"[told%16]), 64)

				if told == environments {
					close(together)
				}
				mu.Unlock()

				select {
				case <-together:
				case <-r.Context().Done():
				}

				w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
				w.Header().Set("Content-Length", "10")
				w.Header().Set("Docker-Content-Digest", digest)
			})

			var deployments []string

			for i, name := range names {
				deployments = append(deployments, replicas[i%len(replicas)].deploy("1.0", name))
			}

			digests := map[string]bool{}
			for _, id := range deployments {
				digests[a.until(id, "planned", isPlanned).Snapshot.Digest] = true
			}

			if len(digests) != 1 || len(a.events("version.resolved")) != 1 {
				t.Errorf("snapshots %v, events %q", digests, a.events("version.resolved"))
			}

			if told < environments {
				t.Errorf("only %d asked", told)
			}
		})
	}
}

// TestProcessTargetsAskNobody: what runs no images has none resolved.
func TestProcessTargetsAskNobody(t *testing.T) {
	each(t, func(t *testing.T, a *api, s *shelf) {
		a.environment("local", "PROCESS")
		a.do(`mutation($i: String!) { registerVersion(input: {service: "hello", version: "1.0", image: $i, workload: {score: {
			apiVersion: "score.dev/v1b1", metadata: {name: "hello"}, containers: {main: {image: ".", command: ["/bin/true"]}}}}}) { version { id } } }`,
			map[string]any{"i": s.host + "/shop/hello:1.0"}, nil)

		planned := a.until(a.deploy("1.0", "local"), "planned and over", func(d seen) bool { return isPlanned(d) && isOver(d) })
		if got := planned.Snapshot.Images; len(got) != 1 || got[0].Digest != "" || s.questions() != 0 {
			t.Errorf("images %+v, asked %d times", got, s.questions())
		}
	})
}
