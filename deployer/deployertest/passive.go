package deployertest

import (
	"context"
	"strings"
	"testing"

	"github.com/shiplog/shiplog/deployer"
	"github.com/shiplog/shiplog/internal/spec"
)

// RunPassive runs the suite for a deployer of targets where somebody else
// deploys: it refuses every act with a sentence, and has nothing to tell.
func RunPassive(t *testing.T, d deployer.Deployer) {
	t.Helper()

	unit := deployer.Unit{Service: "hello", Environment: "dev"}

	for _, snapshot := range []*spec.Snapshot{nil, {}, {Target: spec.TargetExternal}} {
		if err := d.Supports(snapshot); err == nil || !strings.Contains(err.Error(), " ") {
			t.Errorf("supports %v: %v, want a sentence", snapshot, err)
		}

		act := deployer.Act{Unit: unit, Deployment: "d1", Epoch: 1, Snapshot: snapshot}

		if _, err := d.Apply(t.Context(), act); err == nil {
			t.Error("apply was not refused")
		}

		if _, err := d.Rollout(t.Context(), act); err == nil {
			t.Error("rollout was not refused")
		}

		if left, err := d.Abandon(t.Context(), act); err != nil || left.Digest != "" || left.Message == "" {
			t.Errorf("abandon leaves %+v (%v), want nothing in words", left, err)
		}
	}

	if units, err := d.Units(t.Context()); err != nil || len(units) > 0 {
		t.Errorf("units %v (%v), want none", units, err)
	}

	seen, err := d.Observe(t.Context(), unit)
	if err != nil || len(seen.Contents) > 0 || seen.Anchor != (deployer.Anchor{}) || seen.At.IsZero() {
		t.Errorf("observes %+v (%v), want nothing at a time", seen, err)
	}

	if lines, err := d.Read(t.Context(), unit, nil, 10); err != nil || len(lines) > 0 {
		t.Errorf("reads %v (%v), want nothing", lines, err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	wakes := d.Wake(ctx)

	select {
	case u, open := <-wakes:
		t.Errorf("wake %v (open: %t), want none", u, open)
	default:
	}

	cancel()

	if _, open := <-wakes; open {
		t.Error("wakes after its end")
	}
}
