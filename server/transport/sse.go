package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/shiplog/shiplog/internal/fault"
)

type lastEventKey struct{}

// LastEventID gives the id of the last event that a client of an event stream
// had, "" when it did not say.
func LastEventID(ctx context.Context) string {
	id, _ := ctx.Value(lastEventKey{}).(string)

	return id
}

// serveEvents answers by graphql-sse's distinct connections mode: an event
// `next` per result, then `complete`, which has an empty data line so that
// browsers see it. Errors of the request are a result too, because a
// browser's EventSource shows nothing of other statuses.
func (h *Handler) serveEvents(w http.ResponseWriter, r *http.Request, oc *graphql.OperationContext, errs gqlerror.List) {
	if err := h.openStream(); err != nil {
		w.Header().Set("Retry-After", strconv.Itoa(retryAfter))
		h.reject(w, r, accepted{}, &rejection{status: http.StatusServiceUnavailable, cause: err})

		return
	}
	defer h.closeStream()

	release, err := h.openCaller(r.Context())
	if err != nil {
		w.Header().Set("Retry-After", strconv.Itoa(retryAfter))
		h.reject(w, r, accepted{}, &rejection{status: http.StatusTooManyRequests, cause: err})

		return
	}
	defer release()

	stream := &events{
		w: w, control: http.NewResponseController(w), timeout: h.config.WriteTimeout, eventID: h.config.EventID,
	}

	header := w.Header()
	header.Set("Content-Type", typeEvents+"; charset=utf-8")
	header.Set("X-Accel-Buffering", "no") // nginx would hold events back.
	w.WriteHeader(http.StatusOK)

	// The first comment makes proxies and clients see the answer begin.
	if stream.comment("") != nil {
		return // The client went away.
	}

	if errs != nil {
		ctx := graphql.WithOperationContext(r.Context(), oc)
		_ = stream.end(refusedBy(h.executor.DispatchError(ctx, errs))) // the stream ends in any case

		return
	}

	h.pump(r, stream, oc)
}

// pulled is what one pull of results gave.
type pulled struct {
	payloads [][]byte
	// ids are those of the payloads, or empty when they do not tell.
	ids []string
	err error
}

// pump writes results as they come, until they end, the client goes away or
// the server drains.
func (h *Handler) pump(r *http.Request, stream *events, oc *graphql.OperationContext) {
	ctx, cancel := context.WithCancel(r.Context())
	if id := r.Header.Get("Last-Event-ID"); id != "" {
		ctx = context.WithValue(ctx, lastEventKey{}, id)
	}

	pulls, written := make(chan pulled), make(chan struct{})

	go h.pull(ctx, oc, pulls, written)

	defer func() {
		cancel()

		for range pulls {
		}
	}()

	alive := time.NewTicker(h.config.PingInterval)
	defer alive.Stop()

	for {
		select {
		case p, ok := <-pulls:
			if !ok || stream.results(p) != nil {
				return // The operation or the client went away.
			}

			select {
			case written <- struct{}{}:
			case <-ctx.Done():
				return
			}
		case <-alive.C:
			if stream.comment("") != nil {
				return
			}
		case <-h.draining.Done():
			if stream.comment("the server restarts, connect again") != nil {
				return
			}

			return
		case <-ctx.Done():
			return
		}
	}
}

// pull asks for results, the next ones only after the last were written. It
// closes pulls when it ends.
func (h *Handler) pull(ctx context.Context, oc *graphql.OperationContext, pulls chan<- pulled, written <-chan struct{}) {
	defer close(pulls)

	// A panic in a hook must not end the process: it is reported, and ends
	// the stream.
	defer func() {
		if value := recover(); value != nil {
			h.executor.refusal(ctx, recovered(value))
		}
	}()

	ctx, results := h.results(ctx, oc)
	defer results.close()

	buf := make([][]byte, 0, batch)

	var ids []string

	for {
		payloads, err := results.next(ctx, buf)
		ids = results.eventIDs(ids[:0])

		select {
		case pulls <- pulled{payloads, ids, err}:
		case <-ctx.Done():
			return
		}

		if err != nil {
			return
		}

		select {
		case <-written:
		case <-ctx.Done():
			return
		}
	}
}

