package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func behave(t *testing.T, env map[string]string) behaviour {
	t.Helper()

	b, err := read(func(name string) string { return env[name] })
	if err != nil {
		t.Fatal(err)
	}

	return b
}

// TestWrongVariablesAreNamed: a typo in a test's workload is no behaviour.
func TestWrongVariablesAreNamed(t *testing.T) {
	t.Parallel()

	_, err := read(func(name string) string {
		return map[string]string{"READY_AFTER": "soon", "LINES": "many", "EXIT_CODE": "x"}[name]
	})

	for _, name := range []string{"READY_AFTER", "LINES", "EXIT_CODE"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s is not named: %v", name, err)
		}
	}
}

func TestLinesKeepTheirRate(t *testing.T) {
	t.Parallel()

	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer

		start := time.Now()
		if err := behave(t, map[string]string{"LINES": "2001", "RATE": "1000"}).printLines(&out); err != nil {
			t.Fatal(err)
		}

		if took := time.Since(start); took != 2*time.Second {
			t.Errorf("2,001 lines at 1,000 a second took %s", took)
		}

		if lines := strings.Split(out.String(), "\n"); len(lines) != 2002 || lines[2000] != "line 2001 of version dev" {
			t.Errorf("%d lines, the last of them %q", len(lines)-1, lines[len(lines)-2])
		}
	})
}

func TestHealthFollowsTime(t *testing.T) {
	t.Parallel()

	synctest.Test(t, func(t *testing.T) {
		h := handler(behave(t, map[string]string{"READY_AFTER": "2s", "FAIL_PROBE_AFTER": "4s"}), "host", time.Now())

		for _, want := range []int{http.StatusServiceUnavailable, http.StatusOK, http.StatusInternalServerError} {
			answer := httptest.NewRecorder()
			h.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/healthz", nil))

			if answer.Code != want {
				t.Errorf("answered %d, want %d", answer.Code, want)
			}

			<-time.After(2 * time.Second)
		}
	})
}
