package journal

import (
	"context"
	"encoding/base64"
	"fmt"
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

// CursorWith makes the cursor of a position that has a place in another order
// beside its own.
func CursorWith(seq, beside int64) string {
	return base64.RawURLEncoding.EncodeToString([]byte(fmt.Sprintf("%s%d.%d", cursorPrefix, seq, beside)))
}

// Beside reads the other place of a cursor of CursorWith.
// Errors: INVALID_INPUT (after), also when it has none.
func Beside(cursor string) (int64, error) {
	_, beside, err := parse(cursor)
	if err == nil && beside < 0 {
		err = notACursor()
	}

	return beside, err
}

// parse reads a cursor; beside is -1 when it has no other place.
func parse(cursor string) (seq, beside int64, err error) {
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	numbers, ok := strings.CutPrefix(string(raw), cursorPrefix)

	if err != nil || !ok {
		return 0, 0, notACursor()
	}

	first, second, two := strings.Cut(numbers, ".")

	seq, err = strconv.ParseInt(first, 10, 64)
	if err != nil || seq < 0 {
		return 0, 0, notACursor()
	}

	if !two {
		return seq, -1, nil
	}

	beside, err = strconv.ParseInt(second, 10, 64)
	if err != nil || beside < 0 {
		return 0, 0, notACursor()
	}

	return seq, beside, nil
}

func notACursor() error {
	return fault.Invalid("after", "want the position of a list or the cursor of a stream")
}

// After reads where a stream is to go on: after the cursor, or from now.
// Errors: INVALID_INPUT (after); STALE when the journal is not that long.
func After(ctx context.Context, client *db.Client, cursor *string) (int64, error) {
	now, err := Position(ctx, client)
	if err != nil || cursor == nil {
		return now, err
	}

	seq, _, err := parse(*cursor)
	if err != nil {
		return 0, err
	}

	if seq > now {
		return 0, fault.New(fault.Stale, "this cursor is from another journal: begin again").At("after")
	}

	return seq, nil
}
