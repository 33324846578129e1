//go:build unix

package memory

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2/ast"
)

// stateless are the mutations that no state of things stands against, with the
// reason.
var stateless = map[string]string{
	"createService":     "there is nothing before it; a name that is taken is a conflict",
	"createEnvironment": "there is nothing before it; a name that is taken is a conflict",
	"reportCheck":       "a result is remembered of whatever it was reported for",
	"deleteRule":        "deleting again changes nothing",
	"releaseHold":       "releasing again changes nothing",
	"unlockEnvironment": "unlocking again changes nothing",
	"blockVersion":      "blocking again changes the reason",
	"unblockVersion":    "unblocking again changes nothing",
}

// Classes of what may be bad about an input.
const (
	missing    = "missing"
	empty      = "empty"
	tooLong    = "too long"
	wrongForm  = "wrong form"
	unknown    = "unknown reference"
	conflict   = "conflict"
	wrongState = "forbidden state"
)

// classOf tells the class of a kind of bad value.
func classOf(c badInput) string {
	switch c.kind {
	case "missing", "null":
		return missing
	case "empty", "empty list", "none of them":
		return empty
	case "1 MB", "a long value", "2,000 of them", "too many", "a long key":
		return tooLong
	case "unknown name", "unknown id", "id of another kind", "odd id":
		return unknown
	}

	return wrongForm
}

// classesOf gives the classes that a mutation's input must be refused for.
func classesOf(schema *ast.Schema, mutation *ast.FieldDefinition) []string {
	classes := []string{wrongForm}

	for _, f := range schema.Types[mutation.Arguments.ForName("input").Type.Name()].Fields {
		if f.Type.NonNull {
			classes = append(classes, missing)
		}

		if f.Type.Name() == "ID" {
			classes = append(classes, unknown)
		}

		if f.Type.NonNull && (f.Type.Name() == "ID" || f.Type.Name() == "String") {
			classes = append(classes, empty)
		}

		if f.Type.Name() == "ID" || f.Type.Name() == "String" {
			classes = append(classes, tooLong)
		}

		if f.Name == "idempotencyKey" {
			classes = append(classes, conflict)
		}
	}

	if stateless[mutation.Name] == "" {
		classes = append(classes, wrongState)
	}

	slices.Sort(classes)

	return slices.Compact(classes)
}

// complete fails the test where a mutation was never refused for a class.
func complete(t *testing.T, schema *ast.Schema, refused map[string]map[string]int) {
	t.Helper()

	for _, mutation := range schema.Mutation.Fields {
		for _, class := range classesOf(schema, mutation) {
			if refused[mutation.Name][class] == 0 {
				t.Errorf("%s is never refused for: %s", mutation.Name, class)
			}
		}
	}

	for name := range stateless {
		if schema.Mutation.Fields.ForName(name) == nil || refused[name][wrongState] > 0 {
			t.Errorf("%s is said to know no wrong state", name)
		}
	}
}

// against is an input that is good in itself, and what stands against it.
type against struct {
	class, path, what string
	// first is done before it, and must be.
	first, input object
}

