//go:build unix

package process

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// Output and variables may be private: nobody else reads them.
const (
	dirMode  = 0o700
	fileMode = 0o600
)

// lockPoll is how often a busy unit's lock is asked for again: holders keep it
// for milliseconds.
const lockPoll = 2 * time.Millisecond

// writeJSON replaces the file as a whole. There is one writer a file at a
// time, so that the name of the temporary file is fixed and a crash leaves at
// most one. When durable it also survives a power loss.
func writeJSON(path string, value any, durable bool) error {
	data, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encode %s: %w", filepath.Base(path), err)
	}

	tmp := path + ".tmp"
	if err := writeAndSync(tmp, data, durable); err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(path), err)
	}

	if err := os.Rename(tmp, path); err != nil {
		return fmt.Errorf("replace %s: %w", filepath.Base(path), err)
	}

	return nil
}

func writeAndSync(path string, data []byte, durable bool) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, fileMode)
	if err != nil {
		return err
	}

	if _, err = f.Write(data); err == nil && durable {
		err = f.Sync()
	}

	return errors.Join(err, f.Close())
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("open the directory: %w", err)
	}

	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("sync the directory: %w", err)
	}

	return nil
}

// readJSON reports whether the file was there.
func readJSON(path string, into any) (bool, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}

	if err != nil {
		return false, fmt.Errorf("read %s: %w", filepath.Base(path), err)
	}

	if err := json.Unmarshal(data, into); err != nil {
		return false, fmt.Errorf("decode %s: %w", filepath.Base(path), err)
	}

	return true, nil
}

// tryLock takes the flock of a file. The lock belongs to the open file: it
// ends when the last copy of it is closed, by whichever process.
func tryLock(path string) (*os.File, bool, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, fileMode)
	if err != nil {
		return nil, false, fmt.Errorf("open the lock: %w", err)
	}

	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		return f, true, nil
	}

	if closeErr := f.Close(); closeErr != nil {
		return nil, false, fmt.Errorf("close the lock: %w", closeErr)
	}

	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, false, nil
	}

	return nil, false, fmt.Errorf("take the lock: %w", err)
}

// waitLock takes the flock, or gives up with the context.
func waitLock(ctx context.Context, path string) (*os.File, error) {
	for {
		f, ok, err := tryLock(path)
		if err != nil || ok {
			return f, err
		}

		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for the unit's lock: %w", ctx.Err())
		case <-time.After(lockPoll):
		}
	}
}

// held reports whether somebody holds the lock.
func held(path string) (bool, error) {
	f, ok, err := tryLock(path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}

		return false, err
	}

	if !ok {
		return true, nil
	}

	if err := f.Close(); err != nil {
		return false, fmt.Errorf("release the lock: %w", err)
	}

	return false, nil
}

// makeFIFO makes the control pipe by which a detached process is woken.
func makeFIFO(path string) error {
	if err := syscall.Mkfifo(path, fileMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make the control pipe: %w", err)
	}

	return nil
}

// poke wakes the reader of a control pipe. No reader is no error: it looks at
// the files when it starts.
func poke(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|syscall.O_NONBLOCK, 0)
	if errors.Is(err, syscall.ENXIO) || errors.Is(err, fs.ErrNotExist) {
		return nil
	}

	if err != nil {
		return fmt.Errorf("open the control pipe: %w", err)
	}

	_, err = f.Write([]byte{'\n'})
	if errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EPIPE) {
		err = nil // full: it is being woken already; gone: nobody to wake
	}

	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write to the control pipe: %w", err)
	}

	return nil
}
