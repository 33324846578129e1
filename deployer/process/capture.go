//go:build unix

package process

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

const (
	// partialAfter is how long a line may stay without its end before it is
	// given out as it is (a prompt).
	partialAfter = 500 * time.Millisecond
	// lastWords is how long output is waited for after the process and all
	// that it left behind have ended: only a pipe that got away stays open.
	lastWords = 2 * time.Second
	readSize  = 32 << 10
)

// capture reads one stream of one attempt.
type capture struct {
	pipe    *os.File
	stream  byte
	attempt int

	// closing: the end of the wait is set. closed: there is nothing more.
	mu              sync.Mutex
	closing, closed bool
}

// run reads to the end of the stream; write takes each piece, split into
// lines, at once.
func (c *capture) run(write func(stream byte, attempt int, feed func(emitter))) (err error) {
	defer func() { err = errors.Join(err, c.close()) }()

	var (
		split splitter
		buf   = make([]byte, readSize)
	)

	for {
		deadline := time.Time{}
		if split.pending() {
			deadline = time.Now().Add(partialAfter)
		}

		if err := c.until(deadline); err != nil {
			return err
		}

		n, readErr := c.pipe.Read(buf)

		write(c.stream, c.attempt, func(emit emitter) {
			split.write(buf[:n], emit)
			if readErr != nil {
				split.flush(emit)
			}
		})

		switch {
		case readErr == nil:
		case errors.Is(readErr, io.EOF):
			return nil
		case errors.Is(readErr, os.ErrDeadlineExceeded):
			if c.isClosing() {
				return nil
			}
		default:
			return fmt.Errorf("read output: %w", readErr)
		}
	}
}

// until sets how long the next read may take, unless the end is already set.
func (c *capture) until(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()

	if c.closing {
		return nil
	}

	return c.pipe.SetReadDeadline(t)
}

// finish bounds the wait for the rest of the output.
func (c *capture) finish() error {
	c.mu.Lock()
	defer c.mu.Unlock()

	if c.closed {
		return nil
	}

	c.closing = true

	return c.pipe.SetReadDeadline(time.Now().Add(lastWords))
}

func (c *capture) close() error {
	c.mu.Lock()
	defer c.mu.Unlock()

	c.closed = true

	return c.pipe.Close()
}

func (c *capture) isClosing() bool {
	c.mu.Lock()
	defer c.mu.Unlock()

	return c.closing
}

// write appends the lines that feed gives out, and flushes them. When the disk
// is full the process goes on and readers see a gap.
func (s *shim) write(stream byte, attempt int, feed func(emitter)) {
	s.mu.Lock()
	defer s.mu.Unlock()

	now := time.Now()

	feed(func(text []byte, truncated bool) {
		s.out.append(record{
			Time: now, Attempt: attempt, Stream: stream, Text: text, Truncated: truncated,
		})
	})

	err := s.out.flush()
	if err != nil && !s.losing {
		s.log.Error("output is lost", "error", err)
	}

	s.losing = err != nil
}
