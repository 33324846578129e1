package transport

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"runtime/debug"
	"strings"
	"unicode/utf8"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/shiplog/shiplog/internal/fault"
)

// maxMessage cuts messages that repeat what the caller sent, in bytes.
const maxMessage = 300

// Keys of an error's extensions.
const (
	codeKey      = "code"
	fieldKey     = "field"
	requestIDKey = "requestId"
	// retryAfterKey goes with RATE_LIMITED.
	retryAfterKey = "retryAfter"
)

// retryAfter is when whoever asked for too much may come again, in seconds:
// what it has running ends when it says so, not with time.
const retryAfter = 5

// PanicError is a recovered panic on its way to the report.
type PanicError struct {
	Value any
	Stack []byte
}

// Error gives the panic's value; the stack is for the report to log.
func (p *PanicError) Error() string { return fmt.Sprintf("panic: %v", p.Value) }

func recovered(value any) error {
	return fault.Wrap(&PanicError{Value: value, Stack: debug.Stack()}, fault.Internal, "internal error")
}

// presenter makes what the caller is told out of an error. Every error of
// every answer passes through it once.
type presenter struct {
	requestID func(ctx context.Context) string
	report    func(ctx context.Context, requestID string, err error)
}

// present gives an error with extensions.code of the contract. What carries
// no code and is not the caller's input is reported and told as INTERNAL with
// the request id alone; what cannot be reached now is reported too, with its
// cause, which the caller is not told.
func (p presenter) present(ctx context.Context, err error) *gqlerror.Error {
	told := &gqlerror.Error{}

	shown, isGraphQL := errors.AsType[*gqlerror.Error](err)
	if isGraphQL {
		told.Path, told.Locations = shown.Path, shown.Locations
	} else {
		told.Path = graphql.GetPath(ctx)
	}

	if refusal, ok := errors.AsType[*fault.Error](err); ok {
		if refusal.Code == fault.Internal {
			return p.internal(ctx, told, err)
		}

		if refusal.Code == fault.Unavailable && refusal.Cause != nil {
			id := p.reported(ctx, err)
			told = tell(told, refusal.Code, refusal.Field, refusal.Message)
			told.Extensions[requestIDKey] = id

			return told
		}

		if isGraphQL && shown.Extensions[costKey] != nil {
			told.Extensions = map[string]any{costKey: shown.Extensions[costKey]}
		}

		if len(refusal.Details) > 0 {
			told.Extensions = maps.Clone(refusal.Details)
		}

		return tell(told, refusal.Code, refusal.Field, refusal.Message)
	}

	if isGraphQL {
		switch code := codeOf(shown); {
		case known(code):
			told.Extensions = shown.Extensions

			return tell(told, code, "", shown.Message)
		case strings.HasPrefix(string(code), "GRAPHQL_"):
			return invalidRequest(told, shown)
		}

		if field, ok := inputField(ctx, shown.Path); ok {
			told.Path = graphql.GetPath(ctx)

			return tell(told, fault.InvalidInput, field, field+": "+shown.Message)
		}
	}

	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return tell(told, fault.Unavailable, "", "the request was given up before its answer")
	}

	return p.internal(ctx, told, err)
}

func (p presenter) internal(ctx context.Context, told *gqlerror.Error, err error) *gqlerror.Error {
	id := p.reported(ctx, err)
	told = tell(told, fault.Internal, "", "internal error; its request id is "+id)
	told.Extensions[requestIDKey] = id

	return told
}

// reported reports the error and gives the request id that it was reported
// with.
func (p presenter) reported(ctx context.Context, err error) string {
	id := ""
	if p.requestID != nil {
		id = p.requestID(ctx)
	}

	if id == "" {
		id = rand.Text()
	}

	p.report(ctx, id, err)

	return id
}

// invalidRequest tells what parsing, validation or the coercion of variables
// found. The path of the latter names a variable, not a place in the answer.
func invalidRequest(told, shown *gqlerror.Error) *gqlerror.Error {
	told.Path = nil

	field, message := "", shown.Message
	if len(shown.Path) > 1 && shown.Path[0] == ast.PathName("variable") {
		field = shown.Path[1:].String()
		message = "variable $" + field + ": " + message
	}

	return tell(told, fault.InvalidInput, field, message)
}

// inputField gives the place in the arguments when the path goes further than
// the field that is being resolved: then the error is of reading its input.
func inputField(ctx context.Context, path ast.Path) (string, bool) {
	at := graphql.GetPath(ctx)
	if len(path) <= len(at) {
		return "", false
	}

	for i, element := range at {
		if path[i] != element {
			return "", false
		}
	}

	return path[len(at):].String(), true
}

func tell(told *gqlerror.Error, code fault.Code, field, message string) *gqlerror.Error {
	told.Message = cut(message)

	if told.Extensions == nil {
		told.Extensions = map[string]any{}
	}

	told.Extensions[codeKey] = string(code)

	if code == fault.RateLimited {
		told.Extensions[retryAfterKey] = retryAfter
	}

	// A mutation's one argument goes without saying: reading its input and
	// checking it name a field alike.
	if field = strings.TrimPrefix(field, "input."); field != "" {
		told.Extensions[fieldKey] = cut(field)
	}

	return told
}

// cut shortens s to maxMessage bytes of valid UTF-8.
func cut(s string) string {
	if len(s) <= maxMessage {
		return strings.ToValidUTF8(s, "\uFFFD")
	}

	s = s[:maxMessage]
	for !utf8.ValidString(s[max(0, len(s)-utf8.UTFMax):]) && len(s) > maxMessage-utf8.UTFMax {
		s = s[:len(s)-1]
	}

	return strings.ToValidUTF8(s, "\uFFFD") + "…"
}

func codeOf(err *gqlerror.Error) fault.Code {
	code, _ := err.Extensions[codeKey].(string)

	return fault.Code(code)
}

func known(code fault.Code) bool {
	switch code {
	case fault.NotFound, fault.InvalidInput, fault.Conflict, fault.Forbidden, fault.Unauthenticated, fault.Locked,
		fault.Blocked, fault.Held, fault.Stale, fault.TooComplex, fault.RateLimited, fault.Unavailable, fault.Internal:
		return true
	default:
		return false
	}
}
