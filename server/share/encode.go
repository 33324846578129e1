package share

import (
	"strconv"
	"time"

	"github.com/shiplog/shiplog/graph/scalar"
	"github.com/shiplog/shiplog/internal/logs"
)

// lineBytes is about what a line with all its fields takes beside its text.
const lineBytes = 240

// encode writes the part as the result of the subscription.
func (p *plan) encode(cursors logs.Cursors, part *logs.Part) []byte {
	size := len(p.head) + lineBytes
	for i := range part.Lines {
		size += lineBytes + len(part.Lines[i].Text)
	}

	dst := append(make([]byte, 0, size), p.head...)

	for i := range p.fields {
		f := &p.fields[i]
		dst = append(dst, f.head...)

		switch f.what {
		case batchGap:
			dst = f.gap(dst, part.Gap)
		case batchLines:
			dst = f.lines(dst, cursors, part.Lines)
		case batchCursor:
			dst = appendCursor(dst, cursors, part.Cursor)
		case batchComplete:
			dst = strconv.AppendBool(dst, part.Complete)
		default:
			dst = append(dst, f.text...)
		}
	}

	return append(dst, "}}}"...)
}

func (f *field) gap(dst []byte, gap *logs.Gap) []byte {
	if gap == nil {
		return append(dst, "null"...)
	}

	for i := range f.inner {
		f := &f.inner[i]
		dst = append(dst, f.head...)

		switch {
		case f.what == gapReason:
			dst = appendString(dst, gap.Reason)
		case f.what == gapLines && gap.Lines > 0:
			dst = strconv.AppendInt(dst, gap.Lines, 10)
		case f.what == gapLines:
			dst = append(dst, "null"...)
		default:
			dst = append(dst, f.text...)
		}
	}

	return append(dst, '}')
}

func (f *field) lines(dst []byte, cursors logs.Cursors, lines []logs.Line) []byte {
	dst = append(dst, '[')

	for i := range lines {
		if i > 0 {
			dst = append(dst, ',')
		}

		dst = f.line(dst, cursors, &lines[i])
	}

	return append(dst, ']')
}

func (f *field) line(dst []byte, cursors logs.Cursors, l *logs.Line) []byte {
	for i := range f.inner {
		f := &f.inner[i]
		dst = append(dst, f.head...)

		switch f.what {
		case lineCursor:
			dst = appendCursor(dst, cursors, l.Seq)
		case lineTime:
			dst = appendTime(dst, l.Time)
		case lineStream:
			dst = appendString(dst, string(l.Stream))
		case linePhase:
			dst = appendString(dst, string(l.Phase))
		case lineSource:
			dst = f.source(dst, l)
		case lineText:
			dst = appendString(dst, l.Text)
		case lineTruncated:
			dst = strconv.AppendBool(dst, l.Truncated)
		case lineNode:
			dst = f.line(dst, cursors, l)
		default:
			dst = append(dst, f.text...)
		}
	}

	return append(dst, '}')
}

func (f *field) source(dst []byte, l *logs.Line) []byte {
	for i := range f.inner {
		f := &f.inner[i]
		dst = append(dst, f.head...)

		switch {
		case f.what == sourceStep:
			dst = appendText(dst, l.Step)
		case f.what == sourceContainer:
			dst = appendText(dst, l.Container)
		case f.what == sourceInstance:
			dst = appendText(dst, l.Instance)
		case f.what == sourceAttempt && l.Attempt > 0:
			dst = strconv.AppendInt(dst, int64(l.Attempt), 10)
		case f.what == sourceAttempt:
			dst = append(dst, "null"...)
		default:
			dst = append(dst, f.text...)
		}
	}

	return append(dst, '}')
}

func appendCursor(dst []byte, cursors logs.Cursors, seq int64) []byte {
	return append(cursors.Append(append(dst, '"'), seq), '"')
}

func appendTime(dst []byte, t time.Time) []byte {
	return append(t.UTC().AppendFormat(append(dst, '"'), scalar.TimeForm), '"')
}

// appendText writes a string that is null when empty.
func appendText(dst []byte, s string) []byte {
	if s == "" {
		return append(dst, "null"...)
	}

	return appendString(dst, s)
}

// appendString writes a string with the escapes that the executor uses.
func appendString(dst []byte, s string) []byte {
	const hex = "0123456789ABCDEF"

	dst = append(dst, '"')
	start := 0

	for i := range len(s) {
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' {
			continue
		}

		dst = append(dst, s[start:i]...)
		start = i + 1

		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\t':
			dst = append(dst, `\t`...)
		case '\r':
			dst = append(dst, `\r`...)
		case '\n':
			dst = append(dst, `\n`...)
		default:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}

	return append(append(dst, s[start:]...), '"')
}
