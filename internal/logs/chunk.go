package logs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"
)

// A chunk before compression, all numbers varints:
//
//	version (1 byte) · entries · time of the first in µs since 1970
//	sources · for each: stream, phase (1 byte each), attempt, step, container, instance
//	for each entry: source<<2 | gap<<1 | truncated · µs since the entry before (signed) · length of the text
//	                and for a gap the number of lines
//	all texts (for a gap its reason), one after the other
//
// Seqs are not in it: they are those of the row, so that a chunk can be made
// before its place is known. Sources repeat, so lines point into a table; texts
// stand together, so that they compress well and are decoded as one string.
const chunkVersion = 1

const (
	// maxChunkLines bounds how far a chunk's first and last seq are apart:
	// what makes a range of seqs a range of both indexes.
	maxChunkLines = 4096
	// maxChunkBytes is when a batch is divided; a single line is at most half
	// of it.
	maxChunkBytes = 64 << 10
	// maxRaw bounds what a damaged chunk can make us allocate.
	maxRaw = 64 << 20
)

// The places in these are what is stored: only ever append.
var (
	streams = []Stream{Step, Container, Cluster} //nolint:gochecknoglobals // a constant
	phases  = []Phase{Rollout, Runtime}          //nolint:gochecknoglobals // a constant

	errChunk = errors.New("a damaged log chunk")
)

// codec compresses chunks. Its methods may be called by several goroutines.
type codec struct {
	enc *zstd.Encoder
	dec *zstd.Decoder
	raw sync.Pool // *[]byte: chunks that were decompressed
}

func newCodec() (*codec, error) {
	// Fastest: a level more costs twice the time for some percent. Small
	// windows: a chunk is 64 KiB.
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(2),
		zstd.WithLowerEncoderMem(true), zstd.WithWindowSize(128<<10), zstd.WithEncoderCRC(true))
	if err != nil {
		return nil, fmt.Errorf("make a compressor: %w", err)
	}

	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(2), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(maxRaw))
	if err != nil {
		return nil, fmt.Errorf("make a decompressor: %w", err)
	}

	return &codec{enc: enc, dec: dec}, nil
}

// chunk is a run of entries, ready to be stored at any place.
type chunk struct {
	lines       int
	first, last time.Time
	raw         int
	data        []byte
}

func (c *codec) pack(lines []Line) chunk {
	raw := encode(lines)

	return chunk{
		lines: len(lines), first: lines[0].Time, last: lines[len(lines)-1].Time, raw: len(raw),
		data: c.enc.EncodeAll(raw, make([]byte, 0, len(raw)/4+64)),
	}
}

// packAll divides the lines into chunks.
func (c *codec) packAll(lines []Line) []chunk {
	var chunks []chunk

	for len(lines) > 0 {
		n, size := 0, int64(0)
		for n < len(lines) && n < maxChunkLines && (n == 0 || size+lines[n].cost() <= maxChunkBytes) {
			size += lines[n].cost()
			n++
		}

		chunks, lines = append(chunks, c.pack(lines[:n])), lines[n:]
	}

	return chunks
}

// unpack appends the chunk's entries to dst.
func (c *codec) unpack(dst []Line, data []byte, first int64) ([]Line, error) {
	buf, ok := c.raw.Get().(*[]byte)
	if !ok {
		buf = new([]byte)
	}
	defer c.raw.Put(buf)

	raw, err := c.dec.DecodeAll(data, (*buf)[:0])
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errChunk, err)
	}

	if cap(raw) <= 4*maxChunkBytes {
		*buf = raw
	}

	return decode(dst, raw, first)
}

type source struct {
	stream    Stream
	phase     Phase
	attempt   int
	step      string
	container string
	instance  string
}

func (l *Line) source() source {
	return source{stream: l.Stream, phase: l.Phase, attempt: l.Attempt, step: l.Step, container: l.Container, instance: l.Instance}
}

