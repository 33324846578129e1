package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/shiplog/shiplog/internal/client"
)

// The exit codes; doc.go and --help say the same.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitRefused     = 3
	exitUnreachable = 4
	exitTimeout     = 5
	exitNotDone     = 6
	exitInterrupted = 130
)

// exitHelp is printed below --help.
const exitHelp = `Exit codes:
  0    it worked; a deployment that was waited for succeeded
  1    a deployment that was waited for failed or errored
  2    the command line is wrong
  3    the server refused
  4    the server cannot be reached
  5    waiting took longer than --timeout
  6    a deployment that was waited for was cancelled, rejected or superseded
  130  interrupted`

// usageError marks what is wrong with the command line itself.
type usageError struct{ message string }

func (e *usageError) Error() string { return e.message }

func usage(format string, args ...any) error {
	return &usageError{message: fmt.Sprintf(format, args...)}
}

// outcomeError says that a deployment that was waited for ended other than by
// succeeding.
type outcomeError struct{ deployment, status, reason string }

func (e *outcomeError) Error() string {
	text := fmt.Sprintf("%s ended %s", e.deployment, e.status)
	if e.reason != "" {
		text += ": " + e.reason
	}

	return text
}

// errTimedOut says that --timeout passed.
var errTimedOut = errors.New("timed out")

// exitCode says with which code the program ends after err.
func exitCode(err error) int {
	var (
		outcome     *outcomeError
		usage       *usageError
		refused     *client.Error
		unreachable *client.Unreachable
	)

	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errTimedOut):
		return exitTimeout
	case errors.As(err, &usage):
		return exitUsage
	case errors.As(err, &outcome):
		switch outcome.status {
		case "CANCELLED", "REJECTED", "SUPERSEDED":
			return exitNotDone
		default:
			return exitFailed
		}
	case errors.As(err, &refused):
		return exitRefused
	case errors.As(err, &unreachable):
		return exitUnreachable
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	default:
		return exitFailed
	}
}
