package server

import (
	"context"

	"github.com/shiplog/shiplog/internal/logs"
	"github.com/shiplog/shiplog/internal/store"
)

// stepLines lets deployments write to their logs.
type stepLines struct{ logs *logs.Logs }

// Step appends lines of the stream STEP.
func (s stepLines) Step(ctx context.Context, tx *store.Tx, deployment, step string, lines ...string) error {
	batch := logs.Batch{Lines: make([]logs.Line, len(lines))}
	now := store.Now()

	for i, text := range lines {
		batch.Lines[i] = logs.Line{Time: now, Stream: logs.Step, Phase: logs.Rollout, Step: step, Text: text}
	}

	_, err := s.logs.AppendTx(ctx, tx, deployment, batch)

	return err
}

// Close says that nothing will be appended any more.
func (s stepLines) Close(ctx context.Context, tx *store.Tx, deployment string) error {
	return s.logs.Close(ctx, tx, deployment)
}

// Compact merges small chunks.
func (s stepLines) Compact(ctx context.Context, deployment string) error {
	return s.logs.Compact(ctx, deployment)
}
