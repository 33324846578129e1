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

// listen listens at the address, as soon as it is free.
func listen(ctx context.Context, address string) (net.Listener, error) {
	for until := time.Now().Add(listenFor); ; {
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
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
