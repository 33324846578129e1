//go:build unix

package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
)

// lockDescriptor is where a spawner leaves the locked lock file.
const lockDescriptor = 3

// takeLock takes over the lock that the spawner handed down, or takes it
// itself when it was started by hand. Without the lock there is another one of
// its kind, and nothing to do.
func takeLock(path string) (*os.File, bool, error) {
	want, err := os.Stat(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, false, fmt.Errorf("look at the lock: %w", err)
	}

	var got syscall.Stat_t
	if err == nil && syscall.Fstat(lockDescriptor, &got) == nil {
		if w, ok := want.Sys().(*syscall.Stat_t); ok && w.Dev == got.Dev && w.Ino == got.Ino {
			// Nothing that is started from here may keep the lock.
			syscall.CloseOnExec(lockDescriptor)

			return os.NewFile(lockDescriptor, path), true, nil
		}
	}

	return tryLock(path)
}

// whileLocked does the work of a detached process and gives its exit code. The
// lock is never released: it goes with the process, so that a lock that is
// free means that nobody is there any more.
func whileLocked(path string, log *slog.Logger, work func() error) int {
	lock, ok, err := takeLock(path)
	if err != nil {
		log.Error("take the lock", "error", err)

		return 1
	}

	if !ok {
		return 0
	}

	defer runtime.KeepAlive(lock)

	if err := work(); err != nil {
		log.Error("the process ends", "error", err)

		return 1
	}

	return 0
}

// listenControl sends a mark for every wake by the control pipe. It ends when
// the pipe is closed.
func listenControl(dir string) (<-chan struct{}, io.Closer, error) {
	path := filepath.Join(dir, "control")
	if err := makeFIFO(path); err != nil {
		return nil, nil, err
	}

	// For reading and writing, so that it neither blocks nor ends when a
	// writer goes.
	f, err := os.OpenFile(path, os.O_RDWR|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("open the control pipe: %w", err)
	}

	woken := make(chan struct{}, 1)

	go func() {
		defer close(woken)

		buf := make([]byte, 64)
		for {
			if _, err := f.Read(buf); err != nil {
				return
			}

			select {
			case woken <- struct{}{}:
			default:
			}
		}
	}()

	return woken, f, nil
}

// lockWhile runs f under the unit's lock.
func lockWhile(ctx context.Context, path string, f func() error) (err error) {
	lock, err := waitLock(ctx, path)
	if err != nil {
		return err
	}

	defer func() { err = errors.Join(err, lock.Close()) }()

	return f()
}
