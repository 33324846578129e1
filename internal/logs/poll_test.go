package logs

import (
	"log/slog"
	"testing"
	"time"

	"github.com/shiplog/shiplog/internal/id"
	"github.com/shiplog/shiplog/internal/live"
	"github.com/shiplog/shiplog/internal/store/storetest"
)

// A reader that makes do with another's look asks again when that one is as
// old as Poll: else a lost wake could cost it half as much again.
func TestALookOfAnotherReaderIsNoYoungerForThisOne(t *testing.T) {
	t.Parallel()

	const poll = time.Hour

	s := storetest.Open(t, "sqlite")

	l, err := New(s, live.New(s, slog.New(slog.DiscardHandler)), Config{Poll: poll})
	if err != nil {
		t.Fatal(err)
	}

	deployment, err := id.New(id.Deployment)
	if err != nil {
		t.Fatal(err)
	}

	one, err := l.Follow(t.Context(), deployment, 0, Options{Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	defer one.Close()

	if want := one.tail.lookedAt.Add(poll); !one.lookAt().Equal(want) {
		t.Errorf("its first look is at %v, not %v", one.lookAt(), want)
	}

	// Its time has come, a little after another one has looked.
	one.lookedAt = time.Now().Add(-poll)

	other, err := l.Follow(t.Context(), deployment, 0, Options{Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()

	looked := one.tail.lookedAt
	if err := one.wait(t.Context()); err != nil {
		t.Fatal(err)
	}

	if !one.tail.lookedAt.Equal(looked) {
		t.Error("it looked by itself")
	}

	if want := looked.Add(poll); !one.lookAt().Equal(want) {
		t.Errorf("it looks again at %v, not %v", one.lookAt(), want)
	}
}
