package deployertest

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shiplog/shiplog/deployer"
)

func testSupports(t *testing.T, o *owner) {
	if err := o.Supports(o.target.Content(t, Serves, "a")); err != nil {
		t.Errorf("refuses what it can do: %v", err)
	}

	for reason, snapshot := range o.target.Refused {
		if err := o.Supports(snapshot); err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("refusal %v, want one that says %q", err, reason)
		}

		act := o.placed("d1", 1)
		act.Snapshot, act.Digest = snapshot, "sha256:x"

		if _, err := o.Apply(t.Context(), act); err == nil {
			t.Errorf("applies what it does not support (%s)", reason)
		}
	}

	if len(o.target.Refused) > 0 && o.anchored(t) {
		t.Error("a refused act left an anchor")
	}
}

func testDeploy(t *testing.T, o *owner) {
	act := o.act(t, "d1", 1, Serves, "a")

	applied := o.ready(t, act)
	if applied.Unchanged || len(applied.Changes) == 0 {
		t.Errorf("applied %+v, want changes in words", applied)
	}

	seen := o.runs(t, act.Digest)
	if want := (deployer.Anchor{Deployment: "d1", Epoch: 1, Digest: act.Digest}); seen.Anchor != want {
		t.Errorf("anchor %+v, want %+v", seen.Anchor, want)
	}

	if c := seen.Contents[0]; c.Deployment != "d1" || c.VersionName != "a" || c.Desired != 2 {
		t.Errorf("content %+v", c)
	}

	if !o.anchored(t) {
		t.Error("the unit is not listed")
	}

	o.serves(t, applied.Endpoints, "a")

	// A verdict does not change.
	if again := o.settle(t, act); again.Verdict != deployer.Ready {
		t.Errorf("asked again: %s", again.Verdict)
	}
}

// serves asks every endpoint for its revision.
func (o *owner) serves(t *testing.T, endpoints map[string]string, revision string) {
	t.Helper()

	if o.target.Reach == nil {
		return
	}

	if len(endpoints) == 0 {
		t.Error("there is no endpoint")
	}

	for name, endpoint := range endpoints {
		if got, err := o.target.Reach(t.Context(), endpoint); err != nil || got != revision {
			t.Errorf("%s at %s answers %q (%v), want %q", name, endpoint, got, err, revision)
		}
	}
}

func testUnchanged(t *testing.T, o *owner) {
	first := o.act(t, "d1", 1, Serves, "a")
	o.ready(t, first)
	before := o.started(t, 2)

	second := o.act(t, "d2", 2, Serves, "a")
	if applied := o.ready(t, second); !applied.Unchanged {
		t.Errorf("the same content again: %+v", applied)
	}

	seen := o.runs(t, first.Digest)
	if seen.Anchor.Deployment != "d2" || seen.Anchor.Epoch != 2 {
		t.Errorf("anchor %+v, want the second deployment's", seen.Anchor)
	}

	after := o.started(t, 2)
	if len(after) != len(before) {
		t.Errorf("%d sources of output, want the same %d", len(after), len(before))
	}

	for key, lines := range after {
		if len(lines) != StartLines {
			t.Errorf("%s has %d lines, want %d: it was restarted", key, len(lines), StartLines)
		}
	}
}

func testReplace(t *testing.T, o *owner) {
	o.ready(t, o.act(t, "d1", 1, Serves, "a"))

	act := o.act(t, "d2", 2, Serves, "b")
	applied := o.ready(t, act)
	o.runs(t, act.Digest)
	o.serves(t, applied.Endpoints, "b")
}

func testRollback(t *testing.T, o *owner) {
	good := o.act(t, "d1", 1, Serves, "a")
	o.ready(t, good)
	before := o.started(t, 2)

	bad := o.act(t, "d2", 2, Crashes, "b")
	o.apply(t, bad)

	// Without abandoning what is under way: the old content is there still.
	back := o.act(t, "d3", 3, Serves, "a")
	if applied := o.ready(t, back); applied.Unchanged == o.target.Converges {
		t.Errorf("back to what runs: %+v, want unchanged: %t", applied, !o.target.Converges)
	}

	o.runs(t, good.Digest)

	if after := o.started(t, 2); !slices.Equal(slices.Sorted(maps.Keys(after)), slices.Sorted(maps.Keys(before))) {
		t.Errorf("what ran was started again: %v after %v", slices.Sorted(maps.Keys(after)), slices.Sorted(maps.Keys(before)))
	}
}

