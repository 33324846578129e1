package logs_test

import (
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/shiplog/shiplog/internal/fault"
	"github.com/shiplog/shiplog/internal/logs"
)

func TestCursor(t *testing.T) {
	t.Parallel()

	rapid.Check(t, func(t *rapid.T) {
		seq := rapid.Int64Range(0, 1<<62).Draw(t, "seq")

		got, err := logs.DecodeCursor("after", logs.EncodeCursor("deployment_a", seq), "deployment_a")
		if got != seq || err != nil {
			t.Fatalf("got %d, %v; want %d", got, err, seq)
		}

		_, err = logs.DecodeCursor("after", logs.EncodeCursor("deployment_a", seq), "deployment_b")
		if !fault.Is(err, fault.Stale) {
			t.Fatalf("got %v for a foreign cursor", err)
		}

		garbage := rapid.String().Draw(t, "garbage")
		if _, err := logs.DecodeCursor("after", garbage, "deployment_a"); err == nil {
			t.Fatalf("%q was taken", garbage)
		}
	})

	good := logs.EncodeCursor("deployment_a", 7)
	for _, bad := range []string{"", "x", "!", good + "A", good[:len(good)-2], strings.ToUpper(good), "Ag" + good[2:]} {
		_, err := logs.DecodeCursor("after", bad, "deployment_a")

		var e *fault.Error
		if !errors.As(err, &e) || e.Code != fault.InvalidInput && e.Code != fault.Stale || e.Field != "after" {
			t.Errorf("%q: got %v", bad, err)
		}
	}
}
