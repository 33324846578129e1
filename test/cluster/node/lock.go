package node

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// lock takes the folder's lock, which the host stage holds for its life: the
// kernel lets go of it however the process ends, so that it never lies. It is a
// lock of fcntl, which can be asked about without being taken.
func lock(dir string) (*os.File, error) {
	file, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}

	whole := syscall.Flock_t{Type: syscall.F_WRLCK, Whence: io.SeekStart}
	if err := syscall.FcntlFlock(file.Fd(), syscall.F_SETLK, &whole); err != nil {
		return nil, errors.Join(fmt.Errorf("lock of %s: %w", dir, err), file.Close())
	}

	return file, nil
}

// Running gives the process id of the host stage that runs in a folder; 0: none.
func Running(dir string) (int, error) {
	file, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}

	if err != nil {
		return 0, err
	}
	defer file.Close()

	whole := syscall.Flock_t{Type: syscall.F_WRLCK, Whence: io.SeekStart}
	if err := syscall.FcntlFlock(file.Fd(), syscall.F_GETLK, &whole); err != nil {
		return 0, fmt.Errorf("lock of %s: %w", dir, err)
	}

	if whole.Type == syscall.F_UNLCK {
		return 0, nil
	}

	return int(whole.Pid), nil
}
