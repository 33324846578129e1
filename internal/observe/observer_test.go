package observe_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/shiplog/shiplog/deployer"
	"github.com/shiplog/shiplog/internal/logs"
	"github.com/shiplog/shiplog/internal/observe"
	"github.com/shiplog/shiplog/internal/store"
	"github.com/shiplog/shiplog/internal/store/storetest"
)

// TestOutcomeWaitsForLateOutput: what was written before the outcome stands
// before it in the log, however long a read gives nothing.
func TestOutcomeWaitsForLateOutput(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s)
		w.observer("replica-1", observe.Config{Poll: 100 * time.Millisecond})

		d1, v1, g1 := w.apply("1.0.0")
		w.memory.runs(w.unit, deployer.Content{Digest: g1, Deployment: d1, Version: v1, VersionName: "1.0.0", Ready: 1, Desired: 1})
		w.drift("ROLLING")

		w.memory.delay(w.unit)
		w.memory.write(w.unit, deployer.Source{Key: "a", Deployment: d1, Container: "main", Instance: "hello/0", Attempt: 1}, 5)
		w.finish(d1)
		w.until("outcome", func() bool { return w.head(d1).Outcome != nil })

		if h := w.head(d1); *h.Outcome != 6 {
			t.Errorf("the outcome is at %d, want it after the five lines", *h.Outcome)
		}
	})
}

func TestObserverFollowsADeploymentToItsReplacement(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s)
		w.observer("replica-1", observe.Config{Quiet: 300 * time.Millisecond, Poll: 100 * time.Millisecond})

		d1, v1, g1 := w.apply("1.0.0")
		w.drift("ROLLING")

		a := deployer.Source{Key: "a", Deployment: d1, Container: "main", Instance: "hello/0", Attempt: 1}
		w.memory.write(w.unit, a, 5)
		w.memory.runs(w.unit, deployer.Content{Digest: g1, Deployment: d1, Version: v1, VersionName: "1.0.0", Ready: 1, Desired: 1})
		w.until("five lines", func() bool { return w.head(d1).LastSeq == 6 })

		if w.head(d1).Outcome != nil {
			t.Error("the outcome is marked already")
		}

		w.memory.write(w.unit, a, 5)
		w.finish(d1)
		w.until("outcome", func() bool { return w.head(d1).Outcome != nil })

		if h := w.head(d1); *h.Outcome != 11 {
			t.Errorf("outcome at %d", *h.Outcome)
		}

		w.drift("IN_SYNC")

		seen, err := observe.Read(w.row().Observed)
		versions := seen.Versions

		if err != nil || len(versions) != 1 || versions[0].VersionID != v1 || versions[0].Ready != 1 || w.row().ObservedAt == nil {
			t.Errorf("got %+v, %v", versions, err)
		}

		// It runs on, and is replaced.
		w.memory.write(w.unit, a, 3)
		w.until("runtime lines", func() bool { return w.head(d1).LastSeq == 14 })

		d2, v2, g2 := w.apply("2.0.0")
		old := deployer.Content{Digest: g1, Deployment: d1, Version: v1, VersionName: "1.0.0", Ready: 1}
		b := deployer.Source{Key: "b", Deployment: d2, Container: "main", Instance: "hello/1", Attempt: 1}
		w.memory.runs(w.unit, old, deployer.Content{Digest: g2, Deployment: d2, Version: v2, VersionName: "2.0.0", Ready: 1, Desired: 1})
		w.memory.write(w.unit, b, 1)
		w.finish(d2)
		w.until("second outcome", func() bool { return w.head(d2).Outcome != nil })
		w.drift("ROLLING")

		if w.head(d1).Closed {
			t.Error("closed while its instance is there")
		}

		w.memory.runs(w.unit, deployer.Content{Digest: g2, Deployment: d2, Version: v2, VersionName: "2.0.0", Ready: 1, Desired: 1})
		w.memory.write(w.unit, a, 1)
		w.until("closed", func() bool { return w.head(d1).Closed })
		w.drift("IN_SYNC")

		texts, gaps := w.lines(d1)
		if len(texts) != 14 || len(gaps) != 0 || texts[13] != "a line 14" {
			t.Errorf("got %q, %v", texts, gaps)
		}

		if w.head(d2).Closed {
			t.Error("what runs is closed")
		}

		// And away, with the target in between.
		w.memory.setDown(true)
		w.drift("UNREACHABLE")
		w.memory.setDown(false)
		w.memory.runs(w.unit)
		w.drift("MISSING")
	})
}

