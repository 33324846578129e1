package logs

// Segment is a run of entries that never changes: a gap, or none, and the
// lines after it. Readers share it, so what is made of it (an encoding) can be
// kept beside it.
type Segment struct {
	// First and Last seq; those of the lines that a gap stands for included.
	First, Last int64
	// Gap before the lines, nil for none.
	Gap *Gap
	// Lines, none of them a gap; may be empty after a gap.
	Lines []Line

	size int64
}

// segmentLines is the most lines of a segment: a message of some 100 KB.
const segmentLines = 1000

// lineSize is about what a decoded line takes in memory beside its text.
const lineSize = 208

// segments divides the entries after the seq at gaps and by size.
func segments(after int64, entries []Line) []*Segment {
	var all []*Segment

	for len(entries) > 0 {
		s := &Segment{First: after + 1, size: lineSize}

		if g := entries[0].Gap; g != nil {
			s.Gap, s.Last = g, entries[0].Seq
			entries = entries[1:]
		}

		n := 0
		for n < len(entries) && n < segmentLines && entries[n].Gap == nil {
			s.size += lineSize + int64(len(entries[n].Text))
			n++
		}

		if n > 0 {
			s.Lines, s.Last = entries[:n:n], entries[n-1].Seq
		}

		all, entries, after = append(all, s), entries[n:], s.Last
	}

	return all
}

// after gives the lines of the segment after the seq, and its gap if that is
// after it too.
func (s *Segment) after(seq int64) (*Gap, []Line) {
	if seq < s.First {
		return s.Gap, s.Lines
	}

	// Lines stand at the end of the segment, their seqs without holes.
	n := max(0, int64(len(s.Lines))-(s.Last-seq))

	return nil, s.Lines[n:]
}
