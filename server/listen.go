package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"
)

// listenFor bounds how long an address may still be in use: a predecessor that
// was killed while it started a process lets go of it a moment later.
const listenFor = 3 * time.Second

// silenceOf is how long a peer may leave what was sent to it unacknowledged.
// One that vanished without a word is sent something after a ping interval at
// most, so that it is gone within two.
func silenceOf(pingInterval time.Duration) time.Duration { return pingInterval / 4 * 3 }

// listen listens at the address, as soon as it is free. Its connections end
// when the peer acknowledges nothing for the time of silence.
func listen(ctx context.Context, address string, silence time.Duration) (net.Listener, error) {
	config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var failed error

		if err := raw.Control(func(fd uintptr) { failed = boundSilence(int(fd), silence) }); err != nil {
			return fmt.Errorf("listen: %w", err)
		}

		return failed
	}}

	for until := time.Now().Add(listenFor); ; {
		listener, err := config.Listen(ctx, "tcp", address)
		if err == nil {
			return listener, nil
		}

		if !errors.Is(err, syscall.EADDRINUSE) || time.Now().After(until) {
			return nil, fmt.Errorf("listen: %w", err)
		}

		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}
