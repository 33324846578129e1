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
	"slices"
	"strconv"
	"strings"
)

const segmentSuffix = ".lines"

func segmentName(first int64) string { return fmt.Sprintf("%020d%s", first, segmentSuffix) }

// segments lists the first positions of the segments in a run's directory,
// oldest first.
func segments(dir string) ([]int64, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}

	if err != nil {
		return nil, fmt.Errorf("list the segments: %w", err)
	}

	var firsts []int64
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), segmentSuffix)
		if !ok {
			continue
		}

		if first, err := strconv.ParseInt(name, 10, 64); err == nil {
			firsts = append(firsts, first)
		}
	}

	slices.Sort(firsts)

	return firsts, nil
}

// segmentWriter appends records to the segments of a run. A record that cannot
// be written leaves a hole in the positions, which readers see as a gap.
type segmentWriter struct {
	dir   string
	limit int64
	keep  int

	file *os.File
	size int64
	next int64
	buf  []byte
}

// openSegments goes on after the last whole record; what a killed shim left
// half written behind it is cut off.
func openSegments(dir string, limit int64, keep int) (*segmentWriter, error) {
	w := &segmentWriter{dir: dir, limit: limit, keep: keep, next: 1}

	firsts, err := segments(dir)
	if err != nil || len(firsts) == 0 {
		return w, err
	}

	first := firsts[len(firsts)-1]
	w.next = first

	f, err := os.OpenFile(filepath.Join(dir, segmentName(first)), os.O_RDWR, fileMode)
	if err != nil {
		return nil, fmt.Errorf("open the last segment: %w", err)
	}

	s := scanner{reader: bufio.NewReader(f)}
	for {
		r, err := s.next()
		if errors.Is(err, io.EOF) || errors.Is(err, errPartial) || errors.Is(err, errCorrupt) {
			break
		}

		if err != nil {
			return nil, errors.Join(err, f.Close())
		}

		w.next, w.size = r.Position+1, s.offset
	}

	if err := f.Truncate(w.size); err != nil {
		return nil, errors.Join(fmt.Errorf("cut the last segment: %w", err), f.Close())
	}

	w.file = f

	return w, nil
}

// append takes a record, giving it its position; flush writes.
func (w *segmentWriter) append(r record) {
	r.Position = w.next
	w.next++
	w.buf = appendRecord(w.buf, r)
}

// flush writes what was appended, in one write.
func (w *segmentWriter) flush() error {
	if len(w.buf) == 0 {
		return nil
	}

	defer func() { w.buf = w.buf[:0] }()

	if w.file == nil || w.size >= w.limit {
		if err := w.rotate(); err != nil {
			return err
		}
	}

	n, err := w.file.WriteAt(w.buf, w.size)
	if err != nil {
		// A disk that is full: take back the half record.
		return errors.Join(fmt.Errorf("write %d of %d bytes of output: %w", n, len(w.buf), err), w.file.Truncate(w.size))
	}

	w.size += int64(n)

	return nil
}

// rotate begins a new segment with the first record in buf and removes the
// oldest ones.
func (w *segmentWriter) rotate() error {
	header, err := decodePosition(w.buf)
	if err != nil {
		return err
	}

	f, err := os.OpenFile(filepath.Join(w.dir, segmentName(header)), os.O_CREATE|os.O_RDWR|os.O_TRUNC, fileMode)
	if err != nil {
		return fmt.Errorf("begin a segment: %w", err)
	}

	old := w.file
	w.file, w.size = f, 0

	if old != nil {
		if err := old.Close(); err != nil {
			return fmt.Errorf("close a segment: %w", err)
		}
	}

	firsts, err := segments(w.dir)
	if err != nil {
		return err
	}

	for len(firsts) > w.keep {
		if err := os.Remove(filepath.Join(w.dir, segmentName(firsts[0]))); err != nil {
			return fmt.Errorf("remove a segment: %w", err)
		}

		firsts = firsts[1:]
	}

	return nil
}

func (w *segmentWriter) close() error {
	if w.file == nil {
		return nil
	}

	if err := w.file.Close(); err != nil {
		return fmt.Errorf("close the segment: %w", err)
	}

	return nil
}

func decodePosition(b []byte) (int64, error) {
	size, err := recordSize(b)
	if err != nil {
		return 0, err
	}

	r, err := decodeRecord(b[:size])

	return r.Position, err
}

// scanner reads records one after the other.
type scanner struct {
	reader *bufio.Reader
	offset int64
}

// next gives io.EOF at the end, errPartial within a record that is not there
// as a whole yet, errCorrupt for a damaged one.
func (s *scanner) next() (record, error) {
	header, err := s.reader.Peek(recordHeader)
	if errors.Is(err, io.EOF) {
		if len(header) == 0 {
			return record{}, io.EOF
		}

		return record{}, errPartial
	}

	if err != nil {
		return record{}, fmt.Errorf("read a segment: %w", err)
	}

	size, err := recordSize(header)
	if err != nil {
		return record{}, err
	}

	b := make([]byte, size)
	if _, err := io.ReadFull(s.reader, b); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return record{}, errPartial
		}

		return record{}, fmt.Errorf("read a segment: %w", err)
	}

	r, err := decodeRecord(b)
	if err == nil {
		s.offset += int64(size)
	}

	return r, err
}
