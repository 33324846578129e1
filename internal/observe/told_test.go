package observe

import (
	"testing"
	"time"

	"github.com/shiplog/shiplog/deployer"
	"github.com/shiplog/shiplog/internal/logs"
)

// TestToldLines puts what a cluster tells between the output, by time, and
// into a stream of its own.
func TestToldLines(t *testing.T) {
	t.Parallel()

	told := func(position int64, at time.Time) deployer.Line {
		l := output(position, at)
		l.Source.Key, l.Source.Told = "events", true

		return l
	}

	a := account{deployment: "d1"}
	a.rewind(nil)

	batch := a.batch(merge(
		[]deployer.Line{told(400, noon), told(410, noon.Add(2*time.Second))},
		[]deployer.Line{output(1, noon), output(2, noon.Add(time.Second)), output(3, noon.Add(time.Hour))},
	), time.Minute, false)

	want := []struct {
		text   string
		stream logs.Stream
	}{{"400", logs.Cluster}, {"1", logs.Container}, {"2", logs.Container}, {"410", logs.Cluster}, {"3", logs.Container}}

	if len(batch.Lines) != len(want) || len(batch.Advances) != 2 || a.read["events"] != 410 {
		t.Fatalf("got %+v", batch)
	}

	for i, w := range want {
		if l := batch.Lines[i]; l.Text != w.text || l.Stream != w.stream {
			t.Errorf("line %d is %s %s, want %+v", i, l.Stream, l.Text, w)
		}
	}
}
