package cli

import (
	"testing"
	"time"
)

func TestWhen(t *testing.T) {
	t.Parallel()

	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.FixedZone("there", 2*60*60))
	cases := map[string]struct {
		at   time.Time
		want string
	}{
		"never":        {time.Time{}, ""},
		"now":          {now, "2026-03-01 12:00:00 (just now)"},
		"seconds":      {now.Add(-59 * time.Second), "2026-03-01 11:59:01 (59s ago)"},
		"minutes":      {now.Add(-59 * time.Minute), "2026-03-01 11:01:00 (59m ago)"},
		"hours":        {now.Add(-47 * time.Hour), "2026-02-27 13:00:00 (47h ago)"},
		"days":         {now.AddDate(0, 0, -2), "2026-02-27 12:00:00 (2d ago)"},
		"to come":      {now.Add(time.Hour), "2026-03-01 13:00:00 (in 1h)"},
		"another zone": {time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC), "2026-03-01 11:00:00 (1h ago)"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			if got := when(tc.at, now); got != tc.want {
				t.Errorf("%q, want %q", got, tc.want)
			}
		})
	}
}

func TestParseWhen(t *testing.T) {
	t.Parallel()

	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.FixedZone("there", 2*60*60))
	cases := map[string]string{
		"2026-01-02T03:04:05.123456Z": "2026-01-02T03:04:05.123456Z",
		"2026-01-02T03:04:05+01:00":   "2026-01-02T02:04:05Z",
		"2026-01-02 03:04":            "2026-01-02T01:04:00Z",
		"2026-01-02":                  "2026-01-01T22:00:00Z",
		"90m":                         "2026-03-01T08:30:00Z",
		"2h ago":                      "2026-03-01T08:00:00Z",
		"3d":                          "2026-02-26T10:00:00Z",
		"":                            "",
		"3dd":                         "",
		"soon":                        "",
	}
	for written, want := range cases {
		t.Run(written, func(t *testing.T) {
			t.Parallel()

			got, err := parseWhen(written, now)
			if want == "" {
				if err == nil {
					t.Errorf("was read as %s", got)
				}

				return
			}

			if err != nil || got.UTC().Format(time.RFC3339Nano) != want {
				t.Errorf("%s, %v, want %s", got.UTC(), err, want)
			}
		})
	}
}
