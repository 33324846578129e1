package logs

import (
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func drawLine(t *rapid.T) Line {
	l := Line{
		Time:   time.UnixMicro(rapid.Int64Range(0, 1<<52).Draw(t, "time")).UTC(),
		Stream: rapid.SampledFrom(streams).Draw(t, "stream"), Phase: rapid.SampledFrom(phases).Draw(t, "phase"),
		Step: rapid.SampledFrom([]string{"", "apply", "rollout"}).Draw(t, "step"), Container: rapid.SampledFrom([]string{"", "main"}).Draw(t, "container"),
		Instance: rapid.StringN(0, 3, -1).Draw(t, "instance"), Attempt: rapid.IntRange(0, 3).Draw(t, "attempt"),
		Truncated: rapid.Bool().Draw(t, "truncated"),
	}

	if rapid.Bool().Draw(t, "gap") {
		l.Gap = &Gap{Reason: rapid.SampledFrom([]string{Limit, SourceLost}).Draw(t, "reason"), Lines: rapid.Int64Range(0, 1<<40).Draw(t, "lost")}
	} else {
		l.Text = rapid.String().Draw(t, "text")
	}

	return l
}

func TestChunkGivesBackWhatWasPutIn(t *testing.T) {
	t.Parallel()

	c, err := newCodec()
	if err != nil {
		t.Fatal(err)
	}

	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SliceOfN(rapid.Custom(drawLine), 1, 50).Draw(t, "lines")
		first := rapid.Int64Range(1, 1<<40).Draw(t, "first")

		got, err := c.unpack(nil, c.pack(want).data, first)
		if err != nil {
			t.Fatal(err)
		}

		for i := range want {
			want[i].Seq = first + int64(i)
		}

		if !reflect.DeepEqual(got, want) {
			t.Fatalf("got %+v\nwant %+v", got, want)
		}
	})
}

// FuzzDecode: whatever the bytes are, there is an answer or an error, and an
// answer can be put in again.
func FuzzDecode(f *testing.F) {
	f.Add(encode([]Line{{Text: "hello", Stream: Step}, {Gap: &Gap{Reason: Limit, Lines: 3}}}))
	f.Add([]byte{chunkVersion, 0, 0, 0})
	f.Fuzz(func(t *testing.T, raw []byte) {
		lines, err := decode(nil, raw, 1)
		if err != nil || len(lines) == 0 {
			return
		}

		again, err := decode(nil, encode(lines), 1)
		if err != nil || !reflect.DeepEqual(lines, again) {
			t.Fatalf("got %+v, %v\nwant %+v", again, err, lines)
		}
	})
}

func TestCleanMakesTextFit(t *testing.T) {
	t.Parallel()

	long := strings.Repeat("ä", MaxText)
	redact := func(s string) string { return strings.ReplaceAll(s, "hunter2", "***") }

	tests := []struct {
		name, text string
		want       []string
		truncated  bool
	}{
		{"plain", "hello", []string{"hello"}, false},
		{"empty", "", []string{""}, false},
		{"a newline makes two lines", "a\nb", []string{"a", "b"}, false},
		{"not UTF-8", "a\xffb", []string{"a\uFFFDb"}, false},
		{"NUL, which Postgres refuses", "a\x00b", []string{"a\uFFFDb"}, false},
		{"too long, cut between runes", "x" + long, []string{("x" + long)[:MaxText-1]}, true},
		{"a secret", "password hunter2", []string{"password ***"}, false},
		{"a secret across the cut", strings.Repeat("x", MaxText-3) + "hunter2", []string{strings.Repeat("x", MaxText-3) + "***"}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()

			got := clean([]Line{{Text: test.text}}, redact)
			if len(got) != len(test.want) {
				t.Fatalf("got %d lines", len(got))
			}

			for i, l := range got {
				if l.Text != test.want[i] || l.Truncated != test.truncated || !utf8.ValidString(l.Text) || len(l.Text) > MaxText {
					t.Errorf("got %.40q (%d bytes), truncated %v", l.Text, len(l.Text), l.Truncated)
				}
			}
		})
	}
}

func TestPackAllBoundsChunks(t *testing.T) {
	t.Parallel()

	c, err := newCodec()
	if err != nil {
		t.Fatal(err)
	}

	for name, text := range map[string]string{"empty lines": "", "long lines": strings.Repeat("x", MaxText)} {
		lines := make([]Line, 3*maxChunkLines/2)
		for i := range lines {
			lines[i].Text = text
		}

		n := 0
		for _, chunk := range c.packAll(lines) {
			n += chunk.lines
			if chunk.lines > maxChunkLines || chunk.raw > 2*maxChunkBytes {
				t.Errorf("%s: a chunk of %d lines, %d bytes", name, chunk.lines, chunk.raw)
			}
		}

		if n != len(lines) {
			t.Errorf("%s: %d of %d lines", name, n, len(lines))
		}
	}
}
