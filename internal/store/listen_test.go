package store_test

import (
	"context"
	"database/sql"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	_ "github.com/lib/pq" // the driver

	"github.com/shiplog/shiplog/internal/store"
	"github.com/shiplog/shiplog/internal/store/storetest"
)

// A listener that is notified all the time stays: it is asked whether it lives
// as often as one that hears nothing, and many notifications may come before
// the answer.
func TestABusyListenerStays(t *testing.T) {
	t.Parallel()

	const (
		every   = 50 * time.Millisecond
		timeout = 3 * time.Second
		// burst is more than is kept on the way from the connection.
		burst = 300
	)

	url := storetest.URL(t, "postgres")
	s := storetest.OpenURL(t, url, nil)

	var heard, missed atomic.Int64

	s.OnWake(func(topics []string) {
		if slices.Contains(topics, store.Everything) {
			missed.Add(1)
		}

		heard.Add(int64(len(topics)))
	})

	other, err := sql.Open("postgres", url)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()

	ctx, stop := context.WithCancel(t.Context())
	defer stop()

	var listening sync.WaitGroup

	listening.Go(func() {
		if err := s.ListenPinging(ctx, every, timeout); err != nil {
			t.Error(err)
		}
	})

	tick := time.NewTicker(every / 5)
	defer tick.Stop()

	for end := time.Now().Add(timeout + timeout/2); time.Now().Before(end); <-tick.C {
		if _, err := other.ExecContext(ctx, `SELECT pg_notify($1, 'topic' || n) FROM generate_series(1, $2) n`, store.Channel, burst); err != nil {
			t.Fatal(err)
		}
	}

	stop()
	listening.Wait()

	if heard.Load() == 0 || missed.Load() > 0 {
		t.Errorf("%d notifications were heard, %d times some were missed", heard.Load(), missed.Load())
	}

	t.Logf("%d notifications", heard.Load())
}
