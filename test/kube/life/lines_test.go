package life

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/shiplog/shiplog/test/cluster"
)

// The node rotates a container's log when it has 20 KiB, some three seconds of
// what its pod says, and starts a container again a second after its end.
const small = `containerLogMaxSize: 20Ki
containerLogMaxFiles: 3
containerLogMonitorInterval: 3s
crashLoopBackOff: {maxContainerRestartPeriod: 1s}
`

// pods of the story, and how many lines a second all of them print.
const (
	pods   = 10
	perPod = 100
)

const talkers = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: NAME}
spec:
  replicas: REPLICAS
  selector: {matchLabels: {app: NAME}}
  template:
    metadata: {labels: {app: NAME}}
    spec:
      automountServiceAccountToken: false
      terminationGracePeriodSeconds: 1
      containers:
      - name: app
        image: IMAGE
        readinessProbe: {httpGet: {path: /healthz, port: 8080}, periodSeconds: 1}
        resources: {requests: {cpu: 10m, memory: 8Mi}, limits: {memory: 32Mi}}
`

// long says whether the large sizes are wanted (make test-lines-long).
func long() bool { return os.Getenv("SHIPLOG_LINES") == "long" }

// TestEveryNumberArrivesOnce: pods print numbered lines, a thousand a second in
// all, and crash; the node rotates their logs; the API server is killed, and
// Shiplog. Viewers, cut at random, see of every run of every container each
// number once, in order; or a gap, where the node itself had lost lines.
func TestEveryNumberArrivesOnce(t *testing.T) {
	rounds, crashAfter := 1, "11s"
	if long() {
		rounds, crashAfter = 12, "23s"
	}

	l := newLife(t, small)
	found := l.up(t, "first")
	server := newShiplog(t, found.Kubeconfig)
	s := l.talk(t, server, found, "talkers", map[string]string{"LINES": "all", "RATE": strconv.Itoa(perPod), "CRASH_AFTER": crashAfter}, pods)

	for range rounds {
		l.disturb(t, s)
	}

	rotations := l.rotations(t)
	if rotations == 0 {
		t.Error("no log was rotated")
	}

	t.Logf("%d rotated files", rotations)
	s.finish(t)
	s.judge(t)
	s.gone(t, found)

	// Undisturbed: many pods.
	many := l.talk(t, server, found, "many", map[string]string{"LINES": "20"}, 50)

	many.until(t, "fifty pods are read", func(at progress) bool {
		return len(at.last) == 50 && !slices.ContainsFunc(slices.Collect(maps.Values(at.last)), func(n int) bool { return n < 20 })
	})
	many.finish(t)

	for of, n := range many.judge(t) {
		if n.gaps > 0 || n.passed > 0 || n.last != 20 {
			t.Errorf("%s, attempt %d: %d gaps, last number %d", of.pod, of.attempt, n.gaps, n.last)
		}
	}
}

// story is a server whose deployment is watched.
type story struct {
	*shiplog

	name    string
	viewers []*viewer
	ended   sync.WaitGroup
	stop    context.CancelFunc
}

// talk deploys pods to a namespace of their own and watches what they say.
func (l *life) talk(t *testing.T, server *shiplog, found *cluster.Cluster, name string, behaviour map[string]string, replicas int) *story {
	t.Helper()

	ref, err := found.PushApp(t.Context(), name, "1", behaviour)
	if err != nil {
		t.Fatal(err)
	}

	if _, err := found.Run(t.Context(), nil, "create", "namespace", name); err != nil {
		t.Fatal(err)
	}

	s := &story{shiplog: server, name: name}
	id := s.deploy(t, name, strings.NewReplacer("IMAGE", ref, "REPLICAS", strconv.Itoa(replicas), "NAME", name).Replace(talkers))

	ctx, stop := context.WithCancel(t.Context())
	s.stop = stop

	seed := rand.Uint64()
	if said, err := strconv.ParseUint(os.Getenv("SHIPLOG_SEED"), 10, 64); err == nil {
		seed = said
	}

	t.Logf("seed %d (SHIPLOG_SEED)", seed)

	for i := range 3 {
		v := newViewer(s.url(), id, rand.New(rand.NewPCG(seed, uint64(i))), l.passedOver)
		s.viewers = append(s.viewers, v)
		s.ended.Go(func() { v.watch(ctx) })
	}

	t.Cleanup(func() { stop(); s.ended.Wait() })

	if status := s.outcome(t, id); status != "SUCCEEDED" {
		t.Fatal("the deployment is", status)
	}

	s.until(t, "every pod is seen", func(at progress) bool { return len(at.lines) == replicas })

	return s
}

// disturb kills the API server and then the server, and waits each time until
// every pod is heard again, and in the end until every pod has crashed twice.
func (l *life) disturb(t *testing.T, s *story) {
	t.Helper()

	began := s.progress()
	s.heard(t, "before")

	l.kill(t, "kube-apiserver")
	s.heard(t, "after the API server was killed")

	s.kill(t)
	s.start(t)
	s.heard(t, "after Shiplog was killed")

	s.until(t, "every pod has crashed and says more", func(at progress) bool {
		for pod, attempt := range began.attempts {
			if at.attempts[pod] < attempt+2 || at.last[pod] < perPod {
				return false
			}
		}

		return true
	})
}

// progress is what the first viewer has seen: of every pod the last attempt,
// its last number, and how many lines in all.
type progress struct{ attempts, last, lines map[string]int }

func (s *story) progress() progress {
	p := progress{map[string]int{}, map[string]int{}, map[string]int{}}

	for of, n := range s.viewers[0].seen() {
		p.lines[of.pod] += n.last - n.lost

		if of.attempt > p.attempts[of.pod] {
			p.attempts[of.pod], p.last[of.pod] = of.attempt, n.last
		}
	}

	return p
}

// heard waits until every pod has said something for another second or two.
func (s *story) heard(t *testing.T, when string) {
	t.Helper()

	before := s.progress()

	s.until(t, "every pod is heard "+when, func(at progress) bool {
		for pod, n := range before.lines {
			if at.lines[pod] < n+perPod*3/2 {
				return false
			}
		}

		return true
	})
}

// until waits for progress, as long as nothing is wrong.
func (s *story) until(t *testing.T, what string, is func(progress) bool) {
	t.Helper()

	eventually(t, what, func() bool {
		for i, v := range s.viewers {
			if err := v.err(); err != nil {
				t.Fatalf("viewer %d: %v", i, err)
			}
		}

		return is(s.progress())
	})
}

// finish waits until all viewers have seen what the first has, and ends them.
func (s *story) finish(t *testing.T) {
	t.Helper()

	goal := s.viewers[0].seen()

	s.until(t, "all viewers have seen it", func(progress) bool {
		for _, v := range s.viewers {
			seen := v.seen()
			for of, n := range goal {
				if seen[of].last < n.last {
					return false
				}
			}
		}

		return true
	})

	s.stop()
	s.ended.Wait()
}

// judge looks at what was seen as a whole: no attempt is missing, each but the
// last came to its end.
func (s *story) judge(t *testing.T) map[which]numbers {
	t.Helper()

	seen := s.viewers[0].seen()
	lines, gaps, lost, passed := 0, 0, 0, 0
	newest := s.progress().attempts

	for of, n := range seen {
		lines, gaps, lost, passed = lines+n.last-n.lost-n.passed, gaps+n.gaps, lost+n.lost, passed+n.passed

		if _, before := seen[which{of.pod, of.attempt - 1}]; of.attempt > 1 && !before && n.gaps == 0 {
			t.Errorf("%s: attempt %d, and none before it", of.pod, of.attempt)
		}

		if (!n.first || of.attempt < newest[of.pod] && !n.ended) && n.gaps+seen[which{of.pod, of.attempt + 1}].gaps == 0 {
			t.Errorf("%s, attempt %d: start seen %t, end seen %t, last number %d", of.pod, of.attempt, n.first, n.ended, n.last)
		}
	}

	for i, v := range s.viewers {
		if err := v.err(); err != nil {
			t.Errorf("viewer %d: %v", i, err)
		}
	}

	cuts := s.viewers[0].cuts + s.viewers[1].cuts + s.viewers[2].cuts
	t.Logf("%d pods, %d runs, %d lines, viewers cut %d times; %d gaps for %d lines; at rotations the node has passed over %d",
		len(newest), len(seen), lines, cuts, gaps, lost, passed)
	t.Log("attempts:", slices.Sorted(maps.Values(newest)))

	return seen
}

// gone removes the pods, which would take the machine from what comes next.
func (s *story) gone(t *testing.T, found *cluster.Cluster) {
	t.Helper()

	if _, err := found.Run(t.Context(), nil, "delete", "deployment", s.name, "--namespace", s.name); err != nil {
		t.Fatal(err)
	}
}

// passedOver reports whether the node has passed lines over: the runtime makes
// the new file, at which the kubelet turns to it, and writes what comes until
// it has turned itself to the end of the old one. The kubelet gives no rotated
// file, and does not say that there was one, so that nobody can mark it.
func (l *life) passedOver(of which, from, to int) bool {
	files, err := filepath.Glob(filepath.Join(l.config.Dir, "state", "podlogs", "talkers_"+of.pod+"_*", "app", strconv.Itoa(of.attempt-1)+".log.*"))
	if err != nil {
		return false
	}

	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // compressed, or removed, meanwhile
		}

		var ends strings.Builder
		for n := from; n <= to; n++ {
			fmt.Fprintf(&ends, "line %d of version 1\n", n)
		}

		if strings.HasSuffix(withoutTimes(string(text)), "\n"+ends.String()) {
			return true
		}
	}

	return false
}

// withoutTimes leaves of a file of the runtime what the program has printed.
func withoutTimes(text string) string {
	var printed strings.Builder

	for line := range strings.Lines(text) {
		if fields := strings.SplitN(line, " ", 4); len(fields) == 4 { // time, stream, tag, text
			printed.WriteString(fields[3])
		}
	}

	return printed.String()
}

// rotations counts the files that the node has rotated and still has.
func (l *life) rotations(t *testing.T) int {
	t.Helper()

	files, err := filepath.Glob(filepath.Join(l.config.Dir, "state", "podlogs", "talkers_*", "app", "*.log.*"))
	if err != nil {
		t.Fatal(err)
	}

	return len(files)
}
