package logs

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/shiplog/shiplog/ent/db"
	"github.com/shiplog/shiplog/ent/db/logchunk"
	"github.com/shiplog/shiplog/internal/store"
)

// entries reads what has a seq from from to to, both included and not beyond
// the head. What is not there any more becomes a gap.
func (l *Logs) entries(ctx context.Context, client *db.Client, deployment string, head *Head, from, to int64) ([]Line, error) {
	rows, err := chunks(ctx, client, deployment, from, to)
	if err != nil {
		return nil, err
	}

	// Room for what is decoded and cut off at the ends, too.
	lines := make([]Line, 0, to-from+1+maxChunkLines/8)
	next := from

	for _, row := range rows {
		if row.FirstSeq > next {
			lines = append(lines, retained(Line{Time: row.FirstTime, Phase: Rollout, Stream: Step}, next, row.FirstSeq-1))
			next = row.FirstSeq
		}

		n := len(lines)

		if lines, err = l.codec.unpack(lines, row.Data, row.FirstSeq); err != nil || int64(len(lines)-n) != row.LastSeq-row.FirstSeq+1 {
			return nil, fmt.Errorf("log of %s, seq %d to %d: %w", deployment, row.FirstSeq, row.LastSeq, cmp.Or(err, errChunk))
		}

		lines = slices.Delete(lines, n, n+int(next-row.FirstSeq))
		lines = lines[:len(lines)-int(max(0, row.LastSeq-to))]
		next = min(to, row.LastSeq) + 1
	}

	if next <= to {
		lines = append(lines, retained(Line{Phase: Rollout, Stream: Step}, next, to))
	}

	for i := range lines {
		if g := lines[i].Gap; g != nil && g.Reason == Limit {
			lines[i].Gap = &Gap{Reason: Limit, Lines: head.dropped}
		}
	}

	return lines, nil
}

// retained is the gap for entries that were removed.
func retained(like Line, first, last int64) Line {
	return Line{
		Seq: last, Time: like.Time, Stream: like.Stream, Phase: like.Phase,
		Gap: &Gap{Reason: Retention, Lines: last - first + 1},
	}
}

// chunks reads the chunks with entries from from to to. Chunks have a bounded
// length, so each of both indexes alone narrows it down to them.
func chunks(ctx context.Context, client *db.Client, deployment string, from, to int64) ([]*db.LogChunk, error) {
	rows, err := client.LogChunk.Query().
		Where(logchunk.DeploymentID(deployment),
			logchunk.LastSeqGTE(from), logchunk.LastSeqLT(to+maxChunkLines),
			logchunk.FirstSeqLTE(to), logchunk.FirstSeqGT(from-maxChunkLines)).
		Order(logchunk.ByLastSeq()).
		Select(logchunk.FieldFirstSeq, logchunk.FieldLastSeq, logchunk.FieldFirstTime, logchunk.FieldData).All(ctx)
	if err != nil {
		return nil, store.Classify(err)
	}

	return rows, nil
}
