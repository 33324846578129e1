package logs

import (
	"strings"
	"time"
	"unicode/utf8"
)

// Stream is where a line comes from.
type Stream string

// The streams.
const (
	// Step: what Shiplog itself does.
	Step Stream = "STEP"
	// Container: the output of a container or process.
	Container Stream = "CONTAINER"
	// Cluster: events of the cluster.
	Cluster Stream = "CLUSTER"
)

// Phase is when a line was written.
type Phase string

// The phases.
const (
	// Rollout: while the deployment was under way.
	Rollout Phase = "ROLLOUT"
	// Runtime: after it.
	Runtime Phase = "RUNTIME"
)

// Reasons of gaps.
const (
	// Limit: the log has reached its size.
	Limit = "LIMIT"
	// SourceLost: the source did not keep it long enough.
	SourceLost = "SOURCE_LOST"
	// Retention: it was removed because of its age.
	Retention = "RETENTION"
	// NotCollected: nobody wanted it at the time.
	NotCollected = "NOT_COLLECTED"
)

// Gap says that lines are missing.
type Gap struct {
	Reason string
	// Lines that are missing, 0 when nobody knows.
	Lines int64
}

// Line is an entry of a log: a line, or a gap when Gap is set.
type Line struct {
	// Seq is its place in the log, from 1; appending sets it.
	Seq int64
	// Time in UTC, microseconds.
	Time   time.Time
	Stream Stream
	Phase  Phase
	// Step for STEP; Container, Instance and Attempt (from 1) for CONTAINER.
	Step      string
	Container string
	Instance  string
	Attempt   int
	// Text is valid UTF-8 without newline and NUL, at most MaxText bytes.
	Text string
	// Truncated says that the text was cut.
	Truncated bool
	Gap       *Gap
}

// MaxText is the most bytes of a line's text.
const MaxText = 32 << 10

// cost is what a line counts against a log's limit.
func (l *Line) cost() int64 { return int64(len(l.Text)) + 1 }

// clean makes lines fit for the store: redacted, valid, without newlines
// (each makes a line of its own), at most MaxText bytes. The result is new.
func clean(lines []Line, redact func(string) string) []Line {
	out := make([]Line, 0, len(lines))

	for _, line := range lines {
		line.Time = line.Time.UTC().Truncate(time.Microsecond)
		line.Step, line.Container, line.Instance = valid(line.Step), valid(line.Container), valid(line.Instance)

		if line.Gap != nil {
			line.Text, line.Gap = "", &Gap{Reason: valid(line.Gap.Reason), Lines: max(0, line.Gap.Lines)}
			out = append(out, line)

			continue
		}

		if redact != nil {
			line.Text = redact(line.Text)
		}

		for rest, more := line.Text, true; more; {
			var text string

			text, rest, more = strings.Cut(rest, "\n")
			one := line
			one.Text, one.Truncated = cut(valid(text), line.Truncated && !more)
			out = append(out, one)
		}
	}

	return out
}

func valid(text string) string {
	if !utf8.ValidString(text) {
		text = strings.ToValidUTF8(text, "\uFFFD")
	}

	if strings.IndexByte(text, 0) >= 0 {
		text = strings.ReplaceAll(text, "\x00", "\uFFFD")
	}

	return text
}

func cut(text string, truncated bool) (string, bool) {
	if len(text) <= MaxText {
		return text, truncated
	}

	end := MaxText
	for !utf8.RuneStart(text[end]) {
		end--
	}

	return text[:end], true
}
