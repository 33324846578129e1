package logs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"

	"github.com/shiplog/shiplog/internal/store"
)

// Batch is what is appended at once.
type Batch struct {
	// Lines in their order; gaps among them count as lines.
	Lines []Line
	// Advances of the sources that the lines were read from.
	Advances []Advance
}

// Advance moves the position of a source on.
type Advance struct {
	// Source is its key, never empty.
	Source string
	// From is the position up to which the caller believes that the source
	// was taken, To the one up to which it is with this batch.
	From, To int64
}

// PositionError says that a source was taken up to another position than the
// caller believed: by an earlier try of the same, or by somebody else. Nothing
// was appended; read again from where it really stands.
type PositionError struct {
	Deployment string
	// Positions of all sources of the log.
	Positions map[string]int64
}

// Error names the log.
func (e *PositionError) Error() string {
	return fmt.Sprintf("sources of the log of %s were taken up to other positions", e.Deployment)
}

// ErrClosed says that nothing may be appended to the log any more.
var ErrClosed = errors.New("the log is closed")

// Append appends the batch in a transaction of its own and gives the seq of
// its last entry. Errors: *PositionError, ErrClosed, those of store.WithTx.
// When the outcome of the commit is not known, the positions tell it to
// whoever tries again.
func (l *Logs) Append(ctx context.Context, deployment string, batch Batch) (last int64, err error) {
	p := l.prepare(batch)
	err = l.store.WithTx(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		last, err = l.appendOne(ctx, tx, deployment, p)

		return err
	})

	return last, err
}

// AppendTx appends the batch in the caller's transaction: the lines and what
// they speak of are committed together.
func (l *Logs) AppendTx(ctx context.Context, tx *store.Tx, deployment string, batch Batch) (last int64, err error) {
	return l.appendOne(ctx, tx, deployment, l.prepare(batch))
}

func (l *Logs) appendOne(ctx context.Context, tx *store.Tx, deployment string, p *prepared) (int64, error) {
	head, err := lock(ctx, tx, deployment)
	if err != nil {
		return 0, err
	}

	plan := l.plan(head, deployment, []*prepared{p})
	if plan.errs[0] != nil {
		return 0, plan.errs[0]
	}

	return plan.head.LastSeq, l.write(ctx, tx, deployment, plan)
}

// prepared is a batch that is fit for the store.
type prepared struct {
	lines    []Line
	advances []Advance
	size     int64
	// chunks of the lines, when making them ahead is worth it.
	chunks []chunk
}

// packAhead is the size from which a batch is compressed before the head is
// locked; smaller ones may be gathered into one chunk.
const packAhead = 24 << 10

func (l *Logs) prepare(batch Batch) *prepared {
	p := &prepared{lines: clean(batch.Lines, l.cfg.Redact), advances: batch.Advances}
	for i := range p.lines {
		p.size += p.lines[i].cost()
	}

	if p.size >= packAhead {
		p.chunks = l.codec.packAll(p.lines)
	}

	return p
}

// plan is what appending batches does to a log.
type plan struct {
	before, head Head
	// lines with their seqs, and their chunks in order.
	lines  []Line
	chunks []chunk
	// errs says which batches are not part of it.
	errs []error
}

// plan decides which batches fit to the head and what is written. It is pure.
func (l *Logs) plan(before Head, deployment string, batches []*prepared) plan {
	p := plan{before: before, head: before.clone(), errs: make([]error, len(batches))}

	var chunks []chunk

	whole := 0

	for i, b := range batches {
		if p.errs[i] = p.head.advance(deployment, b.advances); p.errs[i] != nil {
			continue
		}

		n := len(p.lines)
		if p.take(b.lines, l.cfg.Limit) && n == 0 {
			chunks = b.chunks
		}

		if len(p.lines) > n {
			whole++
		}
	}

	for i := range p.lines {
		p.lines[i].Seq = before.LastSeq + 1 + int64(i)
	}

	p.head.LastSeq = before.LastSeq + int64(len(p.lines))

	if whole != 1 || chunks == nil {
		chunks = l.codec.packAll(p.lines)
	}

	p.chunks = chunks

	return p
}

func (h *Head) advance(deployment string, advances []Advance) error {
	if h.Closed {
		return ErrClosed
	}

	for _, a := range advances {
		if h.Sources[a.Source] != a.From {
			return &PositionError{Deployment: deployment, Positions: maps.Clone(h.Sources)}
		}
	}

	for _, a := range advances {
		h.Sources[a.Source] = max(a.From, a.To)
	}

	return nil
}