func TestObserversThatTakeOverNeitherDoubleNorLose(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s)
		d, v, g := w.apply("1.0.0")
		w.memory.runs(w.unit, deployer.Content{Digest: g, Deployment: d, Version: v, Ready: 2, Desired: 2})

		sources := []deployer.Source{
			{Key: "a", Deployment: d, Container: "main", Instance: "hello/0", Attempt: 1},
			{Key: "b", Deployment: d, Container: "main", Instance: "hello/1", Attempt: 1},
		}

		const total = 2000

		var wg sync.WaitGroup

		wg.Go(func() { // somebody who does not know that it is not the owner any more
			positions := map[string]int64{}

			for positions["a"]+positions["b"] < 2*total {
				lines, err := w.memory.Read(t.Context(), w.unit, positions, 17)
				if err != nil {
					t.Error(err)

					return
				}

				batch, to := logs.Batch{}, map[string]int64{}
				for _, l := range lines {
					batch.Lines = append(batch.Lines, logs.Line{Time: l.Time, Stream: logs.Container, Phase: logs.Rollout, Text: l.Text})
					to[l.Source.Key] = l.Position
				}

				for key, p := range to {
					batch.Advances = append(batch.Advances, logs.Advance{Source: key, From: positions[key], To: p})
				}

				var wrong *logs.PositionError

				switch _, err := w.logs.Append(t.Context(), d, batch); {
				case errors.As(err, &wrong):
					positions = wrong.Positions
				case err != nil:
					t.Error(err)

					return
				default:
					maps.Copy(positions, to)
				}
			}
		})
		wg.Go(func() {
			for range total / 20 {
				for _, source := range sources {
					w.memory.write(w.unit, source, 20)
				}
			}
		})

		// Owners come and go meanwhile.
		for i := range 5 {
			stop := w.observer(fmt.Sprintf("replica-%d", i), observe.Config{Poll: 20 * time.Millisecond})
			before := w.head(d).LastSeq

			w.until("progress", func() bool { n := w.head(d).LastSeq; return n > before || n == 2*total+1 })
			stop()
		}

		wg.Wait()

		texts, gaps := w.lines(d)
		if len(texts) != 2*total || len(gaps) != 0 {
			t.Fatalf("%d lines, gaps %v", len(texts), gaps)
		}

		next := map[string]int{}
		for _, text := range texts {
			next[text[:1]]++
			if want := fmt.Sprintf("%s line %d", text[:1], next[text[:1]]); text != want {
				t.Fatalf("got %q, want %q", text, want)
			}
		}
	})
}

func TestANewOwnerSaysThatItHasLooked(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s)
		d, v, g := w.apply("1.0.0")
		w.memory.runs(w.unit, deployer.Content{Digest: g, Deployment: d, Version: v, Ready: 1, Desired: 1})
		w.finish(d)

		stop := w.observer("replica-1", observe.Config{})
		w.drift("IN_SYNC")
		stop()

		// It sees the same, long before it would say so again unasked.
		before := *w.row().ObservedAt
		w.observer("replica-2", observe.Config{Refresh: time.Hour})
		w.until("seen by the new owner", func() bool { return w.row().ObservedAt.After(before) })
	})
}

