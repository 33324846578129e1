//go:build unix

package process

import (
	"bytes"
	"unicode/utf8"
)

// maxLine is the longest line that is kept; the rest of it is dropped.
const maxLine = 32 << 10

// splitter cuts a stream of bytes into lines. LF and CR LF end a line; so does
// a lone CR (a progress bar), except that it makes no empty lines.
type splitter struct {
	buf []byte
	// over: the line is longer than buf holds. discard: its beginning was
	// already given out, what follows is dropped up to the end of the line.
	over, discard bool
	// ended: the line was given out by a CR or an idle flush; an LF that
	// follows directly ends nothing.
	ended bool
}

// emitter takes a line; text is only valid during the call.
type emitter func(text []byte, truncated bool)

func (s *splitter) write(p []byte, emit emitter) {
	for len(p) > 0 {
		i := bytes.IndexAny(p, "\r\n")
		if i < 0 {
			s.take(p)

			return
		}

		s.take(p[:i])
		s.end(p[i], emit)
		p = p[i+1:]
	}
}

func (s *splitter) take(p []byte) {
	if len(p) == 0 {
		return
	}

	s.ended = false
	if s.discard {
		return
	}

	// A few bytes more than a line, so that a rune across the limit is seen
	// as a whole.
	room := maxLine + utf8.UTFMax - len(s.buf)
	if len(p) > room {
		p, s.over = p[:room], true
	}

	s.buf = append(s.buf, p...)
}

func (s *splitter) end(by byte, emit emitter) {
	switch {
	case s.discard:
		s.discard = false
		s.ended = by == '\r'
	case len(s.buf) > 0:
		s.emit(emit)
		s.ended = by == '\r'
	case by == '\r':
	case s.ended:
		s.ended = false
	default:
		emit(nil, false)
	}
}

// flush gives out what there is of a line that has not ended.
func (s *splitter) flush(emit emitter) {
	if len(s.buf) == 0 {
		return
	}

	s.discard = s.over
	s.emit(emit)
	s.ended = !s.discard
}

func (s *splitter) pending() bool { return len(s.buf) > 0 }

func (s *splitter) emit(emit emitter) {
	text, cut := clean(s.buf)
	emit(text, cut || s.over)
	s.buf, s.over = s.buf[:0], false
}

// clean makes valid UTF-8 without NUL of at most maxLine bytes: an invalid
// byte becomes U+FFFD, NUL becomes U+2400 (its picture), because databases
// refuse it in text. It reports whether it had to cut.
func clean(raw []byte) ([]byte, bool) {
	if len(raw) <= maxLine && utf8.Valid(raw) && bytes.IndexByte(raw, 0) < 0 {
		return raw, false
	}

	out := make([]byte, 0, min(len(raw), maxLine))
	for len(raw) > 0 {
		r, size := utf8.DecodeRune(raw)
		if r == 0 {
			r = '\u2400'
		}

		if len(out)+utf8.RuneLen(r) > maxLine {
			return out, true
		}

		out = utf8.AppendRune(out, r)
		raw = raw[size:]
	}

	return out, false
}