func testCrashed(t *testing.T, o *owner) {
	good := o.act(t, "d1", 1, Serves, "a")
	applied := o.ready(t, good)

	bad := o.act(t, "d2", 2, Crashes, "b")

	d := o.failed(t, bad, deployer.Crashed)
	if d.ExitCode == nil || *d.ExitCode != CrashCode {
		t.Errorf("exit code %v, want %d", d.ExitCode, CrashCode)
	}

	if !slices.Contains(d.LastLines, cmp.Or(o.target.LastWords, "about to fail")) {
		t.Errorf("last lines %q, want what it said", d.LastLines)
	}

	if d.Instance == "" || d.Container == "" || d.Attempts < 1 {
		t.Errorf("diagnosis %+v, want where and how often", d)
	}

	o.serves(t, applied.Endpoints, "a")

	left, err := o.Abandon(t.Context(), bad)
	if err != nil || left.Digest != good.Digest || left.Message == "" {
		t.Errorf("left %+v (%v), want the old content", left, err)
	}

	seen := o.runs(t, good.Digest)
	if seen.Anchor.Digest != good.Digest || seen.Anchor.Deployment != "d2" {
		t.Errorf("anchor %+v, want the old content by the new deployment", seen.Anchor)
	}

	o.serves(t, applied.Endpoints, "a")

	if again, err := o.Abandon(t.Context(), bad); err != nil || again.Digest != left.Digest {
		t.Errorf("abandoned again: %+v (%v), want %+v", again, err, left)
	}
}

func testNotReady(t *testing.T, o *owner) {
	act := o.act(t, "d1", 1, NeverReady, "a")
	o.failed(t, act, deployer.NotReady)

	if left, err := o.Abandon(t.Context(), act); err != nil || left.Digest != "" {
		t.Errorf("left %+v (%v), want nothing", left, err)
	}

	o.runs(t, "")
}

func testStartFailed(t *testing.T, o *owner) {
	act := o.act(t, "d1", 1, CannotStart, "a")
	o.failed(t, act, deployer.StartFailed)

	if _, err := o.Abandon(t.Context(), act); err != nil {
		t.Error(err)
	}

	o.runs(t, "")
}

func testFenced(t *testing.T, o *owner) {
	late := o.act(t, "d1", 4, Serves, "a")
	now := o.act(t, "d2", 5, Serves, "b")

	o.ready(t, now)

	refuse := func() {
		t.Helper()

		_, err := o.Apply(t.Context(), late)
		fenced(t, "apply", err)

		_, err = o.Rollout(t.Context(), late)
		fenced(t, "rollout", err)

		_, err = o.Abandon(t.Context(), late)
		fenced(t, "abandon", err)
	}

	refuse()
	o.runs(t, now.Digest)

	gone := o.undeploy("d3", 6)
	o.ready(t, gone)
	refuse()
	o.runs(t, "")
}

// testFencedBefore: what is given up before it was there stays away, also when
// the one who was to bring it comes too late.
func testFencedBefore(t *testing.T, o *owner) {
	late := o.act(t, "d1", 1, Serves, "a")

	again := late
	again.Epoch = 2

	if left, err := o.Abandon(t.Context(), again); err != nil || left.Digest != "" {
		t.Errorf("what was never applied: %+v (%v)", left, err)
	}

	_, err := o.Apply(t.Context(), late)
	fenced(t, "apply", err)
	o.runs(t, "")

	if o.anchored(t) {
		t.Error("the unit is listed")
	}
}

func testRepeated(t *testing.T, o *owner) {
	act := o.act(t, "d1", 1, Serves, "a")
	other := o.another(t)

	done := make(chan error, 2)
	for _, by := range []*owner{o, other} {
		go func() {
			_, err := by.Apply(t.Context(), act)
			done <- err
		}()
	}

	for range 2 {
		if err := <-done; err != nil {
			t.Errorf("apply: %v", err)
		}
	}

	o.settle(t, act)
	other.settle(t, act)

	if seen := o.runs(t, act.Digest); seen.Contents[0].Desired != 2 {
		t.Errorf("%d instances, want 2", seen.Contents[0].Desired)
	}

	if by := o.started(t, 2); len(by) != 2 {
		t.Errorf("%d instances have written, want 2", len(by))
	}
}

func testHandedOver(t *testing.T, o *owner) {
	act := o.act(t, "d1", 1, Serves, "a")
	o.apply(t, act)

	next := o.another(t)
	taken := act
	taken.Epoch = 2

	if progress := next.settle(t, taken); progress.Verdict != deployer.Ready {
		t.Errorf("the next owner: %+v", progress)
	}

	_, err := o.Rollout(t.Context(), act)
	fenced(t, "rollout", err)
}

func testUndeploy(t *testing.T, o *owner) {
	o.ready(t, o.act(t, "d1", 1, Serves, "a"))

	gone := o.undeploy("d2", 2)
	o.ready(t, gone)
	o.runs(t, "")

	if o.anchored(t) {
		t.Error("the unit is still listed")
	}

	// Again, and by another deployment: nothing to do.
	o.ready(t, gone)

	again := o.undeploy("d3", 3)
	if applied := o.ready(t, again); !applied.Unchanged {
		t.Errorf("nothing to undeploy: %+v", applied)
	}

	back := o.act(t, "d4", 4, Serves, "b")
	o.ready(t, back)
	o.runs(t, back.Digest)
}

