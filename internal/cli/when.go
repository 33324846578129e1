package cli

import (
	"fmt"
	"strings"
	"time"
)

// when shows a moment for people: absolute in the given zone, and how far from
// now. The zero time is "".
func when(t, now time.Time) string {
	if t.IsZero() {
		return ""
	}

	return fmt.Sprintf("%s (%s)", t.In(now.Location()).Format("2006-01-02 15:04:05"), relative(t, now))
}

// relative says how far t is from now in one unit.
func relative(t, now time.Time) string {
	distance := now.Sub(t)
	if distance < 0 {
		return "in " + rough(-distance)
	}

	if distance < time.Second {
		return "just now"
	}

	return rough(distance) + " ago"
}

// rough is a duration in its largest unit.
func rough(d time.Duration) string {
	const day = 24 * time.Hour

	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 2*day:
		return fmt.Sprintf("%dh", int(d.Hours()))
	default:
		return fmt.Sprintf("%dd", int(d/day))
	}
}

// parseWhen reads a moment: RFC 3339, a local date with or without a time, or
// how long ago ("90m ago", "2h", "3d ago").
func parseWhen(s string, now time.Time) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return t, nil
	}

	for _, layout := range []string{"2006-01-02 15:04:05", "2006-01-02T15:04:05", "2006-01-02 15:04", "2006-01-02"} {
		if t, err := time.ParseInLocation(layout, s, now.Location()); err == nil {
			return t, nil
		}
	}

	ago := strings.TrimSpace(strings.TrimSuffix(s, "ago"))

	var days int
	if n, err := fmt.Sscanf(ago, "%dd", &days); err == nil && n == 1 && ago == fmt.Sprintf("%dd", days) {
		return now.AddDate(0, 0, -days), nil
	}

	if d, err := time.ParseDuration(ago); err == nil {
		return now.Add(-d), nil
	}

	return time.Time{}, usage("%q is no moment: write 2026-03-01T12:00:00Z, 2026-03-01 12:00, 90m or 3d", s)
}
