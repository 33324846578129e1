package store

import (
	"context"
	"time"
)

// ListenPinging is Listen with other times.
func (s *Store) ListenPinging(ctx context.Context, every, timeout time.Duration) error {
	return s.listen(ctx, every, timeout)
}