// take takes the lines as far as the limit lets it; whether it was all.
func (p *plan) take(lines []Line, limit int64) (all bool) {
	all = true

	for _, line := range lines {
		bound := limit
		if line.Stream == Step {
			bound += stepReserve
		}

		if cost := line.cost(); p.head.bytes+cost <= bound && (!p.head.full || line.Stream == Step) {
			p.head.bytes += cost
			p.lines = append(p.lines, line)

			continue
		}

		all = false
		p.head.dropped++

		if !p.head.full {
			p.head.full = true
			line.Text, line.Truncated, line.Gap = "", false, &Gap{Reason: Limit}
			p.lines = append(p.lines, line)
		}
	}

	return all
}

// changed reports whether there is anything to write.
func (p *plan) changed() bool {
	return len(p.lines) > 0 || p.head.dropped != p.before.dropped || !maps.Equal(p.head.Sources, p.before.Sources)
}

// write writes the plan; the head is locked.
func (l *Logs) write(ctx context.Context, tx *store.Tx, deployment string, p plan) error {
	if !p.changed() {
		return nil
	}

	err := tx.LogHead.UpdateOneID(deployment).SetLastSeq(p.head.LastSeq).SetBytes(p.head.bytes).SetSources(p.head.stored()).Exec(ctx)
	if err != nil {
		return fmt.Errorf("append to the log of %s: %w", deployment, err)
	}

	if err := insert(ctx, tx, deployment, p.before.LastSeq, p.chunks); err != nil {
		return err
	}

	l.announce(tx, deployment, p)

	return nil
}

// insert writes the chunks after the seq.
func insert(ctx context.Context, tx *store.Tx, deployment string, after int64, chunks []chunk) error {
	for _, c := range chunks {
		first := after + 1
		after += int64(c.lines)

		err := tx.LogChunk.Create().SetDeploymentID(deployment).SetFirstSeq(first).SetLastSeq(after).
			SetFirstTime(c.first).SetLastTime(c.last).SetRawBytes(c.raw).SetData(c.data).Exec(ctx)
		if err != nil {
			return fmt.Errorf("append to the log of %s: %w", deployment, err)
		}
	}

	return nil
}

// announce tells followers, here and elsewhere, with the commit.
func (l *Logs) announce(tx *store.Tx, deployment string, p plan) {
	if len(p.lines) == 0 {
		return
	}

	tx.Wake(Topic(deployment))
	tx.Committed(func() { l.offer(deployment, p.before.LastSeq, p.lines) })
}

// overtake writes the plan on Postgres in one statement, provided that the
// head still is as it was before; false when it is not.
func (l *Logs) overtake(ctx context.Context, tx *store.Tx, deployment string, p plan) (bool, error) {
	before, err := json.Marshal(p.before.stored())
	if err != nil {
		return false, fmt.Errorf("sources of the log of %s: %w", deployment, err)
	}

	after, err := json.Marshal(p.head.stored())
	if err != nil {
		return false, fmt.Errorf("sources of the log of %s: %w", deployment, err)
	}

	c := p.chunks[0]

	// The head's row is updated first, which locks it; the chunk follows only
	// if that was done.
	result, err := tx.Raw().ExecContext(ctx, `WITH head AS (
	UPDATE log_heads SET last_seq = $2, bytes = $3, sources = $4
	WHERE id = $1 AND last_seq = $5 AND bytes = $6 AND sources = $7::jsonb AND NOT closed RETURNING id)
INSERT INTO log_chunks (deployment_id, first_seq, last_seq, first_time, last_time, raw_bytes, data)
SELECT head.id, $8::bigint, $2::bigint, $9::timestamptz, $10::timestamptz, $11::bigint, $12::bytea FROM head`,
		deployment, p.head.LastSeq, p.head.bytes, string(after), p.before.LastSeq, p.before.bytes, string(before),
		p.before.LastSeq+1, c.first, c.last, c.raw, c.data)
	if err != nil {
		return false, fmt.Errorf("append to the log of %s: %w", deployment, err)
	}

	n, err := result.RowsAffected()
	if err != nil || n == 0 {
		return false, err
	}

	l.announce(tx, deployment, p)

	return true, nil
}
