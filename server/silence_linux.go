package server

import (
	"fmt"
	"syscall"
	"time"
)

// tcpUserTimeout is TCP_USER_TIMEOUT of tcp(7), in milliseconds. A listening
// socket hands it on to its connections.
const tcpUserTimeout = 0x12

// boundSilence ends connections whose peer acknowledges nothing for so long.
// Without it the kernel tries for a quarter of an hour, and a stream that says
// little fits into its buffers all the while.
func boundSilence(fd int, silence time.Duration) error {
	if err := syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, tcpUserTimeout, int(silence.Milliseconds())); err != nil {
		return fmt.Errorf("bound how long peers may be silent: %w", err)
	}

	return nil
}
