package transport_test

import (
	"context"
	"strings"
	"testing"

	"github.com/99designs/gqlgen/graphql"

	"github.com/shiplog/shiplog/server/transport"
)

// intercepting is an extension that sees every answer.
type intercepting func(oc *graphql.OperationContext, resp *graphql.Response)

func (intercepting) ExtensionName() string { return "Intercepting" }

func (intercepting) Validate(graphql.ExecutableSchema) error { return nil }

func (i intercepting) InterceptResponse(ctx context.Context, next graphql.ResponseHandler) *graphql.Response {
	resp := next(ctx)
	i(graphql.GetOperationContext(ctx), resp) // which panics where there is none

	return resp
}

func with(extension graphql.HandlerExtension) setting {
	return func(e *transport.ExecutorConfig, c *transport.Config) {
		e.Extensions = append(e.Extensions, extension)
		c.MaxOperations = 1
	}
}

// Extensions see the refusals of the transports themselves like all others.
func TestEveryRefusalHasAnOperationContext(t *testing.T) {
	t.Parallel()

	b := serve(t, with(intercepting(func(*graphql.OperationContext, *graphql.Response) {})))

	s := b.connect(t)
	s.subscribe("1", "subscription { silent }")
	s.subscribe("2", "subscription { silent }")

	if got := s.next(); got.ID != "2" || got.errorCode(t) != "RATE_LIMITED" {
		t.Errorf("%+v", got)
	}

	s.send(`{"type":"ping"}`)

	if got := s.next(); got.Type != "pong" {
		t.Errorf("%+v", got)
	}

	e := b.events(t, "{ nothingOfThisName }")

	var told strings.Builder

	for event, err := e.next(); err == nil; event, err = e.next() {
		told.WriteString(event)
	}

	if !strings.Contains(told.String(), "INVALID_INPUT") || !strings.HasSuffix(told.String(), "event: complete\ndata: \n") {
		t.Errorf("%q", told.String())
	}

	if reports := b.reports(); len(reports) > 0 {
		t.Error(reports)
	}
}

// A panic while the reader refuses an operation ends the connection and the
// operations that run on it.
func TestAPanicOfTheReaderEndsTheConnection(t *testing.T) {
	t.Parallel()

	b := serve(t, with(intercepting(func(_ *graphql.OperationContext, resp *graphql.Response) {
		if resp != nil && len(resp.Errors) > 0 { // nil is the end of a stream
			panic("an extension panics on purpose")
		}
	})))

	s := b.connect(t)
	s.subscribe("1", "subscription { silent }")
	s.subscribe("2", "subscription { silent }")

	if code := s.closed(); code != 1013 {
		t.Errorf("closed with %d", code)
	}

	until(t, "everything has ended", func() bool { return b.handler.Streams() == 0 && b.resolvers.Open.Load() == 0 })

	if reports := b.reports(); len(reports) != 1 {
		t.Error(reports)
	}
}
