package faults

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
)

// client asks replicas in turn. It is what a careful caller is: it gives every
// mutation a key and asks again with the same key when it was not told.
type client struct {
	urls []string
	http *http.Client
	turn atomic.Int64
	// patience bounds how long it insists.
	patience time.Duration
}

func newClient(urls ...string) *client {
	return &client{
		urls: urls, patience: 90 * time.Second,
		http: &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 100}},
	}
}

// refusal is a coded error of the server.
type refusal struct{ Code, Field, Message string }

func (r *refusal) Error() string { return r.Code + " " + r.Field + ": " + r.Message }

// untold reports whether the caller does not know what became of its request:
// no answer came, or one that says that the server does not know either.
func untold(err error) bool {
	var r *refusal

	return err != nil && (!errors.As(err, &r) || r.Code == "UNAVAILABLE")
}

// ask asks one replica once.
func (c *client) ask(ctx context.Context, url, query string, variables map[string]any, out any) error {
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		return err
	}

	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}

	request.Header.Set("Content-Type", "application/json")

	answer, err := c.http.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()

	raw, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}

	var whole struct {
		Data   json.RawMessage
		Errors []struct {
			Message    string
			Extensions struct{ Code, Field string }
		}
	}
	if err := json.Unmarshal(raw, &whole); err != nil {
		return fmt.Errorf("status %d: %w: %s", answer.StatusCode, err, raw)
	}

	if len(whole.Errors) > 0 {
		e := whole.Errors[0]

		return &refusal{Code: e.Extensions.Code, Field: e.Extensions.Field, Message: e.Message}
	}

	if out == nil {
		return nil
	}

	return json.Unmarshal(whole.Data, out)
}

// next is the replica whose turn it is.
func (c *client) next() string { return c.urls[int(c.turn.Add(1))%len(c.urls)] }

// read asks until it is told.
func (c *client) read(ctx context.Context, query string, variables map[string]any, out any) error {
	until := time.Now().Add(c.patience)

	for {
		err := c.ask(ctx, c.next(), query, variables, out)
		if !untold(err) || time.Now().After(until) {
			return err
		}

		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(30 * time.Millisecond):
		}
	}
}

// mutate asks for a mutation until it is told, always with the same key.
// Selection is what is read of the payload.
func (c *client) mutate(ctx context.Context, mutation, selection string, input map[string]any, out any) error {
	if _, ok := input["idempotencyKey"]; !ok && keyed(mutation) {
		input["idempotencyKey"] = uuid.NewString()
	}

	var payload map[string]json.RawMessage

	if err := c.read(ctx, mutationText(mutation, selection), map[string]any{"input": input}, &payload); err != nil {
		return fmt.Errorf("%s: %w", mutation, err)
	}

	if out == nil {
		return nil
	}

	return json.Unmarshal(payload[mutation], out)
}

func keyed(mutation string) bool {
	switch mutation {
	case "cancelDeployment", "resolveStep", "deleteRule":
		return false
	}

	return true
}

func mutationText(mutation, selection string) string {
	return fmt.Sprintf("mutation($input: %s%sInput!) { %s(input: $input) { %s } }", strings.ToUpper(mutation[:1]), mutation[1:], mutation, selection)
}
