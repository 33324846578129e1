//go:build unix

package process

import (
	"context"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/shiplog/shiplog/deployer"
	"github.com/shiplog/shiplog/internal/spec"
)

func TestSplitter(t *testing.T) {
	t.Parallel()

	for name, c := range map[string]struct {
		in   []string
		want []string
		cut  bool
	}{
		"lines":                     {in: []string{"a\nb\n"}, want: []string{"a", "b"}},
		"empty lines":               {in: []string{"\n\na\n\n"}, want: []string{"", "", "a", ""}},
		"no newline at the end":     {in: []string{"a\nb"}, want: []string{"a", "b"}},
		"pieces":                    {in: []string{"a", "b", "c\nd", "\n"}, want: []string{"abc", "d"}},
		"CR LF":                     {in: []string{"a\r\n\r\nb\r\n"}, want: []string{"a", "", "b"}},
		"CR LF in pieces":           {in: []string{"a\r", "\n", "b\r", "\n"}, want: []string{"a", "b"}},
		"CR CR LF":                  {in: []string{"a\r\r\nb\n"}, want: []string{"a", "b"}},
		"a progress bar":            {in: []string{"\r10%\r20%\r30%\ndone\n"}, want: []string{"10%", "20%", "30%", "done"}},
		"NUL":                       {in: []string{"a\x00b\n"}, want: []string{"a␀b"}},
		"invalid UTF-8":             {in: []string{"a\xff\xfeb\n"}, want: []string{"a\ufffd\ufffdb"}},
		"a rune in pieces":          {in: []string{"\xe2\x82", "\xac\n"}, want: []string{"€"}},
		"a long line":               {in: []string{strings.Repeat("x", 1<<20) + "\nb\n"}, want: []string{strings.Repeat("x", maxLine), "b"}, cut: true},
		"a long line without end":   {in: []string{strings.Repeat("x", 1<<20)}, want: []string{strings.Repeat("x", maxLine)}, cut: true},
		"exactly as long":           {in: []string{strings.Repeat("x", maxLine) + "\n"}, want: []string{strings.Repeat("x", maxLine)}},
		"a rune across the limit":   {in: []string{strings.Repeat("x", maxLine-1) + "€\n"}, want: []string{strings.Repeat("x", maxLine-1)}, cut: true},
		"grows by what is replaced": {in: []string{strings.Repeat("\xff", maxLine) + "\n"}, want: []string{strings.Repeat("\ufffd", maxLine/3)}, cut: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			var (
				s    splitter
				got  []string
				cuts bool
			)

			emit := func(text []byte, truncated bool) {
				got = append(got, string(text))
				cuts = cuts || truncated
			}

			for _, in := range c.in {
				s.write([]byte(in), emit)
			}

			s.flush(emit)

			if !slices.Equal(got, c.want) || cuts != c.cut {
				t.Errorf("%d lines %.80q (cut: %t), want %d %.80q", len(got), got, cuts, len(c.want), c.want)
			}
		})
	}
}

func TestSplitterAfterIdleFlush(t *testing.T) {
	t.Parallel()

	var (
		s   splitter
		got []string
	)

	emit := func(text []byte, _ bool) { got = append(got, string(text)) }

	s.write([]byte("name? "), emit)
	s.flush(emit)
	s.write([]byte("\nhello\n"), emit)
	s.write([]byte(strings.Repeat("x", 2*maxLine)), emit)
	s.flush(emit)
	s.write([]byte("dropped\nnext\n"), emit)

	if want := []string{"name? ", "hello", strings.Repeat("x", maxLine), "next"}; !slices.Equal(got, want) {
		t.Errorf("%.60q, want %.60q", got, want)
	}
}

// However the bytes arrive, the lines are the same, valid and short.
func TestSplitterDoesNotDependOnPieces(t *testing.T) {
	t.Parallel()

	rapid.Check(t, func(t *rapid.T) {
		in := rapid.SliceOf(rapid.SampledFrom([]byte("ab\r\n\x00\xff\xe2\x82\xac"))).Draw(t, "in")
		cut := rapid.IntRange(0, len(in)).Draw(t, "cut")

		split := func(pieces ...[]byte) []string {
			var (
				s   splitter
				got []string
			)

			emit := func(text []byte, _ bool) { got = append(got, string(text)) }
			for _, p := range pieces {
				s.write(p, emit)
			}

			s.flush(emit)

			return got
		}

		whole := split(in)
		if pieces := split(in[:cut], in[cut:]); !slices.Equal(whole, pieces) {
			t.Fatalf("%q cut at %d: %q, want %q", in, cut, pieces, whole)
		}

		for _, line := range whole {
			if !utf8.ValidString(line) || strings.ContainsAny(line, "\r\n\x00") || len(line) > maxLine {
				t.Fatalf("line %q", line)
			}
		}
	})
}

