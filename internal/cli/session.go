package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/shiplog/shiplog/internal/client"
)

// requestTimeout bounds one request when --timeout is not given: long enough
// for a busy server, short enough for a person.
const requestTimeout = 30 * time.Second

// session is what a client command works with.
type session struct {
	client  *client.Client
	stdin   io.Reader
	out     io.Writer
	err     io.Writer
	json    bool
	colour  bool
	now     func() time.Time
	timeout time.Duration
}

// ask sends a document and gives the `data` of the answer.
func (s *session) ask(ctx context.Context, name string, variables map[string]any) (json.RawMessage, error) {
	text, err := document(name)
	if err != nil {
		return nil, err
	}

	limit := s.timeout
	if limit == 0 {
		limit = requestTimeout
	}

	bounded, cancel := context.WithTimeout(ctx, limit)
	defer cancel()

	var data json.RawMessage

	err = s.client.Do(bounded, text, variables, &data)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return nil, &client.Unreachable{URL: s.client.Endpoint(), Cause: fmt.Errorf("no answer within %s", limit)}
	}

	return data, err
}

// get sends a document and decodes the answer.
func get[T any](ctx context.Context, s *session, name string, variables map[string]any) (T, error) {
	var out T

	data, err := s.ask(ctx, name, variables)
	if err != nil {
		return out, err
	}

	if err := json.Unmarshal(data, &out); err != nil {
		return out, fmt.Errorf("decode the answer to %s: %w", name, err)
	}

	return out, nil
}

// show sends a document and prints the answer: as it came with -o json, else
// by view, which may also decide that the answer is an error.
func show[T any](
	ctx context.Context, s *session, name string, variables map[string]any, view func(p *printer, answer T) error,
) (T, error) {
	var out T

	data, err := s.ask(ctx, name, variables)
	if err != nil {
		return out, err
	}

	if err := json.Unmarshal(data, &out); err != nil {
		return out, fmt.Errorf("decode the answer to %s: %w", name, err)
	}

	p := s.printer()
	if s.json {
		p.out = io.Discard
	}

	if err := view(p, out); err != nil {
		return out, err
	}

	if s.json {
		return out, s.printer().json(data)
	}

	return out, p.failed
}

// waiting bounds something that waits by --timeout, and says so when it
// passed.
func (s *session) waiting(ctx context.Context, wait func(ctx context.Context) error) error {
	if s.timeout == 0 {
		return wait(ctx)
	}

	bounded, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()

	err := wait(bounded)
	if err != nil && ctx.Err() == nil && bounded.Err() != nil {
		return fmt.Errorf("%w after %s", errTimedOut, s.timeout)
	}

	return err
}

func (s *session) printer() *printer {
	return &printer{out: s.out, colour: s.colour, now: s.now()}
}

// printer writes for people; the first failed write is kept in failed.
type printer struct {
	out    io.Writer
	colour bool
	now    time.Time
	failed error
}

func (p *printer) linef(format string, args ...any) {
	if p.failed == nil {
		_, p.failed = fmt.Fprintf(p.out, format+"\n", args...)
	}
}

func (p *printer) paint(text string, s style) string { return paint(text, s, p.colour) }

func (p *printer) status(word string) string { return p.paint(word, statusStyle(word)) }

func (p *printer) when(t time.Time) string { return when(t, p.now) }

// table prints what fill adds to it; nothing but the header is "none".
func (p *printer) table(fill func(t *table), header ...string) {
	t := &table{colour: p.colour}
	t.header(header...)
	fill(t)

	if len(t.rows) == 1 {
		p.linef("none")

		return
	}

	if p.failed == nil {
		p.failed = t.write(p.out)
	}
}

// fields prints names and values, one a line; pairs with an empty value are
// left out.
func (p *printer) fields(pairs ...cell) {
	t := &table{colour: p.colour}

	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1].text != "" {
			t.row(cell{pairs[i].text, dim}, pairs[i+1])
		}
	}

	if p.failed == nil {
		p.failed = t.write(p.out)
	}
}

// json prints a document, indented.
func (p *printer) json(data json.RawMessage) error {
	var out bytes.Buffer
	if err := json.Indent(&out, data, "", "  "); err != nil {
		return fmt.Errorf("indent the answer: %w", err)
	}

	out.WriteByte('\n')

	_, err := p.out.Write(out.Bytes())

	return err
}

// page says how to go on when there is more.
func (s *session) page(info pageInfo) {
	if info.HasNextPage && !s.json {
		fmt.Fprintf(s.err, "there is more: --after %s\n", info.EndCursor)
	}
}