func encode(lines []Line) []byte {
	size := 64

	for i := range lines {
		size += len(lines[i].Text) + 12
	}

	var (
		b       = make([]byte, 0, size)
		indexes = make([]int, len(lines))
		table   []source
	)

	for i := range lines {
		s := lines[i].source()

		if i > 0 && table[indexes[i-1]] == s { // as mostly
			indexes[i] = indexes[i-1]

			continue
		}

		if indexes[i] = slices.Index(table, s); indexes[i] < 0 {
			indexes[i] = len(table)
			table = append(table, s)
		}
	}

	last := lines[0].Time.UnixMicro()
	b = append(b, chunkVersion)
	b = binary.AppendUvarint(b, uint64(len(lines)))
	b = binary.AppendVarint(b, last)
	b = binary.AppendUvarint(b, uint64(len(table)))

	for _, s := range table {
		b = append(b, byte(max(0, slices.Index(streams, s.stream))), byte(max(0, slices.Index(phases, s.phase))))
		b = binary.AppendVarint(b, int64(s.attempt))
		b = appendString(appendString(appendString(b, s.step), s.container), s.instance)
	}

	for i := range lines {
		l := &lines[i]
		flags, text := uint64(indexes[i])<<2, l.Text

		if l.Truncated {
			flags |= 1
		}

		if l.Gap != nil {
			flags |= 2
			text = l.Gap.Reason
		}

		at := l.Time.UnixMicro()
		b = binary.AppendUvarint(b, flags)
		b = binary.AppendVarint(b, at-last)
		b = binary.AppendUvarint(b, uint64(len(text)))
		last = at

		if l.Gap != nil {
			b = binary.AppendUvarint(b, uint64(l.Gap.Lines))
		}
	}

	for i := range lines {
		if g := lines[i].Gap; g != nil {
			b = append(b, g.Reason...)
		} else {
			b = append(b, lines[i].Text...)
		}
	}

	return b
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// decode appends the entries to dst; nothing of raw is kept.
func decode(dst []Line, raw []byte, first int64) ([]Line, error) {
	d := decoder{b: raw}

	if d.byte() != chunkVersion {
		return nil, fmt.Errorf("%w: unknown version", errChunk)
	}

	n := d.count()
	last := d.varint()
	table := make([]source, d.count())

	for i := range table {
		stream, phase := int(d.byte()), int(d.byte())
		if stream >= len(streams) || phase >= len(phases) {
			return nil, errChunk
		}

		table[i] = source{
			stream: streams[stream], phase: phases[phase], attempt: int(d.varint()),
			step: d.string(), container: d.string(), instance: d.string(),
		}
	}

	all := slices.Grow(dst, n)[:len(dst)+n]
	lines := all[len(dst):]
	lengths := make([]int, n)

	for i := range lines {
		flags := d.uvarint()
		last += d.varint()
		lengths[i] = int(min(d.uvarint(), math.MaxInt32))

		k := flags >> 2
		if k >= uint64(len(table)) {
			return nil, errChunk
		}

		s := &table[k]
		lines[i] = Line{
			Seq: first + int64(i), Time: time.UnixMicro(last).UTC(), Stream: s.stream, Phase: s.phase,
			Step: s.step, Container: s.container, Instance: s.instance, Attempt: s.attempt, Truncated: flags&1 != 0,
		}

		if flags&2 != 0 {
			lines[i].Gap = &Gap{Lines: int64(d.uvarint())}
		}
	}

	if d.bad {
		return nil, errChunk
	}

	texts := string(d.b) // one string for all

	for i, length := range lengths {
		if length > len(texts) {
			return nil, errChunk
		}

		if g := lines[i].Gap; g != nil {
			g.Reason = texts[:length]
		} else {
			lines[i].Text = texts[:length]
		}

		texts = texts[length:]
	}

	if texts != "" {
		return nil, errChunk
	}

	return all, nil
}

// decoder reads the parts of a chunk; once something was bad, all is zero.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) byte() byte {
	if len(d.b) == 0 {
		d.bad = true

		return 0
	}

	v := d.b[0]
	d.b = d.b[1:]

	return v
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.bad, d.b = true, nil

		return 0
	}

	d.b = d.b[n:]

	return v
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.bad, d.b = true, nil

		return 0
	}

	d.b = d.b[n:]

	return v
}

// count is a number of things of at least one byte each.
func (d *decoder) count() int {
	n := d.uvarint()
	if n > uint64(len(d.b)) {
		d.bad, d.b = true, nil

		return 0
	}

	return int(n)
}

func (d *decoder) string() string {
	n := d.count()
	s := string(d.b[:n])
	d.b = d.b[n:]

	return s
}
