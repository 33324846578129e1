// Package deployertest is what every Deployer must hold: Run for those that
// act, RunPassive for those where somebody else does.
package deployertest

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shiplog/shiplog/deployer"
	"github.com/shiplog/shiplog/internal/spec"
)

// Behaviour is what a content does once it is applied.
type Behaviour string

// The behaviours that a target has to provide content for.
const (
	// Serves: becomes ready and writes lines that begin with "line 1" to
	// "line 50" when it starts, and none later by itself.
	Serves Behaviour = "SERVES"
	// Crashes: writes its last words and ends with exit code 3 each time.
	Crashes Behaviour = "CRASHES"
	// NeverReady: runs, but is not ready; its start-up limit is short.
	NeverReady Behaviour = "NEVER_READY"
	// CannotStart: its program does not exist.
	CannotStart Behaviour = "CANNOT_START"
)

// StartLines is how many lines a content that Serves writes at its start.
const StartLines = 50

// CrashCode is the exit code of a content that Crashes.
const CrashCode = 3

// Target is one empty target of the kind under test.
type Target struct {
	// Open gives an owner of the target, as one more server would be.
	Open func(t *testing.T) deployer.Deployer
	// Content gives a snapshot with the behaviour, of two instances;
	// contents of different revisions differ.
	Content func(t *testing.T, b Behaviour, revision string) *spec.Snapshot
	// Environment of the unit, "dev" when empty: targets that see each other
	// need units of their own.
	Environment string
	// Connection and Namespace of the unit, where the kind of target has
	// several.
	Connection, Namespace string
	// LastWords is what a content that Crashes says at its end; "about to
	// fail" when empty.
	LastWords string
	// Converges: one declaration a unit is brought about, so that going back
	// to a content that still runs beside another one is a change, although
	// nothing is restarted for it.
	Converges bool
	// Forgets: output is gone with its instance, so that only what was read
	// in time is there.
	Forgets bool
	// Timed: positions are times; else they count the lines.
	Timed bool
	// Refused are snapshots that Supports has to refuse, by a part of the
	// reason.
	Refused map[string]*spec.Snapshot
	// Reach asks a service that serves at its endpoint and gives its
	// revision; nil where the test cannot reach it.
	Reach func(ctx context.Context, endpoint string) (string, error)
	// Patience is how long a rollout may take here.
	Patience time.Duration
}

// Run runs the whole suite, each part on a target of its own.
func Run(t *testing.T, open func(t *testing.T) Target) {
	t.Helper()

	for name, part := range map[string]func(*testing.T, *owner){
		"supports":           testSupports,
		"deploy":             testDeploy,
		"unchanged":          testUnchanged,
		"replace":            testReplace,
		"rollback":           testRollback,
		"crashed":            testCrashed,
		"not ready":          testNotReady,
		"start failed":       testStartFailed,
		"fenced":             testFenced,
		"fenced before":      testFencedBefore,
		"repeated":           testRepeated,
		"handed over":        testHandedOver,
		"undeploy":           testUndeploy,
		"abandon":            testAbandon,
		"read":               testRead,
		"read after the end": testReadAfterEnd,
		"wake":               testWake,
		"bad names":          testBadNames,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			target := open(t)
			part(t, &owner{
				target: target, Deployer: target.Open(t),
				unit: deployer.Unit{Service: "hello", Environment: cmp.Or(target.Environment, "dev")},
			})
		})
	}
}

// owner is a deployer with the means to act through it.
type owner struct {
	deployer.Deployer

	target Target
	unit   deployer.Unit
}

// another gives one more owner of the same target.
func (o *owner) another(t *testing.T) *owner {
	t.Helper()

	return &owner{Deployer: o.target.Open(t), target: o.target, unit: o.unit}
}

func (o *owner) act(t *testing.T, deployment string, epoch int64, b Behaviour, revision string) deployer.Act {
	t.Helper()

	snapshot := o.target.Content(t, b, revision)

	act := o.placed(deployment, epoch)
	act.Version, act.VersionName, act.Snapshot, act.Digest = "version_"+revision, revision, snapshot, DigestOf(t, snapshot)
	act.Binding.Version = revision

	return act
}

// undeploy is the act that removes everything.
func (o *owner) undeploy(deployment string, epoch int64) deployer.Act {
	return o.placed(deployment, epoch)
}

// placed is an act of nothing, at its place.
func (o *owner) placed(deployment string, epoch int64) deployer.Act {
	return deployer.Act{
		Unit: o.unit, Deployment: deployment, Epoch: epoch, Connection: o.target.Connection,
		Binding: spec.Binding{Namespace: o.target.Namespace, Environment: o.unit.Environment},
	}
}

// DigestOf gives a digest that is good enough for tests.
func DigestOf(t *testing.T, snapshot *spec.Snapshot) string {
	t.Helper()

	data, err := json.Marshal(snapshot)
	if err != nil {
		t.Fatalf("encode the snapshot: %v", err)
	}

	sum := sha256.Sum256(data)

	return "sha256:" + hex.EncodeToString(sum[:])
}

func (o *owner) apply(t *testing.T, act deployer.Act) deployer.Applied {
	t.Helper()

	applied, err := o.Apply(t.Context(), act)
	if err != nil {
		t.Fatalf("apply %s: %v", act.Deployment, err)
	}

	return applied
}

