package logs_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/shiplog/shiplog/internal/id"
	"github.com/shiplog/shiplog/internal/live"
	"github.com/shiplog/shiplog/internal/logs"
	"github.com/shiplog/shiplog/internal/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open makes the logs of the store, with a hub that listens.
func open(t testing.TB, s *store.Store, cfg logs.Config) *logs.Logs {
	t.Helper()

	cfg.Logger = slog.New(slog.DiscardHandler)
	hub := live.New(s, cfg.Logger)

	l, err := logs.New(s, hub, cfg)
	if err != nil {
		t.Fatal(err)
	}

	ctx, cancel := context.WithCancel(t.Context())

	var wg sync.WaitGroup

	wg.Go(func() { hub.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})

	return l
}

func deploymentID(t testing.TB) string {
	t.Helper()

	d, err := id.New(id.Deployment)
	if err != nil {
		t.Fatal(err)
	}

	return d
}

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// line is the nth line of an instance's output.
func line(n int64) logs.Line {
	return logs.Line{
		Time: start.Add(time.Duration(n) * time.Millisecond), Stream: logs.Container, Phase: logs.Rollout,
		Container: "main", Instance: "hello/0", Attempt: 1, Text: fmt.Sprintf("line %d", n),
	}
}

func lines(from, to int64) []logs.Line {
	var all []logs.Line
	for n := from; n <= to; n++ {
		all = append(all, line(n))
	}

	return all
}

func step(text string) logs.Batch {
	return logs.Batch{Lines: []logs.Line{{Time: start, Stream: logs.Step, Phase: logs.Rollout, Step: "apply", Text: text}}}
}

func appendLines(t testing.TB, l *logs.Logs, deployment string, from, to int64) {
	t.Helper()

	if _, err := l.Append(t.Context(), deployment, logs.Batch{Lines: lines(from, to)}); err != nil {
		t.Fatal(err)
	}
}

func inTx(t testing.TB, s *store.Store, f func(ctx context.Context, tx *store.Tx) error) {
	t.Helper()

	if err := s.WithTx(t.Context(), f); err != nil {
		t.Fatal(err)
	}
}

// all reads the whole log by pages.
func all(t testing.TB, s *store.Store, l *logs.Logs, deployment string) (lines []logs.Line, gaps []logs.Gap) {
	t.Helper()

	for after := int64(0); ; {
		page, err := l.Page(t.Context(), s.Read, deployment, logs.PageQuery{After: &after, First: 700})
		if err != nil {
			t.Fatal(err)
		}

		lines, gaps = append(lines, page.Lines...), append(gaps, page.Gaps...)

		if !page.HasNext {
			return lines, gaps
		}

		after = page.Lines[len(page.Lines)-1].Seq
	}
}
