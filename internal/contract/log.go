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
	Lines      []logs.Line
	Cursors    logs.Cursors
	PageInfo   *page.Info
	Position   string
	TotalCount int
	Gaps       []*LogGap
}

// NewLogLineConnection makes the page that the contract shows.
func NewLogLineConnection(cursors logs.Cursors, p *logs.Page) *LogLineConnection {
	c := &LogLineConnection{
		Lines: p.Lines, Cursors: cursors, Gaps: make([]*LogGap, len(p.Gaps)),
		Position: cursors.Encode(p.LastSeq), TotalCount: int(p.LastSeq),
		PageInfo: &page.Info{HasNextPage: p.HasNext, HasPreviousPage: p.HasPrevious},
	}

	for i := range p.Gaps {
		c.Gaps[i] = NewLogGap(&p.Gaps[i])
	}

	if n := len(p.Lines); n > 0 {
		first, last := cursors.Encode(p.Lines[0].Seq), cursors.Encode(p.Lines[n-1].Seq)
		c.PageInfo.StartCursor, c.PageInfo.EndCursor = &first, &last
	}

	return c
}

// Nodes are the lines.
func (c *LogLineConnection) Nodes() []*LogLine {
	nodes := make([]*LogLine, len(c.Lines))
	for i := range c.Lines {
		nodes[i] = NewLogLine(c.Cursors, &c.Lines[i])
	}

	return nodes
}

// Edges are the lines with their cursors.
func (c *LogLineConnection) Edges() []*LogLineEdge {
	edges := make([]*LogLineEdge, len(c.Lines))
	for i, node := range c.Nodes() {
		edges[i] = &LogLineEdge{Cursor: node.Cursor, Node: node}
	}

	return edges
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
