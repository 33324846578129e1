package observe

import (
	"strconv"
	"testing"
	"time"

	"github.com/shiplog/shiplog/deployer"
	"github.com/shiplog/shiplog/internal/logs"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func output(position int64, at time.Time) deployer.Line {
	return deployer.Line{Source: deployer.Source{Key: "a", Deployment: "d1"}, Position: position, Time: at, Text: strconv.FormatInt(position, 10)}
}

func TestWhatIsTakenIntoTheLog(t *testing.T) {
	t.Parallel()

	finished := noon
	final := account{deployment: "d1", finishedAt: &finished}
	final.rewind(map[string]int64{"a": 4})

	batch := final.batch([]deployer.Line{
		output(5, noon.Add(-time.Second)), output(6, noon.Add(time.Minute)), output(7, noon.Add(time.Hour)),
	}, 10*time.Minute, false)
	if len(batch.Lines) != 2 || batch.Lines[0].Phase != logs.Rollout || batch.Lines[1].Phase != logs.Runtime {
		t.Fatalf("got %+v", batch.Lines)
	}

	// What was passed over is read, too.
	if len(batch.Advances) != 1 || batch.Advances[0] != (logs.Advance{Source: "a", From: 4, To: 7}) {
		t.Fatalf("got %+v", batch.Advances)
	}

	final.took(batch)

	late := output(9, noon.Add(time.Hour))
	late.Gap = 1

	if batch := final.batch([]deployer.Line{late}, 10*time.Minute, false); len(batch.Lines) != 0 || len(batch.Advances) != 0 {
		t.Fatalf("got %+v", batch)
	}

	lost := output(12, noon.Add(time.Hour))
	lost.Gap = 2

	batch = final.batch([]deployer.Line{lost}, 10*time.Minute, true)
	if len(batch.Lines) != 3 || *batch.Lines[0].Gap != (logs.Gap{Reason: logs.NotCollected, Lines: 3}) ||
		*batch.Lines[1].Gap != (logs.Gap{Reason: logs.SourceLost, Lines: 2}) || batch.Lines[2].Text != "12" {
		t.Fatalf("got %+v", batch.Lines)
	}

	if batch.Advances[0] != (logs.Advance{Source: "a", From: 7, To: 12}) {
		t.Fatalf("got %+v", batch.Advances)
	}
}

func TestSettling(t *testing.T) {
	t.Parallel()

	const quiet = 10 * time.Second

	finished := noon
	base := account{deployment: "d1", finishedAt: &finished, drained: true, marked: true, goneSince: noon, lastLine: noon}
	other, own := &Applied{Deployment: "d2"}, &Applied{Deployment: "d1"}

	tests := []struct {
		name    string
		change  func(*account)
		applied *Applied
		after   time.Duration
		want    string
	}{
		{"under way", func(a *account) { a.finishedAt, a.marked = nil, false }, own, time.Hour, ""},
		{"final, but not drained", func(a *account) { a.drained, a.marked = false, false }, own, time.Hour, ""},
		{"final and drained", func(a *account) { a.marked = false }, own, 0, "mark"},
		{"it runs on", func(*account) {}, own, time.Hour, ""},
		{"replaced, but its instances are there", func(a *account) { a.goneSince = time.Time{} }, other, time.Hour, ""},
		{"replaced, its instances have just gone", func(*account) {}, other, quiet - 1, ""},
		{"replaced, and lines still come", func(a *account) { a.lastLine = noon.Add(5 * time.Second) }, other, quiet, ""},
		{"replaced and quiet", func(*account) {}, other, quiet, "close"},
		{"an undeployment has nothing to wait for", func(a *account) { a.undeploy = true }, own, 0, "close"},
		{"closed", func(a *account) { a.closed = true }, other, time.Hour, ""},
		{"not ours", func(a *account) { a.missing = true }, other, time.Hour, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()

			a := base
			test.change(&a)

			b := book{accounts: map[string]*account{"d1": &a}, applied: test.applied}

			got := ""
			for _, s := range b.due(noon.Add(test.after), quiet) {
				got = "mark"
				if s.close {
					got = "close"
				}
			}

			if got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}
