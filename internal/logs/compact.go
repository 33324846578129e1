package logs

import (
	"context"
	"fmt"

	"github.com/shiplog/shiplog/ent/db"
	"github.com/shiplog/shiplog/ent/db/logchunk"
	"github.com/shiplog/shiplog/internal/store"
)

const (
	// smallRaw is the size below which a chunk is merged.
	smallRaw = maxChunkBytes / 2
	// compactChunks bounds the chunks of one transaction, during which
	// nothing can be appended.
	compactChunks = 256
)

// Compact merges small chunks that stand side by side, in short transactions.
// Readers see the old chunks or the new ones, the entries stay the same.
func (l *Logs) Compact(ctx context.Context, deployment string) error {
	for after := int64(0); ; {
		var (
			next int64
			more bool
		)

		err := l.store.WithTx(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
			if _, err := lock(ctx, tx, deployment); err != nil {
				return err
			}

			next, more, err = l.compact(ctx, tx, deployment, after)

			return err
		})
		if err != nil || !more {
			return err
		}

		after = next
	}
}

// compact merges among the next chunks and says where to go on.
func (l *Logs) compact(ctx context.Context, tx *store.Tx, deployment string, after int64) (last int64, more bool, err error) {
	rows, err := tx.LogChunk.Query().Where(logchunk.DeploymentID(deployment), logchunk.FirstSeqGT(after)).
		Order(logchunk.ByFirstSeq()).Limit(compactChunks).
		Select(logchunk.FieldID, logchunk.FieldFirstSeq, logchunk.FieldLastSeq, logchunk.FieldRawBytes).All(ctx)
	if err != nil || len(rows) == 0 {
		return after, false, err
	}

	more = len(rows) == compactChunks

	runs := mergeable(rows)
	for i, run := range runs {
		if more && i == len(runs)-1 && i > 0 {
			// The last run may go on among the next chunks.
			return run[0].FirstSeq - 1, true, nil
		}

		if err := l.merge(ctx, tx, deployment, run); err != nil {
			return after, false, err
		}
	}

	return rows[len(rows)-1].FirstSeq, more, nil
}

// mergeable divides the chunks into runs that become one each. It is pure.
func mergeable(rows []*db.LogChunk) (runs [][]*db.LogChunk) {
	var (
		raw   int
		lines int64
	)

	for i, row := range rows {
		n := row.LastSeq - row.FirstSeq + 1
		fits := i > 0 && rows[i-1].LastSeq+1 == row.FirstSeq && raw < smallRaw && row.RawBytes < smallRaw && lines+n <= maxChunkLines

		if !fits {
			runs, raw, lines = append(runs, nil), 0, 0
		}

		runs[len(runs)-1] = append(runs[len(runs)-1], row)
		raw += row.RawBytes
		lines += n
	}

	return runs
}

func (l *Logs) merge(ctx context.Context, tx *store.Tx, deployment string, run []*db.LogChunk) error {
	if len(run) < 2 {
		return nil
	}

	ids := make([]int, len(run))
	for i, row := range run {
		ids[i] = row.ID
	}

	rows, err := tx.LogChunk.Query().Where(logchunk.IDIn(ids...)).Order(logchunk.ByFirstSeq()).All(ctx)
	if err != nil {
		return fmt.Errorf("compact the log of %s: %w", deployment, err)
	}

	var lines []Line

	for _, row := range rows {
		if lines, err = l.codec.unpack(lines, row.Data, row.FirstSeq); err != nil {
			return fmt.Errorf("compact the log of %s: %w", deployment, err)
		}
	}

	if _, err := tx.LogChunk.Delete().Where(logchunk.IDIn(ids...)).Exec(ctx); err != nil {
		return fmt.Errorf("compact the log of %s: %w", deployment, err)
	}

	return insert(ctx, tx, deployment, run[0].FirstSeq-1, []chunk{l.codec.pack(lines)})
}
