package transport

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"github.com/gorilla/websocket"

	"github.com/shiplog/shiplog/internal/fault"
)

// Handler serves GraphQL on one path, by every transport of the package.
type Handler struct {
	executor *Executor
	config   Config
	upgrader websocket.Upgrader

	// draining ends when Drain begins, which calls drain.
	draining context.Context //nolint:containedctx // what is followed is its end
	drain    context.CancelFunc

	mu       sync.Mutex
	drained  bool
	inFlight int
	// idle is closed when the last request ends while draining.
	idle    chan struct{}
	streams int
	callers map[string]int
}

// New makes a handler of the executor's operations.
func New(executor *Executor, config Config) (*Handler, error) {
	if executor == nil {
		return nil, errors.New("the transports need an executor")
	}

	if err := config.Validate(); err != nil {
		return nil, fmt.Errorf("configure the transports: %w", err)
	}

	draining, drain := context.WithCancel(context.Background())

	return &Handler{
		executor: executor,
		config:   config,
		upgrader: websocket.Upgrader{
			HandshakeTimeout: config.ReadTimeout,
			CheckOrigin:      config.CheckOrigin,
			// Only the handshake is written with gorilla's buffer.
			WriteBufferPool: &sync.Pool{},
			Error:           refuseHandshake,
		},
		draining: draining,
		drain:    drain,
		idle:     make(chan struct{}),
		callers:  map[string]int{},
	}, nil
}

// ServeHTTP dispatches by the kind of request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.enter()
	defer h.leave()

	if websocket.IsWebSocketUpgrade(r) {
		h.serveWebSocket(w, r)

		return
	}

	h.serveHTTP(w, r)
}

// Drain ends all WebSocket connections and event streams so that their
// clients connect again elsewhere (close code 1012; the end of the response),
// after queries and mutations on them had DrainGrace to finish, and waits for
// everything to end, plain requests included, or for ctx. New streams are
// accepted and ended the same way, so that no client sees a 5xx; plain
// requests are served on. It may be called more than once.
func (h *Handler) Drain(ctx context.Context) error {
	h.mu.Lock()

	if !h.drained {
		h.drained = true
		h.drain()

		if h.inFlight == 0 {
			close(h.idle)
		}
	}
	h.mu.Unlock()

	select {
	case <-h.idle:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("drain the transports: %w", ctx.Err())
	}
}

// Streams gives the number of WebSocket connections and event streams.
func (h *Handler) Streams() int {
	h.mu.Lock()
	defer h.mu.Unlock()

	return h.streams
}

func (h *Handler) enter() {
	h.mu.Lock()
	defer h.mu.Unlock()

	h.inFlight++
}

func (h *Handler) leave() {
	h.mu.Lock()
	defer h.mu.Unlock()

	h.inFlight--

	if !h.drained || h.inFlight > 0 {
		return
	}

	select {
	case <-h.idle:
		// A request came after everything had ended.
	default:
		close(h.idle)
	}
}

// openStream counts a WebSocket connection or event stream in.
func (h *Handler) openStream() error {
	h.mu.Lock()
	defer h.mu.Unlock()

	if h.streams >= h.config.MaxConnections {
		return fault.New(fault.Unavailable, "the server has %d streams open, its most", h.config.MaxConnections)
	}

	h.streams++

	return nil
}

func (h *Handler) closeStream() {
	h.mu.Lock()
	defer h.mu.Unlock()

	h.streams--
}

// openCaller counts one stream of the context's caller in, and gives what
// counts it out again.
func (h *Handler) openCaller(ctx context.Context) (release func(), err error) {
	key := ""
	if h.config.CallerKey != nil {
		key = h.config.CallerKey(ctx)
	}

	if key == "" {
		return func() {}, nil
	}

	h.mu.Lock()
	defer h.mu.Unlock()

	if h.callers[key] >= h.config.MaxConnectionsPerCaller {
		return nil, fault.New(fault.RateLimited, "the caller has %d streams open, its most", h.config.MaxConnectionsPerCaller)
	}

	h.callers[key]++

	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()

		if h.callers[key]--; h.callers[key] == 0 {
			delete(h.callers, key)
		}
	}, nil
}
