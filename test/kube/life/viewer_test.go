package life

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

const follow = `subscription ($deployment: ID!, $after: Cursor) {
	deploymentLogs(deployment: $deployment, after: $after, until: REPLACED) {
		gap { reason lines }
		lines { stream source { container instance attempt } text }
		cursor
	}
}`

// batch is what a viewer is sent at once.
type batch struct {
	Gap   *struct{ Reason string }
	Lines []struct {
		Stream string
		Source *struct {
			Container, Instance string
			Attempt             int
		}
		Text string
	}
	Cursor string
}

// viewer follows a log over WebSocket. Its connections are cut after so many
// bytes, and it comes back with its cursor, as it does when the server is away.
type viewer struct {
	url, deployment string
	bytes           func() int
	// passedOver says whether the node itself has passed over lines.
	passedOver func(of which, from, to int) bool

	// mu is held while a batch is noted.
	mu    sync.Mutex
	after string
	cuts  int
	runs  map[which]*numbers
	wrong error
}

// which names a run of a container.
type which struct {
	pod     string
	attempt int
}

// numbers are those that were seen of a run.
type numbers struct {
	first bool // it has said that it starts
	ended bool // it has said that it ends
	last  int
	gaps  int
	// lost are how many numbers are missing where a gap is, passed those that
	// the node has passed over without a word.
	lost, passed int
}

func newViewer(url, deployment string, random *rand.Rand, passedOver func(of which, from, to int) bool) *viewer {
	return &viewer{
		url: url, deployment: deployment, runs: map[which]*numbers{}, passedOver: passedOver,
		bytes: func() int { return 100<<10 + random.IntN(2<<20) },
	}
}

// watch follows until ctx ends or something is wrong with what is seen.
func (v *viewer) watch(ctx context.Context) {
	for ctx.Err() == nil && v.err() == nil {
		if err := v.connect(ctx); err != nil && !isCut(err) && ctx.Err() == nil {
			v.mu.Lock()
			v.wrong = errors.Join(v.wrong, err)
			v.mu.Unlock()

			return
		}

		v.mu.Lock()
		v.cuts++
		v.mu.Unlock()

		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond): // as clients do, before they come back
		}
	}
}

func (v *viewer) err() error {
	v.mu.Lock()
	defer v.mu.Unlock()

	return v.wrong
}

// isCut reports whether a connection has ended, rather than what it carries.
func isCut(err error) bool {
	var (
		closed *websocket.CloseError
		wire   net.Error
	)

	return errors.Is(err, errCut) || errors.As(err, &closed) || errors.As(err, &wire) || errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed)
}

var errCut = errors.New("the connection was cut")

func (v *viewer) connect(ctx context.Context) error {
	dialer := websocket.Dialer{Subprotocols: []string{"graphql-transport-ws"}, HandshakeTimeout: 5 * time.Second}

	conn, response, err := dialer.DialContext(ctx, "ws"+strings.TrimPrefix(v.url, "http")+"/graphql", nil)
	if err != nil {
		return fmt.Errorf("%w: %w", errCut, err)
	}
	defer conn.Close()
	defer response.Body.Close()

	defer context.AfterFunc(ctx, func() { conn.Close() })()

	variables := map[string]any{"deployment": v.deployment}
	if v.after != "" {
		variables["after"] = v.after
	}

	for _, message := range []any{
		map[string]any{"type": "connection_init"},
		map[string]any{"id": "1", "type": "subscribe", "payload": map[string]any{"query": follow, "variables": variables}},
	} {
		if err := conn.WriteJSON(message); err != nil {
			return err
		}
	}

	for left := v.bytes(); left > 0; {
		_, raw, err := conn.ReadMessage()
		if err != nil {
			return err
		}

		left -= len(raw)

		if err := v.take(raw); err != nil {
			return err
		}
	}

	return errCut
}

func (v *viewer) take(raw []byte) error {
	var message struct {
		Type    string
		Payload struct {
			Data   struct{ DeploymentLogs batch }
			Errors json.RawMessage
		}
	}

	switch err := json.Unmarshal(raw, &message); {
	case message.Type == "connection_ack":
		return nil
	case err != nil, message.Type != "next", len(message.Payload.Errors) > 0:
		return fmt.Errorf("told %.500s (%w)", raw, err)
	}

	v.mu.Lock()
	defer v.mu.Unlock()

	b := message.Payload.Data.DeploymentLogs
	if err := v.note(b); err != nil {
		return err
	}

	v.after = b.Cursor

	return nil
}

// note checks a batch: of every run the numbers go up by one, but for a gap
// that is told where the node had lost lines.
func (v *viewer) note(b batch) error {
	if b.Gap != nil && (b.Gap.Reason != "SOURCE_LOST" || len(b.Lines) == 0) {
		return fmt.Errorf("a gap of %s before %d lines", b.Gap.Reason, len(b.Lines))
	}

	for i, l := range b.Lines {
		if l.Stream != "CONTAINER" {
			continue
		}

		of := which{l.Source.Instance, l.Source.Attempt}
		if v.runs[of] == nil {
			v.runs[of] = &numbers{}
		}

		passed := func(from, to int) bool { return v.passedOver(of, from, to) }
		if err := v.runs[of].note(l.Text, b.Gap != nil && i == 0, passed); err != nil {
			return fmt.Errorf("%s, attempt %d: %w", of.pod, of.attempt, err)
		}
	}

	return nil
}

func (n *numbers) note(text string, gap bool, passedOver func(from, to int) bool) error {
	if gap {
		n.gaps++
	}

	number := 0

	switch _, err := fmt.Sscanf(text, "line %d of", &number); {
	case strings.HasPrefix(text, "app ") && (n.first || n.last > 0):
		return fmt.Errorf("it starts again after %d: %s", n.last, text)
	case strings.HasPrefix(text, "app "):
		n.first = true
	case strings.HasPrefix(text, "fatal: "):
		n.ended = true
	case err != nil:
		return fmt.Errorf("%q after %d: %w", text, n.last, err)
	case !gap && number > n.last+1 && passedOver(n.last+1, number-1):
		n.passed += number - n.last - 1
		n.last = number
	case number != n.last+1 && (!gap || number <= n.last):
		return fmt.Errorf("%d after %d", number, n.last)
	default:
		n.lost += number - n.last - 1
		n.last = number
	}

	return nil
}

// seen gives what was seen of the runs.
func (v *viewer) seen() map[which]numbers {
	v.mu.Lock()
	defer v.mu.Unlock()

	all := make(map[which]numbers, len(v.runs))
	for of, n := range v.runs {
		all[of] = *n
	}

	return all
}
