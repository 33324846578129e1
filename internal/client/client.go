package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	// maxAnswer bounds the body of an answer, in bytes: the largest page of
	// log lines (1,000 of 32 KiB) fits.
	maxAnswer = 64 << 20
	// maxAttempts bounds how often a harmless request is sent when its
	// answer is lost.
	maxAttempts = 3
)

// Config says which server to speak to, and as whom.
type Config struct {
	// Server is the base URL, such as `http://127.0.0.1:8080`; `/graphql` is
	// added unless it is there.
	Server string
	// Token is sent as a bearer token; "" sends none.
	Token string
	// UserAgent names the program, such as `shiplog/1.0`.
	UserAgent string
	// RetryFor is how long a subscription tries to connect again before it
	// gives up; 0 means one minute, which outlasts a restart of the server.
	RetryFor time.Duration
}

// Client speaks to one server. It may be used by several goroutines.
type Client struct {
	endpoint string
	socket   string
	header   http.Header
	http     *http.Client
	timing   timing
}

// New makes a client; nothing is sent yet.
func New(config Config) (*Client, error) {
	endpoint, err := url.Parse(strings.TrimSuffix(config.Server, "/"))
	if err != nil {
		return nil, fmt.Errorf("the server's URL: %w", err)
	}

	socket := *endpoint

	switch endpoint.Scheme {
	case "http":
		socket.Scheme = "ws"
	case "https":
		socket.Scheme = "wss"
	default:
		return nil, fmt.Errorf("the server's URL %q must begin with http:// or https://", config.Server)
	}

	if endpoint.Host == "" {
		return nil, fmt.Errorf("the server's URL %q has no host", config.Server)
	}

	if !strings.HasSuffix(endpoint.Path, "/graphql") {
		endpoint.Path += "/graphql"
	}

	socket.Path = endpoint.Path
	header := http.Header{"User-Agent": {config.UserAgent}}

	if config.Token != "" {
		header.Set("Authorization", "Bearer "+config.Token)
	}

	return &Client{
		endpoint: endpoint.String(), socket: socket.String(), header: header,
		http:   &http.Client{Transport: http.DefaultTransport.(*http.Transport).Clone()}, //nolint:forcetypeassert // net/http documents it
		timing: defaultTiming(config.RetryFor),
	}, nil
}

// Endpoint is the URL that requests go to.
func (c *Client) Endpoint() string { return c.endpoint }

// Close ends idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Do sends one query or mutation and decodes `data` into out, which may be nil
// or a *json.RawMessage. Errors: *Error when the server refuses, *Unreachable
// when no usable answer came, the context's own when it ended.
func (c *Client) Do(ctx context.Context, query string, variables map[string]any, out any) error {
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		return fmt.Errorf("encode the request: %w", err)
	}

	attempts := 1
	if harmless(query, variables) {
		attempts = maxAttempts
	}

	var answer response

	for attempt := 1; ; attempt++ {
		answer, err = c.post(ctx, body)
		if err == nil || attempt == attempts || !lost(err) || ctx.Err() != nil {
			break
		}
	}

	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}

		return err
	}

	if err := refusal(answer.Errors); err != nil {
		return err
	}

	if out == nil {
		return nil
	}

	if err := json.Unmarshal(answer.Data, out); err != nil {
		return fmt.Errorf("decode the answer: %w", err)
	}

	return nil
}

// post sends the body once.
func (c *Client) post(ctx context.Context, body []byte) (response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.endpoint, bytes.NewReader(body))
	if err != nil {
		return response{}, fmt.Errorf("make the request: %w", err)
	}

	request.Header = c.header.Clone()
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/graphql-response+json, application/json;q=0.9")

	answer, err := c.http.Do(request)
	if err != nil {
		return response{}, c.unreachable(err)
	}
	defer answer.Body.Close()

	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer+1))
	if err != nil {
		return response{}, c.unreachable(err)
	}

	if len(text) > maxAnswer {
		return response{}, c.unreachable(fmt.Errorf("the answer is larger than %d bytes", maxAnswer))
	}

	var decoded response
	if err := json.Unmarshal(text, &decoded); err != nil || (decoded.Data == nil && decoded.Errors == nil) {
		return response{}, c.unreachable(fmt.Errorf("%s is no answer of a GraphQL server", answer.Status))
	}

	return decoded, nil
}

// unreachable wraps the cause without the URL that net/http puts around it.
func (c *Client) unreachable(cause error) error {
	if wrapped, ok := errors.AsType[*url.Error](cause); ok {
		cause = wrapped.Err
	}

	return &Unreachable{URL: c.endpoint, Cause: cause}
}

// harmless reports whether sending the request again can do nothing twice.
func harmless(query string, variables map[string]any) bool {
	if strings.HasPrefix(strings.TrimSpace(query), "query") {
		return true
	}

	input, _ := variables["input"].(map[string]any)
	key, _ := input["idempotencyKey"].(string)

	return key != ""
}

// lost reports whether the request may have arrived and its answer did not:
// the connection was there and broke. A server that is not there at all is
// reported at once.
func lost(err error) bool {
	var network *net.OpError
	if errors.As(err, &network) && network.Op == "dial" {
		return false
	}

	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || network != nil
}
