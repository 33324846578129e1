package diff

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"sigs.k8s.io/yaml"
)

// context is how many lines that did not change stand around a change.
const context = 3

// texts gives the objects that differ as unified text of their YAML.
func (s secrets) texts(before, after map[string]json.RawMessage) ([]ObjectText, error) {
	keys := map[string]any{}
	for key := range before {
		keys[key] = nil
	}

	for key := range after {
		keys[key] = nil
	}

	var all []ObjectText

	for _, key := range names(keys, nil) {
		if bytes.Equal(before[key], after[key]) {
			continue
		}

		old, err := s.text(before[key])
		if err != nil {
			return nil, fmt.Errorf("the text of %s: %w", key, err)
		}

		now, err := s.text(after[key])
		if err != nil {
			return nil, fmt.Errorf("the text of %s: %w", key, err)
		}

		text := ObjectText{Object: key, Kind: Modified}
		from, to := "a/"+key, "b/"+key

		switch {
		case before[key] == nil:
			text.Kind, from = Added, "/dev/null"
		case after[key] == nil:
			text.Kind, to = Removed, "/dev/null"
		}

		if hunks := unified(old, now); hunks != "" {
			text.Unified = "--- " + from + "\n+++ " + to + "\n" + hunks
		}

		all = append(all, text)
	}

	return all, nil
}

// text gives the lines of an object's YAML without secrets; none for nothing.
func (s secrets) text(object json.RawMessage) ([]string, error) {
	if object == nil {
		return nil, nil
	}

	value, err := Decode(object)
	if err != nil {
		return nil, err
	}

	shown, _ := s.redact("", value)

	out, err := yaml.Marshal(shown)
	if err != nil {
		return nil, fmt.Errorf("write YAML: %w", err)
	}

	return strings.SplitAfter(strings.TrimSuffix(string(out), "\n"), "\n"), nil
}

// line is a line of an edit script: what stays, goes ('-') or comes ('+').
type line struct {
	mark byte
	text string
}

// unified gives the hunks that turn a into b, "" when they are equal.
func unified(a, b []string) string {
	script := edits(a, b)

	var out strings.Builder

	oldLine, newLine := 1, 1

	for i := 0; i < len(script); {
		if script[i].mark == ' ' {
			oldLine++
			newLine++
			i++

			continue
		}

		start := max(0, i-context)
		end := hunkEnd(script, i)
		back := i - start

		writeHunk(&out, script[start:end], oldLine-back, newLine-back)

		for ; i < end; i++ {
			if script[i].mark != '+' {
				oldLine++
			}

			if script[i].mark != '-' {
				newLine++
			}
		}
	}

	return out.String()
}

// hunkEnd gives where the hunk ends that has a change at i: after the last
// change that is no more than two contexts from the one before.
func hunkEnd(script []line, i int) int {
	last := i

	for j := i; j < len(script) && j-last <= 2*context+1; j++ {
		if script[j].mark != ' ' {
			last = j
		}
	}

	return min(len(script), last+context+1)
}

func writeHunk(out *strings.Builder, script []line, oldLine, newLine int) {
	var olds, news int

	for _, l := range script {
		if l.mark != '+' {
			olds++
		}

		if l.mark != '-' {
			news++
		}
	}

	fmt.Fprintf(out, "@@ -%s +%s @@\n", span(oldLine, olds), span(newLine, news))

	for _, l := range script {
		out.WriteByte(l.mark)
		out.WriteString(strings.TrimSuffix(l.text, "\n"))
		out.WriteByte('\n')
	}
}

// span writes a range as diff(1) does: an empty one names the line before it.
func span(start, count int) string {
	switch count {
	case 0:
		return fmt.Sprintf("%d,0", start-1)
	case 1:
		return strconv.Itoa(start)
	}

	return fmt.Sprintf("%d,%d", start, count)
}
