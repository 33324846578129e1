//go:build unix

package streams

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// longest is the most bytes of a line's text.
const longest = 32 << 10

// Whatever a program prints, the stream goes on: what is too long is cut and
// marked, what is no text is replaced, a line that does not end is shown as far
// as it is, and all of it is JSON.
func TestWildOutput(t *testing.T) {
	each(t, func(t *testing.T, a *api, transport string) {
		file := filepath.Join(t.TempDir(), "go on")
		id := a.deploy("wild", "wild", file)

		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()

		var seen []line

		v := &viewer{url: a.url, transport: transport, deployment: id, each: func(b batch) error {
			if b.Gap != nil {
				return fmt.Errorf("a gap: %s", b.Gap.Reason)
			}

			for _, l := range b.Lines {
				if l.Stream != "CONTAINER" {
					continue
				}

				seen = append(seen, l)

				// It was shown although its line goes on.
				if strings.HasSuffix(l.Text, noNewline) && !exists(file) {
					if err := os.WriteFile(file, nil, 0o600); err != nil {
						return err
					}
				}
			}

			return nil
		}}

		if err := v.follow(ctx); err != nil {
			t.Fatalf("after %d lines: %v", len(seen), err)
		}

		checkWild(t, seen)

		if got := a.status(id); got != "SUCCEEDED" {
			t.Errorf("the deployment is %s", got)
		}
	})
}

func checkWild(t *testing.T, seen []line) {
	t.Helper()

	for i, l := range seen {
		if len(l.Text) > longest || !utf8.ValidString(l.Text) || strings.ContainsAny(l.Text, "\n\r\x00") {
			t.Errorf("line %d, of %d bytes: %.100q", i, len(l.Text), l.Text)
		}
	}

	want := []line{
		{Text: "begin"},
		{Text: strings.Repeat("x", longest), Truncated: true},
		{Text: "a\u2400b"},
		{Text: "c\ufffd\ufffdd"},
		{Text: colours},
		{Text: "10%"},
		{Text: "20%"},
		{Text: "30%"},
		{Text: "dos"},
		{Text: noNewline},
	}

	for i, w := range want {
		if i >= len(seen) || seen[i].Text != w.Text || seen[i].Truncated != w.Truncated {
			t.Fatalf("line %d is not %.100q, cut %t: %.2000v", i, w.Text, w.Truncated, seen[min(i, len(seen)):])
		}
	}

	// The line that did not end goes on in pieces, as they came, and is cut.
	rest := seen[len(want):]
	if len(rest) < 2 || rest[len(rest)-1].Text != "end" {
		t.Fatalf("it ends with %.200v", rest)
	}

	var text strings.Builder
	for _, l := range rest[:len(rest)-1] {
		text.WriteString(l.Text)
	}

	if all := strings.Repeat(stillNone, 9000); !strings.HasPrefix(all, text.String()) {
		t.Errorf("the line that did not end: %.200q", text.String())
	}

	if !slices.ContainsFunc(rest, func(l line) bool { return l.Truncated }) {
		t.Error("the line that did not end was not cut")
	}
}
