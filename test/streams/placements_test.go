//go:build unix

package streams

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"
)

// change is what placementChanged tells.
type change struct {
	Change, Drift, Cursor string
	Time                  time.Time
	Placement             struct{ Service, Environment struct{ Name string } }
}

// placementChanges follows the changes of a service's placements after a
// cursor until enough says so.
func (a *api) placementChanges(ctx context.Context, service, after string, enough func([]change) bool) (all []change, err error) {
	body, err := json.Marshal(map[string]any{
		"query": `subscription ($service: ID!, $after: Cursor) { placementChanged(filter: {service: $service}, after: $after) {
			change drift time cursor placement { service { name } environment { name } } } }`,
		"variables": map[string]any{"service": service, "after": after},
	})
	if err != nil {
		return nil, err
	}

	request, err := http.NewRequestWithContext(ctx, http.MethodPost, a.url+"/graphql", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}

	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "text/event-stream")

	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()

	for events := bufio.NewReader(response.Body); !enough(all); {
		text, err := events.ReadBytes('\n')
		if err != nil {
			return all, fmt.Errorf("after %d changes: %w", len(all), err)
		}

		raw, isData := bytes.CutPrefix(bytes.TrimSpace(text), []byte("data: {"))
		if !isData {
			continue
		}

		var answer struct {
			Data   struct{ PlacementChanged change }
			Errors []any
		}
		if err := json.Unmarshal(append([]byte("{"), raw...), &answer); err != nil || answer.Errors != nil {
			return all, fmt.Errorf("got %s: %w", text, err)
		}

		all = append(all, answer.Data.PlacementChanged)
	}

	return all, nil
}

// driftAt is the drift of a service's one placement, with whether it was
// observed, at a moment.
func (a *api) driftAt(service string, at time.Time) (drift string, observed bool) {
	a.t.Helper()

	var data struct {
		Placements struct {
			Nodes []struct {
				Drift    string
				Observed *struct{ At time.Time }
			}
		}
	}

	a.ask(`query ($service: ID!, $at: Time) { placements(filter: {service: $service}, at: $at) { nodes { drift observed { at } } } }`,
		map[string]any{"service": service, "at": at}, &data)

	if len(data.Placements.Nodes) != 1 {
		a.t.Fatalf("%d placements at %s", len(data.Placements.Nodes), at)
	}

	return data.Placements.Nodes[0].Drift, data.Placements.Nodes[0].Observed != nil
}

func TestChangesOfPlacementsAreToldAndKept(t *testing.T) {
	t.Parallel()

	for _, dialect := range []string{"sqlite", "postgres"} {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()

			a := serve(t, config(t, dialect))

			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()

			var data struct{ Placements struct{ Position string } }

			a.ask(`{ placements { position } }`, nil, &data)
			a.deploy("other", "talk", "1", "100")
			a.deploy("told", "talk", "1", "100")

			settled := func(all []change) bool { return len(all) > 0 && all[len(all)-1].Drift == "IN_SYNC" }

			// From the position of a page before there was anything.
			told, err := a.placementChanges(ctx, "told", data.Placements.Position, settled)
			if err != nil {
				t.Fatal(err)
			}

			kinds := map[string]int{}
			for _, c := range told {
				kinds[c.Change]++

				if c.Placement.Service.Name != "told" || c.Placement.Environment.Name != "told" {
					t.Errorf("told of %v", c.Placement)
				}
			}

			if kinds["deployment.status"] == 0 || kinds["placement.observed"] == 0 {
				t.Errorf("told %v", kinds)
			}

			// Again from the middle: the same. What is stored by now is told in
			// the order of two histories, and so may stand in another one.
			middle := len(told) / 2
			rest := told[middle+1:]

			again, err := a.placementChanges(ctx, "told", told[middle].Cursor, func(all []change) bool { return len(all) >= len(rest) && settled(all) })
			if err != nil {
				t.Fatal(err)
			}

			for _, c := range rest {
				if !slices.ContainsFunc(again, func(o change) bool { return o.Change == c.Change && o.Drift == c.Drift && o.Time.Equal(c.Time) }) {
					t.Errorf("%s %s at %s is not told again: %v", c.Change, c.Drift, c.Time, again)
				}
			}

			// The observed side is known of the past.
			for _, c := range told {
				if c.Change != "placement.observed" {
					continue
				}

				if drift, observed := a.driftAt("told", c.Time); drift != c.Drift || !observed {
					t.Errorf("at %s it was %s, the history says %s, observed: %t", c.Time, c.Drift, drift, observed)
				}
			}
		})
	}
}
