package logs

import (
	"context"
	"fmt"

	"github.com/shiplog/shiplog/internal/store"
)

// MarkOutcome marks the newest entry as the last one up to the deployment's
// outcome: the deployment is final and everything that came before is
// appended. Marking again changes nothing.
func (l *Logs) MarkOutcome(ctx context.Context, tx *store.Tx, deployment string) error {
	return l.mark(ctx, tx, deployment, false)
}

// Close says that nothing will be appended any more. A log whose outcome was
// not marked gets it with that.
func (l *Logs) Close(ctx context.Context, tx *store.Tx, deployment string) error {
	return l.mark(ctx, tx, deployment, true)
}

func (l *Logs) mark(ctx context.Context, tx *store.Tx, deployment string, closed bool) error {
	head, err := lock(ctx, tx, deployment)
	if err != nil {
		return err
	}

	if head.Outcome != nil && (head.Closed || !closed) {
		return nil
	}

	if head.Outcome == nil {
		head.Outcome = &head.LastSeq
	}

	head.Closed = head.Closed || closed

	err = tx.LogHead.UpdateOneID(deployment).SetOutcomeSeq(*head.Outcome).SetClosed(head.Closed).Exec(ctx)
	if err != nil {
		return fmt.Errorf("mark the log of %s: %w", deployment, err)
	}

	tx.Wake(Topic(deployment))
	tx.Committed(func() { l.noteMarks(deployment, &head) })

	return nil
}
