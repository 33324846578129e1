package transport

import (
	"context"
	"encoding/binary"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Bounds of one gathered write and of what the reader may add to a full
// outbox.
const (
	maxGather      = 128
	maxGatherBytes = 256 << 10
	reserve        = 64 << 10
	frameOverhead  = 64
	// coalesce is how much is copied into one write on connections that
	// cannot gather, such as TLS.
	coalesce = 64 << 10
)

// WebSocket opcodes, with the bit that says the frame is the whole message.
const (
	frameText  = 0x80 | 0x1
	frameClose = 0x80 | 0x8
	framePing  = 0x80 | 0x9
	framePong  = 0x80 | 0xA
)

// frame is one outgoing WebSocket frame: head and body are written one after
// the other, then tail. The body may be shared with other connections.
type frame struct {
	opcode byte
	head   []byte
	body   []byte
	tail   string
	// gone, when set, says that the frame's operation was cancelled by the
	// client, and that the frame is to be left out.
	gone *atomic.Bool
}

func (f *frame) size() int { return len(f.head) + len(f.body) + len(f.tail) }

// outbox holds the frames that wait for the writer. Its bound is in bytes; a
// frame may pass it, so any frame fits.
type outbox struct {
	most int

	mu     sync.Mutex
	frames []frame
	bytes  int
	// room is closed when the writer has taken frames and somebody waits.
	room chan struct{}
	// wake holds one token when there are frames.
	wake chan struct{}
}

func newOutbox(most int) *outbox {
	return &outbox{most: most, wake: make(chan struct{}, 1)}
}

// wait waits until there is room.
func (o *outbox) wait(ctx context.Context) error {
	for {
		o.mu.Lock()
		room := o.roomLocked(o.most)
		o.mu.Unlock()

		if room == nil {
			return ctx.Err() //nolint:wrapcheck // internal signal
		}

		select {
		case <-room:
		case <-ctx.Done():
			return ctx.Err() //nolint:wrapcheck // internal signal
		}
	}
}

// roomLocked gives nil when fewer than most bytes wait, else what is closed
// when that may have changed.
func (o *outbox) roomLocked(most int) <-chan struct{} {
	if o.bytes < most {
		return nil
	}

	if o.room == nil {
		o.room = make(chan struct{})
	}

	return o.room
}

// put waits for room and adds the frames. before, when given, is called with
// the outbox locked and may refuse them.
func (o *outbox) put(ctx context.Context, most int, before func() bool, frames ...frame) error {
	for {
		o.mu.Lock()

		if room := o.roomLocked(most); room != nil {
			o.mu.Unlock()

			select {
			case <-room:
				continue
			case <-ctx.Done():
				return ctx.Err() //nolint:wrapcheck // internal signal
			}
		}

		if before == nil || before() {
			for i := range frames {
				o.bytes += frames[i].size() + frameOverhead
			}

			o.frames = append(o.frames, frames...)
		}
		o.mu.Unlock()

		select {
		case o.wake <- struct{}{}:
		default:
		}

		return nil
	}
}

// take moves what one write may hold into batch and reports whether more is
// left.
func (o *outbox) take(batch []frame) (taken []frame, more bool) {
	o.mu.Lock()
	defer o.mu.Unlock()

	n, bytes := 0, 0
	for n < len(o.frames) && n < maxGather && bytes < maxGatherBytes {
		f := &o.frames[n]
		n++

		o.bytes -= f.size() + frameOverhead

		if f.gone == nil || !f.gone.Load() {
			bytes += f.size()
			batch = append(batch, *f)
		}
	}

	rest := copy(o.frames, o.frames[n:])
	clear(o.frames[rest:])
	o.frames = o.frames[:rest]

	if o.room != nil && o.bytes < o.most+reserve {
		close(o.room)
		o.room = nil
	}

	return batch, rest > 0
}

// frameWriter writes frames to a connection, many with one system call.
type frameWriter struct {
	conn    net.Conn
	timeout time.Duration
	gathers bool
	heads   []byte
	buffers net.Buffers
	flat    []byte
}

func newFrameWriter(conn net.Conn, timeout time.Duration) *frameWriter {
	_, gathers := conn.(*net.TCPConn)

	return &frameWriter{conn: conn, timeout: timeout, gathers: gathers}
}

// write writes the frames within the timeout.
func (w *frameWriter) write(frames []frame) error {
	if len(frames) == 0 {
		return nil
	}

	if err := w.conn.SetWriteDeadline(time.Now().Add(w.timeout)); err != nil {
		return err //nolint:wrapcheck // ends the connection, nobody reads it
	}

	if !w.gathers {
		return w.writeFlat(frames)
	}

	return w.writeGathered(frames)
}

// writeGathered copies headers and hands bodies over as they are. The tail of
// a frame and the head of the next are one piece.
func (w *frameWriter) writeGathered(frames []frame) error {
	const maxHeader = 10

	need := 0
	for i := range frames {
		need += maxHeader + len(frames[i].head) + len(frames[i].tail)
	}

	if cap(w.heads) < need {
		w.heads = make([]byte, 0, need)
	}

	heads, start := w.heads[:0], 0
	buffers := w.buffers[:0]

	for i := range frames {
		f := &frames[i]
		heads = appendHeader(heads, f.opcode, f.size())
		heads = append(heads, f.head...)

		if len(f.body) > 0 {
			buffers = append(buffers, heads[start:len(heads):len(heads)], f.body)
			start = len(heads)
		}

		heads = append(heads, f.tail...)
	}

	if start < len(heads) {
		buffers = append(buffers, heads[start:])
	}

	w.buffers = buffers // WriteTo consumes its receiver: keep the whole.
	_, err := buffers.WriteTo(w.conn)

	clear(w.buffers)

	return err //nolint:wrapcheck // ends the connection, nobody reads it
}

func (w *frameWriter) writeFlat(frames []frame) error {
	flat := w.flat[:0]

	for i := range frames {
		f := &frames[i]
		flat = appendHeader(flat, f.opcode, f.size())
		flat = append(append(append(flat, f.head...), f.body...), f.tail...)

		if len(flat) >= coalesce || i == len(frames)-1 {
			if _, err := w.conn.Write(flat); err != nil {
				return err //nolint:wrapcheck // ends the connection, nobody reads it
			}

			flat = flat[:0]
		}
	}

	if cap(flat) <= 2*coalesce {
		w.flat = flat
	}

	return nil
}

// appendHeader appends the header of an unmasked frame (RFC 6455, 5.2).
func appendHeader(dst []byte, opcode byte, size int) []byte {
	const (
		inByte, inTwo = 125, 1<<16 - 1
		two, eight    = 126, 127
	)

	switch {
	case size <= inByte:
		return append(dst, opcode, byte(size)) //nolint:gosec // at most inByte
	case size <= inTwo:
		return binary.BigEndian.AppendUint16(append(dst, opcode, two), uint16(size))
	default:
		return binary.BigEndian.AppendUint64(append(dst, opcode, eight), uint64(size))
	}
}
