package logs

import (
	"log/slog"
	"sync"
	"time"

	"github.com/shiplog/shiplog/internal/live"
	"github.com/shiplog/shiplog/internal/store"
)

// Config says how logs are kept. Zero values take the defaults.
type Config struct {
	// Limit is the most bytes of text of a deployment's log (64 MiB).
	Limit int64
	// Redact takes secrets out of a line's text before it is stored.
	Redact func(text string) string
	// TailBytes bounds the memory of all tails together (64 MiB); one has at
	// most 1 MiB of new lines and 4 MiB of old ones.
	TailBytes int64
	// Poll is how often a follower asks unasked (900 ms): a lost wake costs
	// that much and the time of asking, a second at most.
	Poll time.Duration
	// Logger; slog.Default when nil.
	Logger *slog.Logger
}

// stepReserve is what lines of steps may take beyond the limit: how a
// deployment ended must be in its log however much its containers wrote.
const stepReserve = 1 << 20

// Logs keeps and reads the logs of deployments.
type Logs struct {
	store *store.Store
	hub   *live.Hub
	cfg   Config
	codec *codec

	mu    sync.Mutex
	tails map[string]*tail
}

// New makes the logs of the store; the hub wakes their followers.
func New(s *store.Store, hub *live.Hub, cfg Config) (*Logs, error) {
	if cfg.Limit == 0 {
		cfg.Limit = 64 << 20
	}

	if cfg.TailBytes == 0 {
		cfg.TailBytes = 64 << 20
	}

	if cfg.Poll == 0 {
		cfg.Poll = 900 * time.Millisecond
	}

	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}

	c, err := newCodec()
	if err != nil {
		return nil, err
	}

	return &Logs{store: s, hub: hub, cfg: cfg, codec: c, tails: map[string]*tail{}}, nil
}

// Topic is what is woken with every commit to the deployment's log.
func Topic(deployment string) string { return "log/" + deployment }
