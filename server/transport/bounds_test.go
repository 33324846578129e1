package transport_test

import (
	"strings"
	"testing"
	"time"

	"github.com/shiplog/shiplog/internal/fault"
	"github.com/shiplog/shiplog/server/transport"
)

func TestOperationsEndInTheirTime(t *testing.T) {
	t.Parallel()

	const limit = 100 * time.Millisecond

	b := serve(t, func(c *transport.ExecutorConfig, _ *transport.Config) { c.Timeout = limit })
	began := time.Now()

	if got := b.post(t, "{ wait }", nil); got.code() != string(fault.Unavailable) {
		t.Errorf("%d %s", got.status, got.raw)
	}

	if took := time.Since(began); took < limit || took > 50*limit {
		t.Errorf("it took %s", took)
	}

	s := b.connect(t)
	s.subscribe("1", "mutation { held }")

	if got := s.next(); got.Type != "next" || !strings.Contains(string(got.Payload), string(fault.Unavailable)) {
		t.Errorf("over a WebSocket: %s %s", got.Type, got.Payload)
	}

	if got := s.next(); got.Type != "complete" {
		t.Errorf("over a WebSocket: %s %s", got.Type, got.Payload)
	}

	// A subscription is no such operation.
	s.subscribe("2", "subscription { silent }")
	until(t, "a subscription runs", func() bool { return b.resolvers.Open.Load() == 1 })

	if got := b.post(t, "{ wait }", nil); got.code() != string(fault.Unavailable) || b.resolvers.Open.Load() != 1 {
		t.Errorf("%d subscriptions run after %s", b.resolvers.Open.Load(), got.raw)
	}
}

func TestNotMoreOperationsThanTheMost(t *testing.T) {
	t.Parallel()

	b := serve(t, func(c *transport.ExecutorConfig, _ *transport.Config) { c.MaxOperations = 1 })

	s := b.connect(t)
	s.subscribe("1", "mutation { held }")
	<-b.resolvers.Holding

	if got := b.post(t, "{ hello }", nil); got.code() != string(fault.Unavailable) || got.status != 503 || !strings.Contains(got.raw, "its most") {
		t.Errorf("%d %s", got.status, got.raw)
	}

	close(b.resolvers.Hold)
	until(t, "there is a place again", func() bool { return b.post(t, "{ hello }", nil).code() == "" })
}

func TestTheCauseOfWhatCannotBeReachedIsReported(t *testing.T) {
	t.Parallel()

	b := serve(t)
	got := b.post(t, `{ fail(code: "UNAVAILABLE", message: "the database cannot be reached") }`, nil)

	if got.code() != string(fault.Unavailable) || got.Errors[0].Extensions.RequestID != "request-1" || strings.Contains(got.raw, "secret") {
		t.Errorf("%d %s", got.status, got.raw)
	}

	b.mu.Lock()
	defer b.mu.Unlock()

	if len(b.reported) != 1 || !strings.Contains(b.reported[0].Error(), "secret.internal") {
		t.Errorf("reported: %v", b.reported)
	}
}
