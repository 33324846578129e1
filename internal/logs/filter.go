package logs

import (
	"slices"
	"strings"
)

// Filter selects lines; what is given must all hold. Gaps always pass.
type Filter struct {
	// Streams: any of these; all when empty.
	Streams   []Stream
	Phase     Phase
	Container string
	Instance  string
	Contains  string
}

// Empty reports whether everything passes.
func (f *Filter) Empty() bool {
	return len(f.Streams) == 0 && f.Phase == "" && f.Container == "" && f.Instance == "" && f.Contains == ""
}

func (f *Filter) matches(l *Line) bool {
	return (len(f.Streams) == 0 || slices.Contains(f.Streams, l.Stream)) &&
		(f.Phase == "" || f.Phase == l.Phase) &&
		(f.Container == "" || f.Container == l.Container) &&
		(f.Instance == "" || f.Instance == l.Instance) &&
		(f.Contains == "" || strings.Contains(l.Text, f.Contains))
}

// apply gives the lines that pass, without copying when all do.
func (f *Filter) apply(lines []Line) []Line {
	if f.Empty() {
		return lines
	}

	var out []Line

	for i := range lines {
		if lines[i].Gap != nil || f.matches(&lines[i]) {
			out = append(out, lines[i])
		}
	}

	return out
}
