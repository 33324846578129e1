package share_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/shiplog/shiplog/internal/access"
	"github.com/shiplog/shiplog/internal/logs"
	"github.com/shiplog/shiplog/server/share"
)

// fields are those of the contract's types.
func fields(of string) []string {
	return map[string][]string{
		"LogBatch":          {"gap", "lines", "cursor", "complete"},
		"LogLineConnection": {"nodes", "edges", "totalCount", "position"},
		"LogLineEdge":       {"cursor", "node"},
		"LogGap":            {"reason", "lines"},
		"LogLine":           {"cursor", "time", "stream", "phase", "source", "text", "truncated"},
		"LogSource":         {"step", "container", "instance", "attempt"},
	}[of]
}

func inner(of, field string) string {
	return map[string]string{
		"LogBatch.gap": "LogGap", "LogBatch.lines": "LogLine", "LogLine.source": "LogSource",
		"LogLineConnection.nodes": "LogLine", "LogLineConnection.edges": "LogLineEdge", "LogLineEdge.node": "LogLine",
	}[of+"."+field]
}

// selection draws a selection set; aliases never make two fields collide
// within a set, equal fields may come twice.
func selection(t *rapid.T, of string, depth int) string {
	var out strings.Builder

	out.WriteString("{ __typename ") // so that conditions never leave nothing

	for range rapid.IntRange(1, 6).Draw(t, "fields") {
		field := rapid.SampledFrom(append(fields(of), "__typename")).Draw(t, "field")
		condition := rapid.SampledFrom([]string{"", "", "", "@include(if: $yes)", "@skip(if: $yes)", "@include(if: true)"}).Draw(t, "condition")
		alias := rapid.SampledFrom([]string{"", "", field + "_too: ", "_" + field + "9: "}).Draw(t, "alias")

		if depth < 2 && rapid.IntRange(0, 9).Draw(t, "fragment") == 0 {
			on := rapid.SampledFrom([]string{"", "on " + of}).Draw(t, "on")
			out.WriteString("... " + on + " " + condition + " " + selection(t, of, depth+1) + " ")

			continue
		}

		out.WriteString(alias + field + " " + condition)

		if object := inner(of, field); object != "" {
			out.WriteString(selection(t, object, depth))
		}

		out.WriteString(" ")
	}

	return out.String() + "}"
}

func text(t *rapid.T, name string) string {
	return rapid.StringOfN(rapid.OneOf(
		rapid.Rune(), rapid.RuneFrom([]rune("\x00\x01\x1b\t\r\"\\\u007f\u2028\u2029<>&é漢😀\ufffd/ab "))), 0, 40, -1).Draw(t, name)
}

func drawLine(t *rapid.T) logs.Line {
	line := logs.Line{
		Time:   time.UnixMicro(rapid.Int64Range(0, 4_000_000_000_000_000).Draw(t, "time")),
		Stream: rapid.SampledFrom([]logs.Stream{logs.Step, logs.Container, logs.Cluster}).Draw(t, "stream"),
		Phase:  rapid.SampledFrom([]logs.Phase{logs.Rollout, logs.Runtime}).Draw(t, "phase"),
	}

	switch rapid.IntRange(0, 9).Draw(t, "kind") {
	case 0:
		line.Gap = &logs.Gap{
			Reason: rapid.SampledFrom([]string{logs.Limit, logs.SourceLost, `odd "reason"`}).Draw(t, "reason"),
			Lines:  rapid.Int64Range(0, 1<<40).Draw(t, "missing"),
		}
	case 1:
		line.Text = strings.Repeat("é", logs.MaxText)
	default:
		line.Text, line.Step, line.Container, line.Instance = text(t, "text"), text(t, "step"), text(t, "container"), text(t, "instance")
		line.Attempt = rapid.IntRange(0, 3).Draw(t, "attempt")
		line.Truncated = rapid.Bool().Draw(t, "truncated")
	}

	return line
}

func TestBothWaysYieldTheSameBytes(t *testing.T) {
	t.Parallel()

	b := newBench(t, share.DefaultCacheBytes)
	n := 0

	rapid.Check(t, func(t *rapid.T) {
		n++
		name := fmt.Sprintf("same-%d", n)
		id := b.deployment(name)

		// A reader that is there from the start makes the segments live ones.
		if rapid.Bool().Draw(t, "live") {
			reader, err := b.logs.Follow(b.t.Context(), id, 0, logs.Options{Follow: true})
			if err != nil {
				t.Fatal(err)
			}
			defer reader.Close()
		}

		total := 0

		for range rapid.IntRange(0, 4).Draw(t, "appends") {
			lines := rapid.SliceOfN(rapid.Custom(drawLine), 1, 12).Draw(t, "lines")
			b.append(id, lines...)
			total += len(lines)
		}

		follow := rapid.Bool().Draw(t, "follow")
		if follow {
			b.close(id)
		}

		arguments := fmt.Sprintf("deployment: %q, follow: %t", id, follow)
		if total > 0 && rapid.Bool().Draw(t, "resumed") {
			arguments += fmt.Sprintf(", after: %q", logs.EncodeCursor(id, rapid.Int64Range(0, int64(total)).Draw(t, "after")))
		}

		arguments += rapid.SampledFrom([]string{
			"", "", ", until: REPLACED", ", filter: null", ", filter: {}", ", filter: {streams: [STEP, CLUSTER]}", `, filter: {contains: "a"}`,
			", filter: {streams: [STEP], phase: ROLLOUT}", ", filter: $filter",
		}).Draw(t, "more")

		document := fmt.Sprintf("subscription ($yes: Boolean = true, $filter: LogFilter) { %s deploymentLogs(%s) %s }",
			rapid.SampledFrom([]string{"", "log: "}).Draw(t, "alias"), arguments, selection(t, "LogBatch", 0))
		if !strings.Contains(document, "$filter }") && !strings.Contains(document, "filter: $filter") {
			document = strings.Replace(document, ", $filter: LogFilter", "", 1)
		}

		if !strings.Contains(document, "if: $yes") {
			document = strings.Replace(document, "$yes: Boolean = true", "", 1)
			document = strings.Replace(strings.Replace(document, "(, ", "(", 1), "subscription ()", "subscription", 1)
		} else {
			document = strings.Replace(document, "$yes: Boolean =", "$yes: Boolean! =", 1)
		}

		variables := map[string]any{}
		if strings.Contains(document, "$filter") {
			variables["filter"] = map[string]any{"phase": "ROLLOUT", "streams": []any{"CONTAINER"}}
		}

		want, errs := b.executed(b.ctx(), document, variables, 1<<20)
		if errs != nil {
			t.Fatalf("%s: %v", document, errs)
		}

		// Twice: made, and kept.
		for range 2 {
			got, ids, covered := b.shared(b.ctx(), document, variables, 1<<20)
			if !covered {
				t.Fatalf("not covered: %s", document)
			}

			if !slices.Equal(got, want) {
				t.Fatalf("%s\n got %q\nwant %q", document, got, want)
			}

			if len(ids) != len(got) {
				t.Fatalf("%d ids of %d results", len(ids), len(got))
			}
		}

		for _, payload := range want {
			if !json.Valid([]byte(payload)) {
				t.Fatalf("not JSON: %s", payload)
			}
		}
	})
}