func write(t *testing.T, w *segmentWriter, from, to int) {
	t.Helper()

	for i := from; i <= to; i++ {
		w.append(record{Time: time.Now(), Attempt: 1, Stream: streamStdout, Text: []byte("number " + strconv.Itoa(i))})

		if err := w.flush(); err != nil {
			t.Fatal(err)
		}
	}
}

func readTail(t *testing.T, dir string, after int64, hint place) (positions []int64, gaps int64, last place) {
	t.Helper()

	tl := newTail(dir, after, hint)
	for {
		r, gap, ok, err := tl.next()
		if err != nil {
			t.Fatal(err)
		}

		if !ok {
			break
		}

		if want := "number " + strconv.FormatInt(r.Position, 10); string(r.Text) != want {
			t.Fatalf("position %d holds %q", r.Position, r.Text)
		}

		positions, gaps = append(positions, r.Position), gaps+gap
	}

	if err := tl.close(); err != nil {
		t.Fatal(err)
	}

	return positions, gaps, tl.place
}

func TestSegmentsRotateAndReadersSeeTheGap(t *testing.T) {
	t.Parallel()

	dir := t.TempDir()

	w, err := openSegments(dir, 1000, 3)
	if err != nil {
		t.Fatal(err)
	}

	write(t, w, 1, 10)
	_, _, early := readTail(t, dir, 0, place{})
	write(t, w, 11, 500)

	for _, hint := range []place{{}, early} {
		got, gap, _ := readTail(t, dir, hint.after, hint)
		if got[len(got)-1] != 500 || gap == 0 || int64(len(got))+gap+hint.after != 500 {
			t.Errorf("%d lines up to %d and %d lost after %d, want 500", len(got), got[len(got)-1], gap, hint.after)
		}
	}

	if err := w.close(); err != nil {
		t.Fatal(err)
	}

	// A shim that was killed while it wrote.
	firsts, err := segments(dir)
	if err != nil {
		t.Fatal(err)
	}

	path := dir + "/" + segmentName(firsts[len(firsts)-1])

	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}

	if err := os.WriteFile(path, append(data, data[:recordHeader+3]...), fileMode); err != nil {
		t.Fatal(err)
	}

	again, err := openSegments(dir, 1000, 3)
	if err != nil || again.next != 501 {
		t.Fatalf("goes on at %d (%v), want 501", again.next, err)
	}

	write(t, again, 501, 510)

	if got, gap, _ := readTail(t, dir, 499, place{}); len(got) != 11 || gap != 0 {
		t.Errorf("%v with a gap of %d, want 500 to 510", got, gap)
	}

	if err := again.close(); err != nil {
		t.Fatal(err)
	}
}

func TestGapIsTold(t *testing.T) {
	t.Parallel()

	const lines = 20000

	d := open(t, target(t))
	d.config.SegmentBytes, d.config.Segments = 16<<10, 2
	settleReady(t, d, actOf(t, "d1", 1, app(t, nil, "count", strconv.Itoa(lines))))

	within(t, 10*time.Second, func() error {
		got := texts(t, d)
		if len(got) == 0 || got[len(got)-1].Position != lines {
			return fmt.Errorf("%d lines", len(got))
		}

		if got[0].Gap == 0 || got[0].Gap+1 != got[0].Position || got[0].Gap+int64(len(got)) != lines {
			t.Errorf("first line %+v of %d", got[0], len(got))
		}

		if text := got[0].Text; text != fmt.Sprintf("number %d", got[0].Position) {
			t.Errorf("position %d holds %q", got[0].Position, text)
		}

		return nil
	})
}

func TestWildOutput(t *testing.T) {
	t.Parallel()

	d := open(t, target(t))
	settleReady(t, d, actOf(t, "d1", 1, app(t, nil, "wild")))

	want := []string{"a␀b", "c\ufffdd", "10%", "20%", "dos", strings.Repeat("x", maxLine), "after", "no newline"}

	within(t, 10*time.Second, func() error {
		var got []string
		for _, l := range texts(t, d) {
			got = append(got, l.Text)
			if l.Truncated != (len(l.Text) == maxLine) {
				t.Errorf("truncated: %t with %d bytes", l.Truncated, len(l.Text))
			}
		}

		if !slices.Equal(got, want) {
			return fmt.Errorf("%.100q", got)
		}

		return nil
	})
}

