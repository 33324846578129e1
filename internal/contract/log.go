package contract

import (
	"time"

	"github.com/shiplog/shiplog/internal/logs"
	"github.com/shiplog/shiplog/internal/page"
)

// LogUntil is until when a log is followed.
type LogUntil string

// The ends of a followed log.
const (
	UntilOutcome  LogUntil = "OUTCOME"
	UntilReplaced LogUntil = "REPLACED"
)

// LogLine is a line of a deployment's log.
type LogLine struct {
	Cursor    string
	Time      time.Time
	Stream    logs.Stream
	Phase     logs.Phase
	Source    LogSource
	Text      string
	Truncated bool
}

// LogSource is where a line comes from exactly.
type LogSource struct {
	Step      *string
	Container *string
	Instance  *string
	Attempt   *int
}

// LogGap is the mark where lines are missing.
type LogGap struct {
	Reason string
	Lines  *int64
}

// LogBatch is a part of a log.
type LogBatch struct {
	Gap      *LogGap
	Lines    []*LogLine
	Cursor   string
	Complete bool
}

// LogLineEdge is a line of a page of a log.
type LogLineEdge struct {
	Cursor string
	Node   *LogLine
}

// LogLineConnection is a page of a log.
type LogLineConnection struct {
	Edges      []*LogLineEdge
	Nodes      []*LogLine
	PageInfo   *page.Info
	Position   string
	TotalCount int
	Gaps       []*LogGap
}

// NewLogLine makes the line that the contract shows.
func NewLogLine(cursors logs.Cursors, l *logs.Line) *LogLine {
	out := &LogLine{
		Cursor: cursors.Encode(l.Seq), Time: l.Time, Stream: l.Stream, Phase: l.Phase, Text: l.Text, Truncated: l.Truncated,
		Source: LogSource{Step: text(l.Step), Container: text(l.Container), Instance: text(l.Instance)},
	}
	if l.Attempt > 0 {
		out.Source.Attempt = &l.Attempt
	}

	return out
}

// NewLogGap makes the gap that the contract shows; nil for none.
func NewLogGap(g *logs.Gap) *LogGap {
	if g == nil {
		return nil
	}

	gap := &LogGap{Reason: g.Reason}
	if g.Lines > 0 {
		gap.Lines = &g.Lines
	}

	return gap
}

// NewLogBatch makes the batch that the contract shows.
func NewLogBatch(cursors logs.Cursors, part *logs.Part) *LogBatch {
	batch := &LogBatch{
		Gap: NewLogGap(part.Gap), Lines: make([]*LogLine, len(part.Lines)), Cursor: cursors.Encode(part.Cursor), Complete: part.Complete,
	}

	for i := range part.Lines {
		batch.Lines[i] = NewLogLine(cursors, &part.Lines[i])
	}

	return batch
}

func text(s string) *string {
	if s == "" {
		return nil
	}

	return &s
}
