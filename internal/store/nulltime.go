package store

import (
	"fmt"
	"time"
)

// NullTime scans a moment that may be null out of hand-written SQL: SQLite
// gives text where an expression has no declared type.
type NullTime struct{ Time *time.Time }

// Scan implements sql.Scanner.
func (n *NullTime) Scan(src any) error {
	switch v := src.(type) {
	case nil:
		n.Time = nil
	case time.Time:
		n.Time = new(v.UTC())
	case string:
		t, err := time.Parse("2006-01-02 15:04:05.999999999-07:00", v)
		if err != nil {
			return fmt.Errorf("read time: %w", err)
		}

		n.Time = new(t.UTC())
	default:
		return fmt.Errorf("read time: a %T", src)
	}

	return nil
}
