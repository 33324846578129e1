//go:build unix

package process

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"time"
)

// record is one line of output as a segment holds it.
type record struct {
	Position  int64
	Time      time.Time
	Attempt   int
	Stream    byte
	Truncated bool
	Text      []byte
}

// The streams.
const (
	streamStdout byte = 1
	streamStderr byte = 2
)

const (
	recordHeader  = 32
	flagTruncated = 1
)

var (
	errPartial = errors.New("the record is not complete")
	errCorrupt = errors.New("the record is damaged")
)

// appendRecord encodes, little endian: length of the text (4 bytes), CRC-32 of
// all that follows (4), position (8), microseconds since 1970 (8), attempt
// (4), stream (1), flags (1), zero (2), text.
func appendRecord(b []byte, r record) []byte {
	start := len(b)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(r.Text)))
	b = binary.LittleEndian.AppendUint32(b, 0)
	b = binary.LittleEndian.AppendUint64(b, uint64(r.Position))
	b = binary.LittleEndian.AppendUint64(b, uint64(r.Time.UnixMicro()))
	b = binary.LittleEndian.AppendUint32(b, uint32(r.Attempt))

	var flags byte
	if r.Truncated {
		flags = flagTruncated
	}

	b = append(b, r.Stream, flags, 0, 0)
	b = append(b, r.Text...)
	binary.LittleEndian.PutUint32(b[start+4:], crc32.ChecksumIEEE(b[start+8:]))

	return b
}

// recordSize gives the size of the record that starts with this header.
func recordSize(header []byte) (int, error) {
	n := binary.LittleEndian.Uint32(header)
	if n > maxLine {
		return 0, errCorrupt
	}

	return recordHeader + int(n), nil
}

// decodeRecord decodes one whole record; its text is a copy.
func decodeRecord(b []byte) (record, error) {
	if crc32.ChecksumIEEE(b[8:]) != binary.LittleEndian.Uint32(b[4:]) {
		return record{}, errCorrupt
	}

	return record{
		Position:  int64(binary.LittleEndian.Uint64(b[8:])),
		Time:      time.UnixMicro(int64(binary.LittleEndian.Uint64(b[16:]))).UTC(),
		Attempt:   int(binary.LittleEndian.Uint32(b[24:])),
		Stream:    b[28],
		Truncated: b[29]&flagTruncated != 0,
		Text:      append([]byte(nil), b[recordHeader:]...),
	}, nil
}
