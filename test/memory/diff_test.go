//go:build unix

package memory

import (
	"testing"
)

// compared is a diff as it is asked for here.
type compared struct {
	Equal    bool
	Unified  string
	Changes  []struct{ Path, Kind, Category, Origin string }
	Versions []struct{ Name string }
}

const diffFields = `{ equal unified changes { path kind category origin } versions { name } }`

// TestDiff compares deployments, places and versions with each other.
func TestDiff(t *testing.T) {
	each(t, func(t *testing.T, a *api) {
		b := newBoard(t, a)
		first := b.worked(b.act("deploy", object{"service": "app", "environment": "here", "version": "1"}))

		score := forever()
		b.register("2", score)
		ask[object](a, `mutation($c: JSON!) { setConfiguration(input: {service: "app", environment: "here", content: $c}) { changed } }`,
			object{"c": object{"variables": object{"LEVEL": "debug"}}})

		second := b.worked(b.act("deploy", object{"service": "app", "environment": "here", "version": "2"}))
		b.worked(b.act("deploy", object{"service": "app", "environment": "there", "version": "2"}))

		diff := func(from, to object) compared {
			return ask[struct{ Diff compared }](a, `query($from: DiffRef!, $to: DiffRef!) { diff(from: $from, to: $to) `+diffFields+` }`, object{"from": from, "to": to}).Diff
		}
		place := func(environment string) object {
			return object{"environment": object{"service": "app", "environment": environment}}
		}
		origin := func(d compared, path string) string {
			for _, c := range d.Changes {
				if c.Path == path {
					return c.Kind + " " + c.Category + " " + c.Origin
				}
			}

			return "none"
		}

		between := diff(object{"deployment": first.ID}, object{"deployment": second.ID})
		if got := origin(between, "/configuration/variables/LEVEL"); got != "ADDED CONFIG SUBSTANCE" || between.Unified == "" || len(between.Versions) != 1 {
			t.Errorf("between two deployments: %s, %+v", got, between)
		}

		// The base of the second is the first.
		own := ask[struct{ Deployment struct{ Diff compared } }](a, `query($id: ID!) { deployment(id: $id) { diff `+diffFields+` } }`, object{"id": second.ID}).Deployment.Diff
		if len(own.Changes) != len(between.Changes) {
			t.Errorf("against its base: %+v", own)
		}

		places := diff(place("here"), place("there"))
		if got := origin(places, "/configuration/variables/LEVEL"); got != "REMOVED CONFIG ENVIRONMENT" {
			t.Errorf("between two places: %s, %+v", got, places)
		}

		if d := diff(place("here"), object{"version": object{"service": "app", "version": "2"}}); !d.Equal {
			t.Errorf("what is in place and its version as it would be deployed: %+v", d)
		}

		if d := diff(place("nowhere"), place("there")); origin(d, "/version") != "ADDED WORKLOAD SUBSTANCE" {
			t.Errorf("from nothing: %+v", d)
		}
	})
}
