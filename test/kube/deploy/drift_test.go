package deploy

import (
	"fmt"
	"testing"
	"time"

	"github.com/shiplog/shiplog/deployer"
)

// until observes until what runs is as wanted, and says how long it took.
func (s *stage) until(t *testing.T, u deployer.Unit, what string, ok func(deployer.Observation) bool) {
	t.Helper()

	began := time.Now()

	for {
		seen, err := s.Observe(t.Context(), u)
		if err != nil {
			t.Fatal(err)
		}

		if ok(seen) {
			t.Logf("%s: seen after %s", what, time.Since(began).Round(time.Millisecond))

			return
		}

		if time.Since(began) > 20*time.Second {
			t.Fatalf("%s: not seen: %+v, by %v", what, seen.Contents, seen.Hands)
		}

		<-time.After(10 * time.Millisecond)
	}
}

// changedBy reports whether the workload was changed by this manager alone.
func changedBy(o deployer.Observation, manager string) bool {
	return len(o.Hands) == 1 && o.Hands[0].Object == "Deployment/hello" && o.Hands[0].Manager == manager
}

// TestChangesBehindOurBackAreSeen changes by kubectl what was applied, and
// repairs it by applying it again.
func TestChangesBehindOurBackAreSeen(t *testing.T) {
	t.Parallel()

	s := newStage(t)
	act := s.act(t, "d1", s.app(nil, nil))
	act.Version = "version_1"
	s.ready(t, act)

	same := func(o deployer.Observation) bool {
		return len(o.Hands) == 0 && len(o.Contents) == 1 && o.Contents[0].Digest == act.Digest && o.Contents[0].Ready == 2 && o.Contents[0].Desired == 2
	}
	s.until(t, act.Unit, "as applied", same)

	other, err := s.PushApp(t.Context(), "deployer-other", "9", map[string]string{"OTHER": "1"})
	if err != nil {
		t.Fatal(err)
	}

	for i, c := range []struct {
		args []string
		ok   func(deployer.Observation) bool
	}{
		{[]string{"scale", "deployment/hello", "--replicas=3"}, func(o deployer.Observation) bool {
			return changedBy(o, "kubectl") && len(o.Contents) == 1 && o.Contents[0].Digest == "" && o.Contents[0].Version == "version_1" && o.Contents[0].Desired == 3
		}},
		{[]string{"set", "image", "deployment/hello", "web=" + other}, func(o deployer.Observation) bool {
			for _, c := range o.Contents {
				if c.Version == "" && c.Digest == "" && c.Images["web"].Reference == other && changedBy(o, "kubectl-set") {
					return true
				}
			}

			return false
		}},
		{[]string{"delete", "deployment/hello"}, func(o deployer.Observation) bool { return len(o.Contents) == 0 }},
	} {
		s.kubectl(t, append(c.args, "-n", s.namespace)...)
		s.until(t, act.Unit, c.args[0], c.ok)

		again := act
		again.Deployment, again.Epoch = fmt.Sprintf("again%d", i), act.Epoch+int64(i)+1
		t.Log(s.ready(t, again).Changes)
		s.until(t, act.Unit, "repaired", same)
	}
}