func testAbandon(t *testing.T, o *owner) {
	never := o.act(t, "d0", 1, Serves, "a")
	if left, err := o.Abandon(t.Context(), never); err != nil || left.Digest != "" {
		t.Errorf("what was never applied: %+v (%v)", left, err)
	}

	act := o.act(t, "d1", 1, NeverReady, "b")
	o.apply(t, act)

	if left, err := o.Abandon(t.Context(), act); err != nil || left.Digest != "" {
		t.Errorf("what has not become ready: %+v (%v)", left, err)
	}

	o.runs(t, "")

	good := o.act(t, "d2", 2, Serves, "c")
	o.ready(t, good)

	if left, err := o.Abandon(t.Context(), good); err != nil || left.Digest != good.Digest {
		t.Errorf("what is ready: %+v (%v), want that it stays", left, err)
	}

	o.runs(t, good.Digest)
}

func testRead(t *testing.T, o *owner) {
	act := o.act(t, "d1", 1, Serves, "a")
	o.ready(t, act)
	o.started(t, 2)

	// In pieces, by owners in turn, from the positions alone.
	after := map[string]int64{}
	by := map[string][]string{}

	for i := 0; ; i++ {
		reader := o
		if i%2 == 1 {
			reader = o.another(t)
		}

		piece, err := reader.Read(t.Context(), o.unit, after, 7)
		if err != nil {
			t.Fatal(err)
		}

		if len(piece) == 0 {
			break
		}

		for _, l := range piece {
			s := l.Source
			if s.Deployment != "d1" || s.Attempt != 1 || s.Container == "" || s.Instance == "" {
				t.Fatalf("source %+v", s)
			}

			if l.Position <= after[s.Key] || !o.target.Timed && l.Position != after[s.Key]+1 || l.Gap != 0 || l.Time.IsZero() {
				t.Fatalf("line %+v after position %d", l, after[s.Key])
			}

			after[s.Key] = l.Position
			if strings.HasPrefix(l.Text, "line ") {
				by[s.Key] = append(by[s.Key], l.Text)
			}
		}
	}

	for key, lines := range by {
		for i, text := range lines {
			if want := fmt.Sprintf("line %d", i+1); text != want && !strings.HasPrefix(text, want+" ") {
				t.Fatalf("%s: %q, want %q", key, text, want)
			}
		}

		if len(lines) != StartLines {
			t.Errorf("%s: %d lines, want %d", key, len(lines), StartLines)
		}
	}

	if more := o.all(t, after, 10); len(more) > 0 {
		t.Errorf("%d lines after the last: %+v", len(more), more[0])
	}
}

func testReadAfterEnd(t *testing.T, o *owner) {
	o.ready(t, o.act(t, "d1", 1, Serves, "a"))
	by := o.started(t, 2)
	o.ready(t, o.act(t, "d2", 2, Serves, "b"))

	if o.target.Forgets {
		by = o.startedBeside(t, 4, by)
	}

	o.ready(t, o.undeploy("d3", 3))

	if !o.target.Forgets {
		by = o.started(t, 4)
	}

	if len(by) != 4 {
		t.Errorf("%d sources, want those of two deployments", len(by))
	}
}

func testWake(t *testing.T, o *owner) {
	ctx, cancel := context.WithCancel(t.Context())
	wakes := o.Wake(ctx)

	// By another owner: a wake is for all.
	o.another(t).apply(t, o.act(t, "d1", 1, Serves, "a"))

	patience := time.After(o.target.Patience)

	for woken := (deployer.Unit{}); woken != o.unit; {
		// Where targets see each other, there are wakes for others, too.
		select {
		case woken = <-wakes:
			if woken != o.unit && o.target.Environment == "" {
				t.Errorf("wake for %+v", woken)
			}
		case <-patience:
			t.Fatal("no wake")
		}
	}

	cancel()
}

func testBadNames(t *testing.T, o *owner) {
	for _, name := range []string{"", "..", "a/b", "A", "a.b", strings.Repeat("a", 64), "-a", "a\x00"} {
		act := o.act(t, "d1", 1, Serves, "a")
		act.Service = name

		if _, err := o.Apply(t.Context(), act); err == nil {
			t.Errorf("takes the service name %q", name)
		}

		act = o.act(t, "d1", 1, Serves, "a")
		act.Environment = name

		if _, err := o.Apply(t.Context(), act); err == nil {
			t.Errorf("takes the environment name %q", name)
		}
	}
}