func TestWhatIsDeclinedOrRefusedTakesTheOrdinaryWay(t *testing.T) {
	t.Parallel()

	b := newBench(t, share.DefaultCacheBytes)
	id := b.deployment("declined")
	other := b.deployment("other")
	log := fmt.Sprintf(`subscription { deploymentLogs(deployment: %q) { cursor } }`, id)

	cases := []struct {
		name, document string
		ctx            context.Context
		code           string
	}{
		{"another subscription", `subscription { events { cursor } }`, b.ctx(), ""},
		{"a query", `{ viewer { roles } }`, b.ctx(), ""},
		{"one value where a list is expected", fmt.Sprintf(`subscription { deploymentLogs(deployment: %q, filter: {streams: STEP}) { cursor } }`, id), b.ctx(), ""},
		{"a caller who is not known", log, t.Context(), ""},
		{"a caller without a role", log, access.With(t.Context(), access.Caller{}), ""},
		{"no such deployment", `subscription { deploymentLogs(deployment: "deployment_nothing") { cursor } }`, b.ctx(), "NOT_FOUND"},
		{"a cursor of another log", fmt.Sprintf(`subscription { deploymentLogs(deployment: %q, after: %q) { cursor } }`,
			id, logs.EncodeCursor(other, 0)), b.ctx(), "STALE"},
		{"a place that the log has not", fmt.Sprintf(`subscription { deploymentLogs(deployment: %q, after: %q) { cursor } }`,
			id, logs.EncodeCursor(id, 7)), b.ctx(), "STALE"},
	}

	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if _, _, covered := b.shared(c.ctx, c.document, nil, 1); covered {
				t.Error("it was taken over")
			}

			if c.code == "" {
				return
			}

			_, errs := b.executed(c.ctx, c.document, nil, 1)
			if len(errs) != 1 || errs[0].Extensions["code"] != c.code {
				t.Errorf("%v instead of %s", errs, c.code)
			}
		})
	}
}

func TestEventIDIsTheCursor(t *testing.T) {
	t.Parallel()

	b := newBench(t, share.DefaultCacheBytes)
	id := b.deployment("events")
	b.append(id, logs.Line{Stream: logs.Step, Phase: logs.Rollout, Text: `"cursor":"no"`})
	b.close(id)

	document := fmt.Sprintf(`subscription { deploymentLogs(deployment: %q) { lines { cursor text } cursor } }`, id)
	payloads, ids, _ := b.shared(b.ctx(), document, nil, 9)

	if len(payloads) != 2 {
		t.Fatalf("%q", payloads)
	}

	for i, payload := range payloads {
		if want := logs.EncodeCursor(id, 1); ids[i] != want || share.EventID([]byte(payload)) != want {
			t.Errorf("ids %q and %q, not %q", ids[i], share.EventID([]byte(payload)), want)
		}
	}

	for _, payload := range []string{``, `{"errors":[]}`, `{"data":{"a":{"cursor":7}}}`, `{"data":{"a":1}}`, `[]`} {
		if got := share.EventID([]byte(payload)); got != "" {
			t.Errorf("%s has the id %q", payload, got)
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	bench := newBench(b, 1) // keeps nothing
	id := bench.deployment("bench")

	var lines []logs.Line
	for i := range 100 {
		lines = append(lines, logs.Line{
			Time: time.Now(), Stream: logs.Container, Phase: logs.Rollout, Container: "main", Instance: "hello/0",
			Attempt: 1, Text: fmt.Sprintf("%05d %s", i, strings.Repeat("x", 194)),
		})
	}

	bench.append(id, lines...)

	document := fmt.Sprintf(`subscription { deploymentLogs(deployment: %q, follow: false) {
		lines { cursor time stream phase source { step container instance attempt } text truncated } cursor complete } }`, id)

	for b.Loop() {
		if payloads, _, covered := bench.shared(bench.ctx(), document, nil, 9); !covered || len(payloads) != 2 {
			b.Fatal(payloads)
		}
	}
}
