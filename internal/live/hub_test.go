package live_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/shiplog/shiplog/internal/live"
	"github.com/shiplog/shiplog/internal/store"
	"github.com/shiplog/shiplog/internal/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func commit(t *testing.T, s *store.Store, topics ...string) {
	t.Helper()

	err := s.WithTx(t.Context(), func(_ context.Context, tx *store.Tx) error {
		for _, topic := range topics {
			tx.Wake(topic)
		}

		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func awake(s *live.Subscription) bool {
	select {
	case <-s.C:
		return true
	default:
		return false
	}
}

func TestCommitWakesItsTopicsOnce(t *testing.T) {
	t.Parallel()
	// One process, no listener: what is seen here are its own commits.
	s := storetest.Open(t, "sqlite")
	hub := live.New(s, slog.New(slog.DiscardHandler))

	a, b, all := hub.Subscribe("a", "c"), hub.Subscribe("b"), hub.Subscribe(store.Everything)

	commit(t, s, "a", "c")
	commit(t, s, "a")

	if !awake(a) || awake(a) {
		t.Error("want exactly one wake for three announcements")
	}

	if awake(b) {
		t.Error("woken by a foreign topic")
	}

	if !awake(all) {
		t.Error("who waits for everything was not woken")
	}

	commit(t, s, store.Everything)

	if !awake(a) || !awake(b) || !awake(all) {
		t.Error("everything did not wake all")
	}

	a.Close()
	a.Close()
	commit(t, s, "a", "c")

	if awake(a) {
		t.Error("woken after Close")
	}
}

func TestOtherReplicaWakes(t *testing.T) {
	t.Parallel()

	url := storetest.URL(t, "postgres")
	here, there := storetest.OpenURL(t, url, nil), storetest.OpenURL(t, url, nil)
	hub := live.New(here, slog.New(slog.DiscardHandler))

	ctx, cancel := context.WithCancel(t.Context())

	var wg sync.WaitGroup

	wg.Go(func() { hub.Run(ctx) })
	defer wg.Wait()
	defer cancel()

	sub := hub.Subscribe("a")
	defer sub.Close()

	for deadline := time.Now().Add(10 * time.Second); ; {
		commit(t, there, "a") // again, until the hub listens

		wait, stop := context.WithTimeout(ctx, 100*time.Millisecond)
		err := live.Wait(wait, sub, time.Hour)

		stop()

		if err == nil {
			return
		}

		if time.Now().After(deadline) {
			t.Fatal("never woken by the other replica")
		}
	}
}

func TestWaitEndsWithTimeAndContext(t *testing.T) {
	t.Parallel()

	hub := live.New(storetest.Open(t, "sqlite"), slog.New(slog.DiscardHandler))
	sub := hub.Subscribe("a")

	if err := live.Wait(t.Context(), sub, time.Millisecond); err != nil {
		t.Error(err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()

	if err := live.Wait(ctx, sub, time.Hour); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestManyComeAndGo(t *testing.T) {
	t.Parallel()

	s := storetest.Open(t, "sqlite")
	hub := live.New(s, slog.New(slog.DiscardHandler))

	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			for range 200 {
				sub := hub.Subscribe("a", "b")
				awake(sub)
				sub.Close()
			}
		})
	}

	for range 20 {
		commit(t, s, "a", "b")
	}

	wg.Wait()
}