func TestEnvironmentAndDescriptors(t *testing.T) {
	t.Parallel()

	// What a server has open.
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()

	d := open(t, target(t))
	settleReady(t, d, actOf(t, "d1", 1, app(t, func(p *spec.Process) {
		p.Ports = map[string]spec.ProcessPort{"web-ui": {TargetPort: 80}, "admin": {TargetPort: 81}}
		c := p.Containers["web"]
		c.Variables = map[string]string{"GREETING": "hello = world"}
		c.Readiness = &spec.ReadinessProbe{TargetPort: listener.Addr().(*net.TCPAddr).Port}
		p.Containers["web"] = c
	}, "env")))

	var names []string

	within(t, 10*time.Second, func() error {
		names = nil

		for _, l := range texts(t, d) {
			name, value, _ := strings.Cut(l.Text, "=")
			names = append(names, name)

			if name == "GREETING" && value != "hello = world" {
				t.Errorf("GREETING is %q", value)
			}

			if name == "fd" && (strings.Contains(value, "socket:") || strings.Contains(value, d.config.Dir)) {
				t.Errorf("the container has inherited %s", value)
			}
		}

		if !slices.Contains(names, "end") {
			return fmt.Errorf("not all is written: %v", names)
		}

		return nil
	})

	for _, name := range names {
		if !slices.Contains([]string{"GREETING", "PORT", "PORT_WEB_UI", "PORT_ADMIN", "PATH", "HOME", "TMPDIR", "fd", "end"}, name) {
			t.Errorf("the container sees %s", name)
		}
	}

	for _, name := range []string{"GREETING", "PORT", "PORT_WEB_UI", "PORT_ADMIN", "PATH"} {
		if !slices.Contains(names, name) {
			t.Errorf("the container does not see %s", name)
		}
	}
}

func TestStopEndsTheWholeFamily(t *testing.T) {
	t.Parallel()

	for _, mode := range []string{"family", "stubborn"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()

			d := open(t, target(t))
			d.config.Grace = 200 * time.Millisecond
			settleReady(t, d, actOf(t, "d1", 1, app(t, nil, mode)))

			var pids []int
			for _, l := range texts(t, d) {
				if text, ok := strings.CutPrefix(l.Text, "child "); ok {
					pid, err := strconv.Atoi(text)
					if err != nil {
						t.Fatal(err)
					}

					pids = append(pids, pid)
				}
			}

			settleReady(t, d, actOf(t, "d2", 2, nil))

			for _, pid := range pids {
				if err := syscall.Kill(pid, 0); err == nil {
					t.Errorf("child %d lives", pid)
				}
			}

			if mode == "family" && len(pids) != 2 {
				t.Errorf("%d children, want 2", len(pids))
			}
		})
	}
}

// From the write of a process to a reader that was woken.
func TestWakeIsPrompt(t *testing.T) {
	t.Parallel()

	d := open(t, target(t))
	settleReady(t, d, actOf(t, "d1", 1, app(t, nil, "clock")))

	ctx, cancel := context.WithCancel(t.Context())
	wakes := d.Wake(ctx)

	after := map[string]int64{}
	var delays []time.Duration

	deadline := time.After(20 * time.Second)
	for len(delays) < 20 {
		select {
		case <-deadline:
			t.Fatalf("%d lines in time", len(delays))
		case <-wakes:
		}

		lines, err := d.Read(t.Context(), deployer.Unit{Service: "hello", Environment: "dev"}, after, 100)
		if err != nil {
			t.Fatal(err)
		}

		for _, l := range lines {
			after[l.Source.Key] = l.Position

			at, err := strconv.ParseInt(l.Text, 10, 64)
			if err == nil && len(lines) == 1 {
				delays = append(delays, time.Since(time.UnixMicro(at)))
			}
		}
	}

	cancel()

	for range wakes {
	}

	slices.Sort(delays)
	t.Logf("p50 %s, max %s", delays[len(delays)/2], delays[len(delays)-1])

	if p50 := delays[len(delays)/2]; p50 > 250*time.Millisecond {
		t.Errorf("p50 %s from write to read", p50)
	}
}
