// Package fault holds the coded errors of Shiplog: what a caller is told, and
// what it may do about it. Every refusal that leaves the program is one of
// these; anything else is reported as INTERNAL.
package fault

import (
	"errors"
	"fmt"
	"maps"
)

// Code is the machine-readable reason of a refusal. The values are those of
// the contract (extensions.code) and never change their meaning.
type Code string

// The codes of the contract.
const (
	NotFound        Code = "NOT_FOUND"
	InvalidInput    Code = "INVALID_INPUT"
	Conflict        Code = "CONFLICT"
	Forbidden       Code = "FORBIDDEN"
	Unauthenticated Code = "UNAUTHENTICATED"
	Locked          Code = "LOCKED"
	Blocked         Code = "BLOCKED"
	Held            Code = "HELD"
	Stale           Code = "STALE"
	TooComplex      Code = "TOO_COMPLEX"
	RateLimited     Code = "RATE_LIMITED"
	Unavailable     Code = "UNAVAILABLE"
	Internal        Code = "INTERNAL"
)

// Error is a refusal: a code, a message that is safe to show to the caller,
// the input field that it is about ("" when it is about none) and the wrapped
// cause, which is never shown.
type Error struct {
	Code    Code
	Field   string
	Message string
	Cause   error
	// Details are told with it as further extensions; nil for none.
	Details map[string]any
}

// Error gives the safe message, followed by the cause for logs.
func (e *Error) Error() string {
	if e.Cause != nil {
		return fmt.Sprintf("%s: %v", e.Message, e.Cause)
	}

	return e.Message
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Cause }

// New makes a refusal with a formatted safe message.
func New(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Invalid refuses the input field, named by its path in the GraphQL input
// (for example "images[0].digest"), and says what would be accepted.
func Invalid(field, format string, args ...any) *Error {
	return &Error{Code: InvalidInput, Field: field, Message: fmt.Sprintf(format, args...)}
}

// Missing says that what the field refers to does not exist.
func Missing(field, format string, args ...any) *Error {
	return &Error{Code: NotFound, Field: field, Message: fmt.Sprintf(format, args...)}
}

// Wrap makes a refusal out of a cause; the message stays safe to show.
func Wrap(cause error, code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...), Cause: cause}
}

// At gives a copy of the error with the field set.
func (e *Error) At(field string) *Error {
	c := *e
	c.Field = field

	return &c
}

// With gives a copy of the error that tells more, as data.
func (e *Error) With(key string, detail any) *Error {
	c := *e
	c.Details = maps.Clone(e.Details)

	if c.Details == nil {
		c.Details = map[string]any{}
	}

	c.Details[key] = detail

	return &c
}

// CodeOf gives the code of err, INTERNAL when err carries none.
func CodeOf(err error) Code {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}

	return Internal
}

// Is reports whether err carries the code.
func Is(err error, code Code) bool {
	var e *Error

	return errors.As(err, &e) && e.Code == code
}