// states gives what stands against a mutation's inputs in the state of things.
func (f *fixtures) states(schema *ast.Schema, mutation *ast.FieldDefinition) []against {
	name := mutation.Name
	input := func(change object) object {
		f.made++
		in := f.input(name, "", 100_000+f.made)

		for key, v := range change {
			if in[key] = v; v == nil {
				delete(in, key)
			}
		}

		return in
	}

	var all []against

	for _, field := range schema.Types[mutation.Arguments.ForName("input").Type.Name()].Fields {
		archived := map[string]string{"service": f.archivedService, "environment": f.archivedEnvironment, "rule": f.deletedRule}[idKind(field.Name)]
		if field.Type.Name() == "ID" && archived != "" {
			change := object{field.Name: archived, "expectedCurrent": nil}
			if name == "rollback" {
				change["to"] = nil // it is of what is not archived
			}

			all = append(all, against{class: wrongState, path: field.Name, what: "archived", input: input(change)})
		}

		if field.Name == "idempotencyKey" {
			first := input(f.acting[name])
			again := clone(first)
			again[otherwise(first)] = "otherwise"
			all = append(all, against{class: conflict, path: field.Name, what: "the same for another input", first: first, input: again})
		}
	}

	return append(all, map[string][]against{
		"createService":     {{class: conflict, path: "name", what: "taken", input: input(object{"name": "subject"})}},
		"createEnvironment": {{class: conflict, path: "name", what: "taken", input: input(object{"name": "here"})}},
		"archiveService":    {{class: wrongState, path: "service", what: "with a deployment under way", input: input(object{"service": "busy"})}},
		"archiveEnvironment": {
			{class: wrongState, path: "environment", what: "with a deployment under way", input: input(object{"environment": "busy"})},
		},
		"updateEnvironment": {
			{class: wrongState, path: "environment", what: "another target while a deployment is under way", input: input(object{"environment": "busy"})},
		},
		"setConfiguration": {
			{class: wrongState, path: "expectedRevision", what: "not the newest", input: input(object{"expectedRevision": 99_999})},
		},
		"registerVersion": {
			{class: conflict, path: "version", what: "registered with other content", input: input(object{"version": "1.0.0"})},
		},
		"deploy": {
			{class: wrongState, path: "environment", what: "where somebody else deploys", input: input(object{"environment": "elsewhere", "dryRun": false})},
			{class: wrongState, path: "expectedCurrent", what: "not the current one", input: input(object{"dryRun": false, "expectedCurrent": f.recorded})},
			{class: wrongState, path: "version", what: "without a workload", input: input(object{"service": "bare", "version": "1"})},
		},
		"redeploy": {
			{class: wrongState, path: "deployment", what: "made by somebody else", input: input(object{"deployment": f.recorded, "expectedCurrent": nil})},
			{class: wrongState, path: "expectedCurrent", what: "not the current one", input: input(nil)},
		},
		"rollback": {
			{class: wrongState, path: "to", what: "nothing to go back to", input: input(object{"to": nil, "expectedCurrent": nil})},
			{class: wrongState, path: "to", what: "of another service", input: input(object{"to": f.worked, "expectedCurrent": nil})},
		},
		"promote": {
			{class: wrongState, path: "from", what: "where nothing is", input: input(object{"from": "bare", "expectedCurrent": nil})},
			{class: wrongState, path: "to", what: "where it is", input: input(object{"to": "elsewhere", "expectedCurrent": nil})},
			{class: wrongState, path: "to", what: "where somebody else deploys", input: input(object{"service": "steady", "from": "steady", "to": "elsewhere", "expectedCurrent": nil})},
			{class: wrongState, path: "expectedCurrent", what: "not the current one", input: input(nil)},
		},
		"promoteEnvironment": {
			{class: wrongState, path: "expected", what: "not what was reviewed", input: input(nil)},
			{class: wrongState, path: "to", what: "where it is", input: input(object{"to": "elsewhere"})},
		},
		"createHold": {
			{class: wrongState, path: "environment", what: "held already", first: input(object{"service": "busy", "environment": "busy"}), input: input(object{"service": "busy", "environment": "busy"})},
		},
		"undeploy": {
			{class: wrongState, path: "environment", what: "where somebody else deploys", input: input(object{"environment": "elsewhere", "expectedCurrent": nil})},
			{class: wrongState, path: "environment", what: "where nothing is", input: input(object{"environment": "steady", "expectedCurrent": nil})},
			{class: wrongState, path: "expectedCurrent", what: "not the current one", input: input(nil)},
		},
		"putRule": {
			{class: wrongState, path: "targetEnvironment", what: "archived, to decide", input: input(object{"enabled": true, "targetEnvironment": f.archivedEnvironment})},
		},
		"cancelDeployment": {{class: wrongState, path: "deployment", what: "that is over", input: input(nil)}},
		"resolveStep":      {{class: wrongState, path: "step", what: "whose outcome is known", input: input(nil)}},
	}[name]...)
}

// otherwise is a text of the input that may be another one.
func otherwise(in object) string {
	for _, name := range []string{"title", "reason", "summary", "notes", "actor"} {
		if _, ok := in[name]; ok {
			return name
		}
	}

	return "condition"
}

