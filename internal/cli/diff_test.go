package cli

import (
	"net/http/httptest"
	"strings"
	"testing"
)

const diffAnswer = `{"diff":{"equal":false,"operations":[],"reverse":[],"unified":"","versionsOmitted":2,
	"changes":[
		{"path":"/configuration/variables/A","kind":"MODIFIED","category":"CONFIG","origin":"ENVIRONMENT","object":null,"before":"1","after":"2","masked":false},
		{"path":"/configuration/variables/P","kind":"REMOVED","category":"CONFIG","origin":"SUBSTANCE","object":null,"before":null,"after":null,"masked":true},
		{"path":"/version","kind":"ADDED","category":"WORKLOAD","origin":"SUBSTANCE","object":null,"before":null,"after":"1.1","masked":false}],
	"objects":[{"object":"Process/a","kind":"MODIFIED","unified":"--- a/Process/a\n+++ b/Process/a\n@@ -1,2 +1,3 @@\n same\n-old\n+new\n+more\n"}],
	"versions":[{"id":"version_1","name":"1.1","commit":"abcdef0123456","builtAt":"2026-03-01T12:00:00Z","service":{"name":"a"}}]}}`

func TestDiffForPeople(t *testing.T) {
	t.Parallel()

	server := httptest.NewServer(&portal{t: t, schema: loadSchema(t), answers: map[string]string{"Diff": diffAnswer}})
	t.Cleanup(server.Close)

	for name, c := range map[string]struct {
		flags string
		want  []string
	}{
		"changes": {"", []string{
			"Differs in substance:", "-  CONFIG    /configuration/variables/P  (masked)", "+  WORKLOAD  /version                    \"1.1\"",
			"Differs because the environments do:", "~  CONFIG  /configuration/variables/A  \"1\" → \"2\"", "In between:", "abcdef0123", "and 2 more",
		}},
		"unified":      {"-u", []string{"--- a/Process/a", "+++ b/Process/a", "@@ -1,2 +1,3 @@", "-old", "+more"}},
		"side by side": {"-y --width 43", []string{"Process/a", "same                 │ same", "old                  │ new", "                     │ more"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			code, out, errors := run(t, append([]string{"--server", server.URL, "diff", "a/x", "a/y"}, strings.Fields(c.flags)...)...)
			if code != 0 {
				t.Fatalf("ended with %d: %s", code, errors)
			}

			for _, want := range c.want {
				if !strings.Contains(out, want) {
					t.Errorf("%q is missing in\n%s", want, out)
				}
			}
		})
	}
}