// settle calls Rollout until there is a verdict.
func (o *owner) settle(t *testing.T, act deployer.Act) deployer.Progress {
	t.Helper()

	var progress deployer.Progress

	o.eventually(t, func() error {
		var err error

		progress, err = o.Rollout(t.Context(), act)
		if err != nil {
			return err
		}

		if progress.Verdict == deployer.Progressing {
			return fmt.Errorf("still progressing: %s", progress.Message)
		}

		return nil
	})

	return progress
}

func (o *owner) ready(t *testing.T, act deployer.Act) deployer.Applied {
	t.Helper()

	applied := o.apply(t, act)

	progress := o.settle(t, act)
	if progress.Verdict != deployer.Ready {
		t.Fatalf("%s: verdict %s, want %s: %+v", act.Deployment, progress.Verdict, deployer.Ready, progress.Diagnosis)
	}

	if seen, err := o.Observe(t.Context(), o.unit); err != nil || !maps.Equal(progress.Endpoints, seen.Endpoints) {
		t.Fatalf("%s: ready at %v, seen at %v (%v)", act.Deployment, progress.Endpoints, seen.Endpoints, err)
	}

	if progress.Ready != progress.Desired {
		t.Fatalf("%s: ready with %d of %d instances", act.Deployment, progress.Ready, progress.Desired)
	}

	return applied
}

func (o *owner) failed(t *testing.T, act deployer.Act, kind deployer.DiagnosisKind) *deployer.Diagnosis {
	t.Helper()
	o.apply(t, act)

	progress := o.settle(t, act)
	if progress.Verdict != deployer.Failed || progress.Diagnosis == nil {
		t.Fatalf("verdict %s with diagnosis %v, want %s with one", progress.Verdict, progress.Diagnosis, deployer.Failed)
	}

	d := progress.Diagnosis
	if d.Kind != kind || d.Summary == "" {
		t.Fatalf("diagnosis %s %q, want %s with a summary", d.Kind, d.Summary, kind)
	}

	if len(d.LastLines) > 20 {
		t.Fatalf("%d last lines, want at most 20", len(d.LastLines))
	}

	return d
}

// eventually polls; Patience bounds it.
func (o *owner) eventually(t *testing.T, check func() error) {
	t.Helper()

	deadline := time.Now().Add(o.target.Patience)
	for {
		err := check()
		if err == nil {
			return
		}

		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %v", o.target.Patience, err)
		}

		select {
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// runs waits until exactly the content with this digest is there, all ready;
// "" means none.
func (o *owner) runs(t *testing.T, digest string) deployer.Observation {
	t.Helper()

	var seen deployer.Observation

	o.eventually(t, func() error {
		var err error
		if seen, err = o.Observe(t.Context(), o.unit); err != nil {
			return err
		}

		if digest == "" {
			if len(seen.Contents) > 0 {
				return fmt.Errorf("%d contents are there, want none", len(seen.Contents))
			}

			return nil
		}

		if len(seen.Contents) != 1 || seen.Contents[0].Digest != digest {
			return fmt.Errorf("the contents are %+v, want only %s", seen.Contents, digest)
		}

		if c := seen.Contents[0]; c.Ready != c.Desired || c.Desired == 0 {
			return fmt.Errorf("%d of %d ready", c.Ready, c.Desired)
		}

		return nil
	})

	return seen
}

func (o *owner) anchored(t *testing.T) bool {
	t.Helper()

	units, err := o.Units(t.Context())
	if err != nil {
		t.Fatalf("list the units: %v", err)
	}

	return slices.Contains(units, o.unit)
}

// all reads everything after the positions, in pieces of the given size, and
// checks the order on the way.
func (o *owner) all(t *testing.T, after map[string]int64, limit int) []deployer.Line {
	t.Helper()

	var lines []deployer.Line

	for {
		piece, err := o.Read(t.Context(), o.unit, after, limit)
		if err != nil {
			t.Fatalf("read: %v", err)
		}

		if len(piece) > limit {
			t.Fatalf("%d lines, want at most %d", len(piece), limit)
		}

		for _, l := range piece {
			if before := after[l.Source.Key]; l.Position <= before || !o.target.Timed && l.Position != before+1+l.Gap {
				t.Fatalf("%s: position %d with a gap of %d after %d", l.Source.Key, l.Position, l.Gap, before)
			}

			after[l.Source.Key] = l.Position
		}

		lines = append(lines, piece...)
		if len(piece) == 0 {
			return lines
		}
	}
}

// started waits until every source has written its start lines, and gives
// them by source.
func (o *owner) started(t *testing.T, sources int) map[string][]string {
	t.Helper()

	return o.startedBeside(t, sources, map[string][]string{})
}

// startedBeside is started beside what was read before.
func (o *owner) startedBeside(t *testing.T, sources int, before map[string][]string) map[string][]string {
	t.Helper()

	var by map[string][]string

	o.eventually(t, func() error {
		by = maps.Clone(before)
		after := map[string]int64{}

		for _, l := range o.all(t, after, 1000) {
			if before[l.Source.Key] != nil {
				continue
			}

			if strings.HasPrefix(l.Text, "line ") {
				by[l.Source.Key] = append(by[l.Source.Key], l.Text)
			}
		}

		if len(by) < sources {
			return fmt.Errorf("%d sources, want %d", len(by), sources)
		}

		for key, lines := range by {
			if len(lines) < StartLines {
				return fmt.Errorf("%s: %d lines, want %d", key, len(lines), StartLines)
			}
		}

		return nil
	})

	return by
}

func fenced(t *testing.T, what string, err error) {
	t.Helper()

	if !errors.Is(err, deployer.ErrFenced) {
		t.Errorf("%s by an earlier owner: %v, want ErrFenced", what, err)
	}
}
