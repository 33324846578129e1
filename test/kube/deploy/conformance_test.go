package deploy

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/shiplog/shiplog/deployer"
	"github.com/shiplog/shiplog/deployer/deployertest"
	"github.com/shiplog/shiplog/internal/spec"
)

func TestConformance(t *testing.T) {
	t.Parallel()

	b, err := theBench()
	if err != nil {
		t.Fatal(err)
	}

	deployertest.Run(t, func(t *testing.T) deployertest.Target {
		t.Helper()

		namespace := b.namespace(t)

		return deployertest.Target{
			Open:        func(t *testing.T) deployer.Deployer { t.Helper(); return b.open(t) },
			Content:     b.content,
			Environment: namespace,
			Connection:  "test", Namespace: namespace,
			Refused: map[string]*spec.Snapshot{
				"there is no object": {Target: spec.TargetKubernetes},
				"does not know the object Process/hello": {Target: spec.TargetProcess, Objects: map[string]json.RawMessage{
					"Process/hello": json.RawMessage(`{"kind":"Process","name":"hello"}`),
				}},
			},
			LastWords: "fatal: asked to crash", Converges: true, Forgets: true, Timed: true,
			Patience: 3 * time.Minute,
		}
	})
}

func (b bench) content(t *testing.T, behaviour deployertest.Behaviour, revision string) *spec.Snapshot {
	t.Helper()

	env := map[string]string{"VERSION": revision, "LINES": "50", "RATE": "0"}

	switch behaviour {
	case deployertest.Serves:
		return snapshot(t, b.app(nil, env))
	case deployertest.Crashes:
		return snapshot(t, b.app(nil, map[string]string{"VERSION": revision, "CRASH_AFTER": "100ms", "EXIT_CODE": "3", "READY_AFTER": "never"}))
	case deployertest.NeverReady:
		return snapshot(t, b.app(func(spec, _ object) {
			spec["progressDeadlineSeconds"] = 15 // the pods have to be there before
		}, map[string]string{"VERSION": revision, "READY_AFTER": "never"}))
	default:
		return snapshot(t, b.app(func(_, container object) {
			container["command"] = []any{"/no-such-command-" + revision}
		}, nil))
	}
}