// stand makes what stands against inputs: a deployment under way, two that
// worked, a version that can only be recorded.
func (f *fixtures) stand(a *api) {
	f.t.Helper()

	deploy := func(name, version string, score object, reached func(status string) bool) string {
		ask[object](a, `mutation($s: ID!, $v: String!, $w: JSON!) { registerVersion(input: {service: $s, version: $v, workload: {score: $w}}) { created } }`,
			object{"s": name, "v": version, "w": score})

		made := ask[struct {
			Deploy struct{ Deployment identified }
		}](a, `mutation($n: ID!, $v: ID!) { deploy(input: {service: $n, environment: $n, version: $v}) { deployment { id } } }`, object{"n": name, "v": version}).Deploy.Deployment.ID

		until(f.t, name+" comes to its state", func() bool {
			return reached(ask[struct{ Deployment struct{ Status string } }](a, `query($id: ID!) { deployment(id: $id) { status } }`, object{"id": made}).Deployment.Status)
		})

		return made
	}

	for i, name := range []string{"busy", "steady", "bare", "promoted", "set"} {
		ask[object](a, `mutation($n: String!, $r: Int!) {
			createService(input: {name: $n}) { service { id } }
			createEnvironment(input: {name: $n, tier: TESTING, rank: $r, target: {kind: PROCESS}}) { environment { id } }
		}`, object{"n": name, "r": 10 + i})
	}

	ask[object](a, `mutation { registerVersion(input: {service: "bare", version: "1", image: "registry.example/bare:1"}) { created } }`, nil)

	deploy("busy", "1", never(), func(status string) bool { return status == "VERIFYING" || status == "RUNNING" })
	f.worked = f.name("WORKED", deploy("steady", "1", forever(), func(status string) bool { return status == "SUCCEEDED" }))
	deploy("steady", "2", forever(), func(status string) bool { return status == "SUCCEEDED" })

	set := ask[struct {
		PromoteEnvironment struct{ Set struct{ Digest string } }
	}](a, `mutation { promoteEnvironment(input: {from: "steady", to: "set", dryRun: true}) { set { digest } } }`, nil).PromoteEnvironment.Set

	// What acts is refused in the end in all other cases; here it is done.
	f.acting = map[string]object{
		"deploy":             {"dryRun": false, "override": nil},
		"redeploy":           {"expectedCurrent": nil, "override": nil},
		"rollback":           {"service": "steady", "environment": "steady", "to": f.worked, "expectedCurrent": nil, "override": nil},
		"undeploy":           {"service": "steady", "environment": "steady", "expectedCurrent": nil, "override": nil},
		"promote":            {"service": "steady", "from": "steady", "to": "promoted", "expectedCurrent": nil, "override": nil},
		"promoteEnvironment": {"from": "steady", "to": "set", "services": nil, "expected": set.Digest, "override": nil},
		// Where nobody's hold stands yet.
		"createHold": {"service": "bare", "environment": "bare"},
	}
}

// forever is a program that works as long as it runs.
func forever() object {
	return object{
		"apiVersion": "score.dev/v1b1",
		"metadata":   object{"name": "forever", "annotations": object{"shiplog.dev/startup-timeout": "10m"}},
		"containers": object{"main": object{"image": "forever", "command": []any{"/bin/sleep", "3600"}}},
	}
}

// never is a program that is not ready in the time of a test.
func never() object {
	score := forever()
	score["service"] = object{"ports": object{"web": object{"port": 1}}}
	score["containers"] = object{"main": object{
		"image": "never", "command": []any{"/bin/sleep", "3600"},
		"readinessProbe": object{"httpGet": object{"path": "/", "port": 1}},
	}}

	return score
}

// refusedFor sends what the state of things stands against and gives the
// answers, a line each.
func refusedFor(t *testing.T, a *api, f *fixtures, schema *ast.Schema, refused map[string]map[string]int) string {
	t.Helper()

	var text strings.Builder

	f.stand(a)

	for _, mutation := range schema.Mutation.Fields {
		document := documentFor(schema, mutation)
		fmt.Fprintf(&text, "# %s, against the state of things\n", mutation.Name)

		for _, c := range f.states(schema, mutation) {
			if c.first != nil {
				if got := send(t, a, document, c.first); got.code() != "" {
					t.Errorf("%s, before %s %s: %s", mutation.Name, c.path, c.what, f.tell(got))
				}
			}

			got := send(t, a, document, c.input)
			line := fmt.Sprintf("%s %s: %s", c.path, c.what, f.tell(got))
			text.WriteString(line + "\n")

			if got.code() == "" {
				continue
			}

			refused[mutation.Name][c.class]++

			if !names(got.field(), c.path) {
				t.Errorf("%s, %s: the field is not named", mutation.Name, line)
			}
		}
	}

	return text.String()
}
