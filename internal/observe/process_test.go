//go:build unix

package observe_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/shiplog/shiplog/deployer"
	"github.com/shiplog/shiplog/deployer/process"
	"github.com/shiplog/shiplog/internal/logs"
	"github.com/shiplog/shiplog/internal/observe"
	"github.com/shiplog/shiplog/internal/spec"
	"github.com/shiplog/shiplog/internal/store"
	"github.com/shiplog/shiplog/internal/store/storetest"
)

// The test binary is also the program that the process deployer executes.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "process-shim":
			syscall.Exit(process.RunShim(os.Args[2:]))
		case "process-proxy":
			syscall.Exit(process.RunProxy(os.Args[2:]))
		case "clock":
			for range time.Tick(50 * time.Millisecond) {
				fmt.Println(time.Now().UnixMicro())
			}
		}
	}

	goleak.VerifyTestMain(m)
}

// TestProcessOutputReachesFollowers runs a real process that writes the time,
// and replaces the observer in the middle.
func TestProcessOutputReachesFollowers(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		exe, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}

		d, err := process.New(process.Config{Dir: t.TempDir(), Program: []string{exe}})
		if err != nil {
			t.Fatal(err)
		}

		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()

			if err := d.StopAll(ctx); err != nil {
				t.Error(err)
			}
		})

		w := newWorld(t, s)
		w.real = d
		stop := w.observer("replica-1", observe.Config{Quiet: 300 * time.Millisecond})

		deployment, versionID, digest := w.apply("1.0.0")
		act := deployer.Act{Unit: w.unit, Deployment: deployment, Version: versionID, VersionName: "1.0.0", Epoch: 1, Snapshot: clock(t, exe), Digest: digest}

		if _, err := d.Apply(t.Context(), act); err != nil {
			t.Fatal(err)
		}

		w.until("ready", func() bool {
			p, err := d.Rollout(t.Context(), act)

			return err == nil && p.Verdict == deployer.Ready
		})

		r, err := w.logs.Follow(t.Context(), deployment, 1, logs.Options{Follow: true, UntilReplaced: true})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()

		var (
			took   []time.Duration
			before int64
		)

		for len(took) < 60 {
			part, err := r.Next(t.Context())
			if err != nil || part.Gap != nil || part.Complete {
				t.Fatalf("got %+v, %v", part, err)
			}

			for _, l := range part.Lines {
				wrote, err := strconv.ParseInt(l.Text, 10, 64)
				if err != nil || wrote <= before {
					t.Fatalf("%q after %d: %v", l.Text, before, err)
				}

				before = wrote
				took = append(took, time.Since(time.UnixMicro(wrote)).Round(100*time.Microsecond))
			}

			if len(took) == 30 {
				stop()
				stop = w.observer("replica-2", observe.Config{Quiet: 300 * time.Millisecond})
			}
		}

		t.Logf("from the process to a follower: %v", took)
		w.finish(deployment)
		w.drift("IN_SYNC")
		w.until("outcome", func() bool { return w.head(deployment).Outcome != nil })

		// Taken away: what it wrote to its end is there, then the log ends.
		other, _, _ := w.apply("2.0.0")
		if _, err := d.Apply(t.Context(), deployer.Act{Unit: w.unit, Deployment: other, Epoch: 2}); err != nil {
			t.Fatal(err)
		}

		for complete := false; !complete; {
			part, err := r.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}

			complete = part.Complete
		}

		stop()

		read, err := d.Read(t.Context(), w.unit, nil, 1<<20)
		if texts, gaps := w.lines(deployment); err != nil || len(texts) != len(read) || len(gaps) != 0 {
			t.Errorf("%d lines of %d written, gaps %v, %v", len(texts), len(read), gaps, err)
		}
	})
}

func clock(t *testing.T, exe string) *spec.Snapshot {
	t.Helper()

	raw, err := json.Marshal(spec.Process{
		Kind: "Process", Name: "hello", Replicas: 1, StartupSeconds: 20,
		Containers: map[string]spec.ProcessContainer{"main": {Command: []string{exe, "clock"}}},
	})
	if err != nil {
		t.Fatal(err)
	}

	return &spec.Snapshot{
		Renderer: spec.RendererVersion, Target: spec.TargetProcess, Objects: map[string]json.RawMessage{"Process/hello": raw},
	}
}
