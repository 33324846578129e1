package cli

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/validator"
	"github.com/vektah/gqlparser/v2/validator/rules"
)

// TestRequestsFitTheSchema gives every command all its flags and checks what it
// sends: a valid document with variables that the schema takes.
func TestRequestsFitTheSchema(t *testing.T) {
	t.Parallel()

	schema := loadSchema(t)
	file := filepath.Join(t.TempDir(), "layer.json")

	if err := os.WriteFile(file, []byte(`{"replicas":2,"variables":{"A":null}}`), 0o600); err != nil {
		t.Fatal(err)
	}

	cases := map[string]struct {
		line string
		want string // the variables
	}{
		"service create": {
			"service create hello --title Hello --owner group:a --label a=b --label c=d;e --repository https://r --catalog-ref c:d --idempotency-key k",
			`{"input":{"name":"hello","title":"Hello","owner":"group:a","labels":{"a":"b","c":"d;e"},"repositoryUrl":"https://r","catalogRef":"c:d","idempotencyKey":"k"}}`,
		},
		"service list": {
			"service list --owner o --label a=b --search x --archived --limit 3 --after c",
			`{"first":3,"after":"c","filter":{"owner":"o","labels":{"a":"b"},"search":"x","archived":true}}`,
		},
		"service show":    {"service show hello", `{"name":"hello"}`},
		"service archive": {"service archive hello --reason r", `{"input":{"service":"hello","reason":"r"}}`},
		"environment create": {
			"environment create eu --tier production --rank 30 --target kubernetes --connection c --namespace n --host {service}.e --allow rbac,cluster-scoped --title E --owner o --label a=b --idempotency-key k",
			`{"input":{"name":"eu","tier":"PRODUCTION","rank":30,"target":{"kind":"KUBERNETES","connection":"c","namespace":"n","host":"{service}.e","allow":["RBAC","CLUSTER_SCOPED"]},"title":"E","owner":"o","labels":{"a":"b"},"idempotencyKey":"k"}}`,
		},
		"environment list":    {"env list --tier staging --owner o", `{"first":50,"filter":{"tier":"STAGING","owner":"o"}}`},
		"environment archive": {"environment archive eu", `{"input":{"environment":"eu"}}`},
		"rule put": {
			"rule put p --on deployment-succeeded --from a --to b --condition true --kind deploy,rollback --service h* --label a=b --owner o --disabled --idempotency-key k",
			`{"input":{"name":"p","trigger":"DEPLOYMENT_SUCCEEDED","sourceEnvironment":"a","targetEnvironment":"b","condition":"true","kinds":["DEPLOY","ROLLBACK"],"selector":{"names":["h*"],"labels":{"a":"b"},"owners":["o"]},"enabled":false,"idempotencyKey":"k"}}`,
		},
		"rule list":   {"rule list --environment e --deleted", `{"first":50,"filter":{"environment":"e","archived":true}}`},
		"rule test":   {"rule test hello 1.0.0", `{"service":"hello","version":"1.0.0"}`},
		"rule delete": {"rule delete p", `{"input":{"rule":"p"}}`},
		"config set by flags": {
			"config set --service s --environment e --var A=B;C --unset D --replicas 0 --reason r --expect 0 --idempotency-key k",
			`{"input":{"service":"s","environment":"e","content":{"variables":{"A":"B;C","D":null},"replicas":0},"reason":"r","expectedRevision":0,"idempotencyKey":"k"}}`,
		},
		"config set by file": {
			"config set --service s --idempotency-key k --file " + file,
			`{"input":{"service":"s","content":{"replicas":2,"variables":{"A":null}},"idempotencyKey":"k"}}`,
		},
		"config show of a service":      {"config show --service s", `{"name":"s"}`},
		"config show of an environment": {"config show --environment e", `{"name":"e"}`},
		"config show of both":           {"config show --service s --environment e", `{"filter":{"service":"s","environment":"e"}}`},
		"version register": {
			"version register hello 1.0.0 --image i --digest sha256:d --commit c --ref main --built-at 1h --author a --build-url u --notes n --score " + file + " --label a=b --backfill --idempotency-key k",
			`{"input":{"service":"hello","version":"1.0.0","image":"i","digest":"sha256:d","commit":"c","ref":"main","builtAt":"2026-03-01T11:00:00Z","author":"a","buildUrl":"u","notes":"n","workload":{"score":"{\"replicas\":2,\"variables\":{\"A\":null}}"},"labels":{"a":"b"},"backfill":true,"idempotencyKey":"k"}}`,
		},
		"version list": {"version list hello", `{"service":"hello","first":50}`},
		"version show": {"version show hello 1.0.0", `{"service":"hello","name":"1.0.0"}`},
		"check report": {
			"check report hello 1.0.0 e2e inconclusive --environment e --url u --summary s --idempotency-key k",
			`{"input":{"service":"hello","version":"1.0.0","name":"e2e","result":"INCONCLUSIVE","environment":"e","url":"u","summary":"s","idempotencyKey":"k"}}`,
		},
		"record": {
			"record hello 1.0.0 e --status failed --started-at 2026-01-01 --finished-at 2026-01-02T00:00:00Z --by b --url u --backfill --create-missing --idempotency-key k",
			`{"input":{"service":"hello","version":"1.0.0","environment":"e","status":"FAILED","startedAt":"2026-01-01T00:00:00Z","finishedAt":"2026-01-02T00:00:00Z","actor":"b","url":"u","backfill":true,"createMissing":true,"idempotencyKey":"k"}}`,
		},
		"deploy": {
			"deploy hello 1.0.0 e --reason r --dry-run --preempt --override o --expected-current d --idempotency-key k",
			`{"input":{"service":"hello","version":"1.0.0","environment":"e","reason":"r","dryRun":true,"preempt":true,"override":{"reason":"o"},"expectedCurrent":"d","idempotencyKey":"k"}}`,
		},
		"promote": {
			"promote hello a b --reason r --dry-run --preempt --override o --expected-current d --idempotency-key k",
			`{"input":{"service":"hello","from":"a","to":"b","reason":"r","dryRun":true,"preempt":true,"override":{"reason":"o"},"expectedCurrent":"d","idempotencyKey":"k"}}`,
		},
		"environment promote, to review": {"environment promote a b --service s --idempotency-key k", `{"input":{"from":"a","to":"b","services":["s"],"dryRun":true}}`},
		"environment promote": {
			"environment promote a b --expected sha256:d --reason r --preempt --override o --idempotency-key k",
			`{"input":{"from":"a","to":"b","expected":"sha256:d","reason":"r","preempt":true,"override":{"reason":"o"},"idempotencyKey":"k"}}`,
		},
		"redeploy": {
			"redeploy deployment_1 --latest --dry-run --preempt --idempotency-key k",
			`{"input":{"deployment":"deployment_1","configuration":"LATEST","dryRun":true,"preempt":true,"idempotencyKey":"k"}}`,
		},
		"rollback": {
			"rollback hello e --to deployment_1 --reason r --idempotency-key k",
			`{"input":{"service":"hello","environment":"e","to":"deployment_1","reason":"r","idempotencyKey":"k"}}`,
		},
		"rollback without a hold": {
			"rollback hello e --no-hold --idempotency-key k",
			`{"input":{"service":"hello","environment":"e","hold":false,"idempotencyKey":"k"}}`,
		},
		"hold create": {
			"hold create hello e --reason r --idempotency-key k",
			`{"input":{"service":"hello","environment":"e","reason":"r","idempotencyKey":"k"}}`,
		},
		"hold release":     {"hold release hold_1 --reason r", `{"input":{"hold":"hold_1","reason":"r"}}`},
		"hold list":        {"hold list --service s --environment e --owner o --label a=b --released", `{"first":50,"filter":{"service":"s","environment":"e","owner":"o","labels":{"a":"b"},"released":true}}`},
		"the standing one": {"hold release hello/e", `{"first":1,"filter":{"service":"hello","environment":"e"}}`},
		"lock":             {"lock e --reason r", `{"input":{"environment":"e","reason":"r"}}`},
		"unlock":           {"unlock e --reason r", `{"input":{"environment":"e","reason":"r"}}`},
		"version block":    {"version block hello 1.0.0 --reason r", `{"input":{"service":"hello","version":"1.0.0","reason":"r"}}`},
		"version unblock":  {"version unblock hello 1.0.0 --reason r", `{"input":{"service":"hello","version":"1.0.0","reason":"r"}}`},
		"undeploy": {
			"undeploy hello e --reason r --preempt --override o --expected-current deployment_1 --idempotency-key k",
			`{"input":{"service":"hello","environment":"e","reason":"r","preempt":true,"override":{"reason":"o"},"expectedCurrent":"deployment_1","idempotencyKey":"k"}}`,
		},
		"cancel":  {"cancel deployment_1 --reason r", `{"input":{"deployment":"deployment_1","reason":"r"}}`},
		"resolve": {"resolve step_1 retry --reason r", `{"input":{"step":"step_1","outcome":"RETRY","reason":"r"}}`},
		"where": {
			"where hello 1.0.0 --environment e --tier production --image i --digest d --commit c --drift version-differs,missing --owner o --label a=b --archived --at 3d --as-known-at 2d --limit 7",
			`{"first":7,"at":"2026-02-26T12:00:00Z","asKnownAt":"2026-02-27T12:00:00Z","filter":{"service":"hello","version":"1.0.0","environment":"e","tier":"PRODUCTION","image":"i","digest":"d","commit":"c","drift":["VERSION_DIFFERS","MISSING"],"owner":"o","labels":{"a":"b"},"archived":true}}`,
		},
		"matrix": {
			"matrix --service a --service b --environment e --owner o --at 2026-01-01T00:00:00Z --as-known-at 2026-01-02T00:00:00Z",
			`{"first":50,"services":["a","b"],"environments":["e"],"owner":"o","at":"2026-01-01T00:00:00Z","asKnownAt":"2026-01-02T00:00:00Z"}`,
		},
		"diff of places":              {"diff a/staging a/production", `{"from":{"environment":{"service":"a","environment":"staging"}},"to":{"environment":{"service":"a","environment":"production"}}}`},
		"diff of a version":           {"diff deployment_1 a@1.0.0 --unified", `{"from":{"deployment":"deployment_1"},"to":{"version":{"service":"a","version":"1.0.0"}}}`},
		"diff of snapshot and others": {"diff snapshot_1 deployment_1 -y --width 80", `{"from":{"snapshot":"snapshot_1"},"to":{"deployment":"deployment_1"}}`},
		"deployments": {
			"deployments --service s --environment e --version v --tier other --status failed,errored --kind rollback --cause rule --actor a --owner o --label a=b --since 2h --until 2026-03-01T12:00:00Z",
			`{"first":50,"filter":{"service":"s","environment":"e","version":"v","tier":"OTHER","status":["FAILED","ERRORED"],"kind":["ROLLBACK"],"cause":["RULE"],"actor":"a","owner":"o","labels":{"a":"b"},"createdAfter":"2026-03-01T10:00:00Z","createdBefore":"2026-03-01T12:00:00Z"}}`,
		},
		"journey": {"journey hello 1.0.0", `{"service":"hello","name":"1.0.0"}`},
		"history": {"history hello e --limit 3", `{"first":3,"filter":{"service":"hello","environment":"e"}}`},
		"changes": {
			"changes --env e --tier production --service s --owner o --between 2026-01-01T00:00:00Z,2h --kind drift,hold --limit 3",
			`{"first":3,"scope":{"environment":"e","tier":"PRODUCTION","service":"s","owner":"o"},"between":{"from":"2026-01-01T00:00:00Z","to":"2026-03-01T10:00:00Z"},"kinds":["DRIFT","HOLD"]}`,
		},
		"metrics": {
			"metrics --tier production --between 30d",
			`{"scope":{"tier":"PRODUCTION"},"between":{"from":"2026-01-30T12:00:00Z","to":"2026-03-01T12:00:00Z"}}`,
		},
		"deployment show": {"deployment show deployment_1", `{"id":"deployment_1"}`},
		"the newest":      {"deployment show hello/e", `{"first":1,"filter":{"service":"hello","environment":"e"}}`},
		"logs --last": {
			"logs deployment_1 --last 5 --stream container --container c --instance i --contains x",
			`{"id":"deployment_1","last":5,"filter":{"streams":["CONTAINER"],"container":"c","instance":"i","contains":"x"}}`,
		},
		"events": {
			"events --last 3 --type deployment.* --service s --subject i --actor a --since 3d",
			`{"last":3,"filter":{"types":["deployment.*"],"service":"s","subject":"i","actor":"a","after":"2026-02-26T12:00:00Z"}}`,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			var body []byte

			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				var err error
				if body, err = io.ReadAll(r.Body); err != nil {
					t.Error(err)
				}

				if _, err := io.WriteString(w, `{"errors":[{"message":"enough","extensions":{"code":"UNAVAILABLE"}}]}`); err != nil {
					t.Error(err)
				}
			}))
			defer server.Close()

			if code, _, errors := run(t, append([]string{"--server", server.URL}, strings.Fields(tc.line)...)...); code != exitRefused {
				t.Fatalf("ended with %d: %s", code, errors)
			}

			var request struct {
				Query     string
				Variables map[string]any
			}
			if err := json.Unmarshal(body, &request); err != nil {
				t.Fatal(err)
			}

			fits(t, schema, request.Query, request.Variables)

			var want map[string]any
			if err := json.Unmarshal([]byte(tc.want), &want); err != nil {
				t.Fatal(err)
			}

			if got, expected := encode(t, request.Variables), encode(t, want); got != expected {
				t.Errorf("sent %s\nwant %s", got, expected)
			}
		})
	}
}

// fits checks a document and its variables against the schema.
func fits(t *testing.T, schema *ast.Schema, query string, variables map[string]any) {
	t.Helper()

	document, problems := gqlparser.LoadQueryWithRules(schema, query, rules.NewDefaultRules())
	if len(problems) > 0 {
		t.Fatal(problems)
	}

	if _, err := validator.VariableValues(schema, document.Operations[0], variables); err != nil {
		t.Errorf("the variables do not fit: %v", err)
	}

	declared := document.Operations[0].VariableDefinitions
	for name := range variables {
		if declared.ForName(name) == nil {
			t.Errorf("$%s is not declared", name)
		}
	}
}

func encode(t *testing.T, value any) string {
	t.Helper()

	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}

	return string(text)
}
