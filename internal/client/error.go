package client

import (
	"encoding/json"
	"fmt"

	"github.com/shiplog/shiplog/internal/fault"
)

// Error is a refusal by the server: the first of its GraphQL errors.
type Error struct {
	// Code is `extensions.code`, INTERNAL when the server gave none.
	Code fault.Code
	// Field is the input field at fault, "" for none.
	Field string
	// Message is for people.
	Message string
	// RequestID finds an INTERNAL error in the server's log.
	RequestID string
}

// Error gives the message in one line: `CODE: message (field x)`.
func (e *Error) Error() string {
	text := fmt.Sprintf("%s: %s", e.Code, e.Message)
	if e.Field != "" {
		text += fmt.Sprintf(" (field %s)", e.Field)
	}

	if e.RequestID != "" {
		text += fmt.Sprintf(" (request %s)", e.RequestID)
	}

	return text
}

// Unreachable says that no usable answer came from the server: it is not
// there, it is something else, or the connection broke.
type Unreachable struct {
	// URL is the endpoint that was tried.
	URL string
	// Cause is what went wrong.
	Cause error
}

// Error names the endpoint and the cause.
func (e *Unreachable) Error() string {
	return fmt.Sprintf("cannot reach the server at %s: %v", e.URL, e.Cause)
}

// Unwrap gives the cause.
func (e *Unreachable) Unwrap() error { return e.Cause }

// graphQLError is an entry of `errors`.
type graphQLError struct {
	Message    string `json:"message"`
	Extensions struct {
		Code      fault.Code `json:"code"`
		Field     string     `json:"field"`
		RequestID string     `json:"requestId"`
	} `json:"extensions"`
}

// refusal makes an Error of the first entry; nil when there is none.
func refusal(errors []graphQLError) error {
	if len(errors) == 0 {
		return nil
	}

	first := errors[0]

	code := first.Extensions.Code
	if code == "" {
		code = fault.Internal
	}

	return &Error{
		Code: code, Field: first.Extensions.Field,
		Message: first.Message, RequestID: first.Extensions.RequestID,
	}
}

// response is the body of an answer and the payload of a `next` message.
type response struct {
	Data   json.RawMessage `json:"data"`
	Errors []graphQLError  `json:"errors"`
}