func TestOutputAfterTheRuntimeIsTakenWhileSomebodyFollows(t *testing.T) {
	t.Parallel()

	s := storetest.Open(t, "sqlite")
	w := newWorld(t, s)
	d, v, g := w.apply("1.0.0")
	a := deployer.Source{Key: "a", Deployment: d, Container: "main", Instance: "hello/0", Attempt: 1}
	w.memory.runs(w.unit, deployer.Content{Digest: g, Deployment: d, Version: v, Ready: 1, Desired: 1})
	w.memory.write(w.unit, a, 2)
	w.finish(d)

	stop := w.observer("replica-1", observe.Config{Runtime: -1, Poll: 20 * time.Millisecond})

	w.until("outcome", func() bool { return w.head(d).Outcome != nil })
	w.memory.write(w.unit, a, 5)
	// What is written now is passed over; a second unit of work proves that
	// the observer has been there: the observation is newer than the lines.
	wrote := store.Now()
	w.memory.runs(w.unit, deployer.Content{Digest: g, Deployment: d, Version: v, Ready: 0, Desired: 1})
	w.until("seen", func() bool { return w.row().ObservedAt.After(wrote) })

	if texts, _ := w.lines(d); len(texts) != 2 {
		t.Fatalf("got %q", texts)
	}

	r, err := w.logs.Follow(t.Context(), d, w.head(d).LastSeq, logs.Options{Follow: true, UntilReplaced: true})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()

	w.memory.write(w.unit, a, 1)

	part, err := r.Next(t.Context())
	if err != nil || part.Gap == nil || *part.Gap != (logs.Gap{Reason: logs.NotCollected, Lines: 5}) || len(part.Lines) != 1 || part.Lines[0].Text != "a line 8" {
		t.Errorf("got %+v, %v", part, err)
	}

	stop()
}

func TestUnitThatNobodyKnowsIsLeftAlone(t *testing.T) {
	t.Parallel()

	s := storetest.Open(t, "sqlite")
	w := newWorld(t, s)
	strange := deployer.Unit{Service: "strange", Environment: "dev"}
	w.memory.runs(strange, deployer.Content{Digest: "x", Ready: 1, Desired: 1})
	w.memory.write(strange, deployer.Source{Key: "s", Deployment: "deployment_x"}, 3)
	w.observer("replica-1", observe.Config{Poll: 20 * time.Millisecond})

	d, v, g := w.apply("1.0.0")
	w.memory.runs(w.unit, deployer.Content{Digest: g, Deployment: d, Version: v, Ready: 1, Desired: 1})
	// Output of a deployment of another memory in our own unit.
	w.memory.write(w.unit, deployer.Source{Key: "s", Deployment: "deployment_x"}, 3)
	w.memory.write(w.unit, deployer.Source{Key: "a", Deployment: d}, 3)
	w.finish(d)
	w.until("outcome", func() bool { return w.head(d).Outcome != nil })

	if texts, _ := w.lines(d); len(texts) != 3 {
		t.Errorf("got %q", texts)
	}

	if n := s.Read.LogHead.Query().CountX(t.Context()); n != 1 {
		t.Errorf("%d logs", n)
	}
}

// TestLineIsStoredSoon says how long it takes from the write of a line to its
// commit, on an idle unit.
func TestLineIsStoredSoon(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s)
		w.observer("replica-1", observe.Config{})

		d, v, g := w.apply("1.0.0")
		w.memory.runs(w.unit, deployer.Content{Digest: g, Deployment: d, Version: v, Ready: 1, Desired: 1})
		w.drift("ROLLING")

		r, err := w.logs.Follow(t.Context(), d, 1, logs.Options{Follow: true})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()

		var took []time.Duration

		for range 20 {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			began := time.Now()
			w.memory.write(w.unit, deployer.Source{Key: "a", Deployment: d}, 1)

			_, err := r.Next(ctx)
			cancel()

			if err != nil {
				t.Fatal(err)
			}

			took = append(took, time.Since(began))
		}

		t.Logf("from the write to a follower: %v", took)

		best := took[0]
		for _, d := range took {
			best = min(best, d)
		}

		// Far below the poll: it was the wake that did it.
		if best > 500*time.Millisecond {
			t.Errorf("the quickest of 20 lines took %v", best)
		}
	})
}
