//go:build unix

package process

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// place is where in the segments the record after a position begins: what lets
// the next read go on without scanning.
type place struct {
	after   int64
	segment int64
	offset  int64
}

// tail reads the records of a run after a position, while the shim may be
// writing more.
type tail struct {
	dir   string
	place place
	file  *os.File
	scan  scanner
	// last: the segments were listed after a newer one had been seen, so the
	// end of this one is its end.
	complete bool
}

// newTail reads what comes after the position; a hint for another position is
// ignored.
func newTail(dir string, after int64, hint place) *tail {
	if hint.after != after {
		hint = place{after: after}
	}

	return &tail{dir: dir, place: hint}
}

// next gives the next record and how many before it are lost; ok is false when
// there is none yet.
func (t *tail) next() (r record, gap int64, ok bool, err error) {
	for {
		if t.file == nil {
			opened, err := t.open()
			if err != nil || !opened {
				return record{}, 0, false, err
			}
		}

		r, err := t.scan.next()
		switch {
		case err == nil:
			t.place.offset = t.scan.offset
			if r.Position <= t.place.after {
				continue
			}

			gap := r.Position - t.place.after - 1
			t.place.after = r.Position

			return r, gap, true, nil
		case errors.Is(err, io.EOF), errors.Is(err, errPartial), errors.Is(err, errCorrupt):
			more, err := t.advance()
			if err != nil || !more {
				return record{}, 0, false, err
			}
		default:
			return record{}, 0, false, err
		}
	}
}

// open opens the segment that holds the next position, or the oldest one that
// is left. The files are listed again when one goes away in between.
func (t *tail) open() (bool, error) {
	for {
		firsts, err := segments(t.dir)
		if err != nil || len(firsts) == 0 {
			return false, err
		}

		want := firsts[0]
		for _, first := range firsts {
			if first <= t.place.after+1 {
				want = first
			}
		}

		if want != t.place.segment {
			t.place.segment, t.place.offset = want, 0
		}

		switch err := t.reopen(); {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return false, err
		}

		return true, nil
	}
}

// advance is called at the end of what the segment holds: it goes to the next
// segment if there is one. The writer never returns to a segment that it has
// left, so the old one is read once more after the new one was seen.
func (t *tail) advance() (bool, error) {
	firsts, err := segments(t.dir)
	if err != nil {
		return false, err
	}

	next := int64(0)
	for _, first := range firsts {
		if first > t.place.segment {
			next = first

			break
		}
	}

	switch {
	case next == 0:
		return false, nil
	case !t.complete:
		t.complete = true

		return true, t.rewind()
	}

	t.complete = false
	t.place.segment, t.place.offset = next, 0

	switch err := t.reopen(); {
	case errors.Is(err, fs.ErrNotExist):
		// Removed in between: choose again among what is left.
		return true, t.close()
	case err != nil:
		return false, err
	}

	return true, nil
}

func (t *tail) reopen() error {
	if err := t.close(); err != nil {
		return err
	}

	f, err := os.Open(filepath.Join(t.dir, segmentName(t.place.segment)))
	if err != nil {
		return fmt.Errorf("open a segment: %w", err)
	}

	t.file = f

	return t.rewind()
}

func (t *tail) rewind() error {
	if _, err := t.file.Seek(t.place.offset, io.SeekStart); err != nil {
		return fmt.Errorf("seek in a segment: %w", err)
	}

	t.scan = scanner{reader: bufio.NewReaderSize(t.file, 64<<10), offset: t.place.offset}

	return nil
}

func (t *tail) close() error {
	if t.file == nil {
		return nil
	}

	f := t.file
	t.file = nil

	if err := f.Close(); err != nil {
		return fmt.Errorf("close a segment: %w", err)
	}

	return nil
}

// lastLines gives the last n lines of the run, those of the given attempt if
// it has written any.
func lastLines(dir string, attempt, n int) ([]string, error) {
	firsts, err := segments(dir)
	if err != nil || len(firsts) == 0 {
		return nil, err
	}

	// The last two segments hold far more than n lines; a reader that starts
	// at the second last one needs no more.
	after := firsts[max(0, len(firsts)-2)] - 1

	t := newTail(dir, after, place{})
	var all, own []string
	for {
		r, _, ok, err := t.next()
		if err != nil {
			return nil, errors.Join(err, t.close())
		}

		if !ok {
			break
		}

		all = appendLast(all, string(r.Text), n)
		if r.Attempt == attempt {
			own = appendLast(own, string(r.Text), n)
		}
	}

	if len(own) > 0 {
		all = own
	}

	return all, t.close()
}

func appendLast(lines []string, line string, n int) []string {
	if len(lines) == n {
		copy(lines, lines[1:])
		lines = lines[:n-1]
	}

	return append(lines, line)
}
