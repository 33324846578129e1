package journal

import (
	"context"
	"encoding/base64"
	"strconv"
	"strings"

	"github.com/shiplog/shiplog/ent/db"
	"github.com/shiplog/shiplog/internal/fault"
)

// cursorPrefix is the version of a position's form.
const cursorPrefix = "j1."

// Cursor makes the cursor of a position.
func Cursor(seq int64) string {
	return base64.RawURLEncoding.EncodeToString([]byte(cursorPrefix + strconv.FormatInt(seq, 10)))
}

// After reads where a stream is to go on: after the cursor, or from now.
// Errors: INVALID_INPUT (after); STALE when the journal is not that long.
func After(ctx context.Context, client *db.Client, cursor *string) (int64, error) {
	now, err := Position(ctx, client)
	if err != nil || cursor == nil {
		return now, err
	}

	raw, err := base64.RawURLEncoding.DecodeString(*cursor)

	number, ok := strings.CutPrefix(string(raw), cursorPrefix)
	if err != nil || !ok {
		return 0, fault.Invalid("after", "want the position of a list or the cursor of a stream")
	}

	seq, err := strconv.ParseInt(number, 10, 64)
	if err != nil || seq < 0 {
		return 0, fault.Invalid("after", "want the position of a list or the cursor of a stream")
	}

	if seq > now {
		return 0, fault.New(fault.Stale, "this cursor is from another journal: begin again").At("after")
	}

	return seq, nil
}
