package diff

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestEdits: what stays and goes is the old text, what stays and comes the new
// one, and no more goes or comes than must (by the longest common subsequence).
func TestEdits(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		lines := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c", "d"}), 0, 12)
		a, b := lines.Draw(t, "a"), lines.Draw(t, "b")

		var (
			old, now []string
			stay     int
		)

		for _, l := range edits(a, b) {
			if l.mark != '+' {
				old = append(old, l.text)
			}

			if l.mark != '-' {
				now = append(now, l.text)
			}

			if l.mark == ' ' {
				stay++
			}
		}

		if strings.Join(old, "") != strings.Join(a, "") || strings.Join(now, "") != strings.Join(b, "") {
			t.Fatalf("%q and %q, want %q and %q", old, now, a, b)
		}

		if want := longest(a, b); stay != want {
			t.Fatalf("%d lines stay, could be %d", stay, want)
		}
	})
}

func longest(a, b []string) int {
	row := make([]int, len(b)+1)

	for i := range a {
		diagonal := 0

		for j := range b {
			above := row[j+1]
			if a[i] == b[j] {
				row[j+1] = diagonal + 1
			} else {
				row[j+1] = max(above, row[j])
			}

			diagonal = above
		}
	}

	return row[len(b)]
}

func TestUnified(t *testing.T) {
	t.Parallel()

	of := func(s string) []string { return strings.Split(s, "") }

	for name, c := range map[string]struct{ a, b, want string }{
		"equal":         {"abc", "abc", ""},
		"in the middle": {"abcdefghij", "abcdeXghij", "@@ -3,7 +3,7 @@\n c\n d\n e\n-f\n+X\n g\n h\n i\n"},
		"at the ends":   {"abcdefghij", "Xbcdefghi", "@@ -1,4 +1,4 @@\n-a\n+X\n b\n c\n d\n@@ -7,4 +7,3 @@\n g\n h\n i\n-j\n"},
		"in one hunk":   {"abcdefgh", "Xbcdefg", "@@ -1,8 +1,7 @@\n-a\n+X\n b\n c\n d\n e\n f\n g\n-h\n"},
		"two hunks":     {"abcdefghijkl", "bcdefghijk", "@@ -1,4 +1,3 @@\n-a\n b\n c\n d\n@@ -9,4 +8,3 @@\n i\n j\n k\n-l\n"},
		"from one":      {"a", "ab", "@@ -1 +1,2 @@\n a\n+b\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			if got := unified(of(c.a), of(c.b)); got != c.want {
				t.Errorf("got\n%swant\n%s", got, c.want)
			}
		})
	}

	if got := unified(nil, of("ab")); got != "@@ -0,0 +1,2 @@\n+a\n+b\n" {
		t.Errorf("from nothing: %s", got)
	}
}
