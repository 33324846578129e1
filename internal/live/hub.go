package live

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/shiplog/shiplog/internal/store"
)

const (
	// backoffFirst and backoffMax bound the wait before the hub listens
	// again: quick after a blip, gentle on a database that is down.
	backoffFirst = 100 * time.Millisecond
	backoffMax   = 5 * time.Second
)

// Hub hands wakes to subscriptions.
type Hub struct {
	store *store.Store
	log   *slog.Logger

	mu     sync.Mutex
	topics map[string]map[*Subscription]struct{}
}

// New makes the hub of the store. Commits of this process wake from now on;
// those of other replicas while Run runs.
func New(s *store.Store, log *slog.Logger) *Hub {
	h := &Hub{store: s, log: log, topics: map[string]map[*Subscription]struct{}{}}
	s.OnWake(h.wake)

	return h
}

// Run listens for the commits of other replicas until ctx ends.
func (h *Hub) Run(ctx context.Context) {
	backoff := backoffFirst

	for {
		began := time.Now()
		err := h.store.Listen(ctx)

		if ctx.Err() != nil {
			return
		}

		if time.Since(began) > backoffMax {
			backoff = backoffFirst
		}

		h.log.WarnContext(ctx, "listening for commits ended; pollers go on", "error", err, "again_in", backoff)

		select {
		case <-ctx.Done():
			return
		case <-time.After(backoff):
		}

		backoff = min(2*backoff, backoffMax)
		// What was announced meanwhile is lost.
		h.wake([]string{store.Everything})
	}
}

// Subscription waits for topics.
type Subscription struct {
	// C receives after a commit with one of the topics. It is never closed.
	C <-chan struct{}

	hub    *Hub
	slot   chan struct{}
	topics []string
}

// Subscribe waits for the topics; store.Everything stands for all of them.
// Subscribe first, then read, then wait: nothing falls in between.
func (h *Hub) Subscribe(topics ...string) *Subscription {
	slot := make(chan struct{}, 1)
	s := &Subscription{C: slot, hub: h, slot: slot, topics: topics}

	h.mu.Lock()
	defer h.mu.Unlock()

	for _, topic := range topics {
		set := h.topics[topic]
		if set == nil {
			set = map[*Subscription]struct{}{}
			h.topics[topic] = set
		}

		set[s] = struct{}{}
	}

	return s
}

// Close ends the subscription; closing twice is harmless.
func (s *Subscription) Close() {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()

	for _, topic := range s.topics {
		set := s.hub.topics[topic]
		delete(set, s)

		if len(set) == 0 {
			delete(s.hub.topics, topic)
		}
	}
}

// Wait waits for a wake, or for as long as every; then it is time to ask.
// Errors: ctx's.
func Wait(ctx context.Context, s *Subscription, every time.Duration) error {
	timer := time.NewTimer(every)
	defer timer.Stop()

	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-s.C:
		return nil
	case <-timer.C:
		return nil
	}
}

// wake never blocks.
func (h *Hub) wake(topics []string) {
	h.mu.Lock()
	defer h.mu.Unlock()

	for _, topic := range topics {
		if topic == store.Everything {
			for _, set := range h.topics {
				send(set)
			}

			return
		}

		send(h.topics[topic])
	}

	send(h.topics[store.Everything])
}

func send(set map[*Subscription]struct{}) {
	for s := range set {
		select {
		case s.slot <- struct{}{}:
		default: // it is awake already
		}
	}
}