// events writes server-sent events; only one goroutine uses it.
type events struct {
	w       http.ResponseWriter
	control *http.ResponseController
	timeout time.Duration
	eventID func(payload []byte) string
	scratch []byte
}

// errEnded ends the stream after its last event.
var errEnded = errors.New("the stream has ended")

// results writes what was pulled, and gives an error when nothing may follow.
func (e *events) results(p pulled) error {
	e.scratch = e.scratch[:0]
	for i, payload := range p.payloads {
		switch {
		case len(p.ids) == len(p.payloads):
			e.next(payload, p.ids[i])
		case e.eventID != nil:
			e.next(payload, e.eventID(payload))
		default:
			e.next(payload, "")
		}
	}

	refusal, isRefusal := errors.AsType[*refused](p.err)

	switch {
	case p.err == nil:
		return e.flush()
	case errors.Is(p.err, io.EOF):
		e.scratch = append(e.scratch, "event: complete\ndata: \n\n"...)
	case isRefusal:
		return e.end(refusal)
	default:
		return p.err
	}

	if err := e.flush(); err != nil {
		return err
	}

	return errEnded
}

// end writes the refusal as the last result.
func (e *events) end(r *refused) error {
	payload, err := AppendResponse(nil, &graphql.Response{Errors: r.errs, Extensions: r.extensions})
	if err != nil {
		return err
	}

	e.next(payload, "")
	e.scratch = append(e.scratch, "event: complete\ndata: \n\n"...)

	if err := e.flush(); err != nil {
		return err
	}

	return errEnded
}

func (e *events) next(payload []byte, id string) {
	e.scratch = append(e.scratch, "event: next\n"...)

	if id != "" && !strings.ContainsAny(id, "\r\n\x00") {
		e.scratch = append(append(append(e.scratch, "id: "...), id...), '\n')
	}

	e.scratch = append(e.scratch, "data: "...)
	start := len(e.scratch)
	e.scratch = append(e.scratch, payload...)

	// A line break would end the data. In JSON it is white space.
	for _, lineBreak := range [...]byte{'\n', '\r'} {
		for at := e.scratch[start:]; ; {
			i := bytes.IndexByte(at, lineBreak)
			if i < 0 {
				break
			}

			at[i] = ' '
			at = at[i+1:]
		}
	}

	e.scratch = append(e.scratch, "\n\n"...)
}

func (e *events) comment(text string) error {
	e.scratch = append(append(append(e.scratch[:0], ": "...), text...), "\n\n"...)

	return e.flush()
}

// flush writes the scratch buffer. A client that does not take it within the
// timeout is given up.
func (e *events) flush() error {
	err := e.control.SetWriteDeadline(time.Now().Add(e.timeout))
	if err != nil && !errors.Is(err, http.ErrNotSupported) {
		return fmt.Errorf("write events: %w", err)
	}

	if _, err := e.w.Write(e.scratch); err != nil {
		return fmt.Errorf("write events: %w", err)
	}

	if err := e.control.Flush(); err != nil {
		return fmt.Errorf("write events: %w", err)
	}

	return nil
}

// refuseHandshake answers a WebSocket handshake that cannot be accepted.
func refuseHandshake(w http.ResponseWriter, _ *http.Request, status int, reason error) {
	code := fault.InvalidInput
	if status == http.StatusForbidden {
		code = fault.Forbidden
	}

	body, err := appendJSON(nil, map[string]any{"errors": []any{map[string]any{
		"message": cut(reason.Error()), "extensions": map[string]any{codeKey: code},
	}}})
	if err != nil {
		http.Error(w, http.StatusText(status), status)

		return
	}

	w.Header().Set("Content-Type", typeJSON+"; charset=utf-8")
	w.WriteHeader(status)

	if _, err := w.Write(body); err != nil {
		return // The client went away.
	}
}
