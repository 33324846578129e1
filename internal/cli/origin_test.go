package cli

import (
	"strings"
	"testing"
)

// TestOrigin holds what stands before a line of a log.
func TestOrigin(t *testing.T) {
	t.Parallel()

	var output, told, step logLine

	output.Stream, output.Source.Instance, output.Source.Attempt = "CONTAINER", "web-1", 2
	told.Stream, told.Source.Instance = "CLUSTER", "web-1"
	step.Stream, step.Source.Step = "STEP", "apply"

	for want, line := range map[string]logLine{"web-1#2": output, "cluster": told, "apply": step} {
		if got := strings.TrimSpace(origin(line)); got != want {
			t.Errorf("%+v: %q, want %q", line, got, want)
		}
	}
}
