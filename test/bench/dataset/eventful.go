package dataset

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/shiplog/shiplog/internal/id"
)

// deed is a deployment of an eventful history.
type deed struct {
	number, version int // version 0 is none
	kind, status    string
	// source is the number of the deployment that is repeated, 0 for none.
	source int
	// created is when it was asked for, or written down.
	created, at time.Time
	acted       bool
	backfill    bool
	// order is its place among what became current, in the order of the commits;
	// 0 when it did not.
	order int
}

// took is how long a deployment takes.
const took = 4 * time.Minute

func (d deed) finished() time.Time { return d.at.Add(took) }

// committed is when it was known how it ended.
func (d deed) committed() time.Time {
	if d.backfill {
		return d.created
	}

	return d.finished()
}

// eventful is all that happened, by environment and service.
type eventful struct {
	size  Size
	deeds [][]deed
}

func (z Size) eventful() *eventful {
	e := &eventful{size: z}

	for environment := 1; environment <= z.Environments; environment++ {
		for service := 1; service <= z.Services; service++ {
			e.deeds = append(e.deeds, z.happened(service, environment))
		}
	}

	return e
}

func (e *eventful) of(service, environment int) []deed {
	return e.deeds[(environment-1)*e.size.Services+service-1]
}

// happened gives everything that happened to a service in an environment, in
// the order of its effect.
func (z Size) happened(s, e int) []deed {
	var all []deed

	for k := range z.Deployments {
		a := z.deployed(s, e, k)
		d := deed{number: a.number, version: a.version, kind: "DEPLOY", status: "SUCCEEDED", created: a.at.Add(-time.Minute), at: a.at, acted: true}

		switch chance := (s*7919 + e*104729 + k*1299709) % 101 % 40; {
		case chance < 4:
			d.status = "FAILED"
		case chance < 5:
			d.status = "ERRORED"
		case chance < 6:
			d.status, d.acted = "CANCELLED", false
		case chance < 9 && k > 1:
			d.kind, d.version, d.source = "ROLLBACK", all[k-2].version, all[k-2].number
			if d.version == 0 {
				d.kind = "UNDEPLOY"
			}
		case chance < 11:
			d.kind, d.version = "UNDEPLOY", 0
		case chance < 19:
			d.kind, d.backfill = "EXTERNAL", true
			d.created = d.finished().Add(time.Duration(1+(s*31+k*17)%240) * 29 * time.Hour)

			// Some say to have finished at the very moment of what was there.
			if chance < 13 && k > 0 && all[k-1].status == "SUCCEEDED" && !all[k-1].backfill {
				d.at = all[k-1].at
			}
		}

		all = append(all, d)
	}

	var order []int

	for i, d := range all {
		if d.status == "SUCCEEDED" {
			order = append(order, i)
		}
	}

	slices.SortStableFunc(order, func(a, b int) int { return all[a].committed().Compare(all[b].committed()) })

	for place, i := range order {
		all[i].order = place + 1
	}

	return all
}

// latest gives what is in place in the end, and what acted last.
func latest(all []deed) (recorded, applied *deed) {
	for i := range all {
		d := &all[i]

		if d.order > 0 && (recorded == nil || cmp.Or(d.at.Compare(recorded.at), cmp.Compare(d.order, recorded.order)) > 0) {
			recorded = d
		}

		if d.acted && (applied == nil || !d.at.Before(applied.at)) {
			applied = d
		}
	}

	return recorded, applied
}

func (e *eventful) deployments(yield func([]any) bool) {
	z := e.size

	for k := range z.Deployments {
		for environment := 1; environment <= z.Environments; environment++ {
			for service := 1; service <= z.Services; service++ {
				if !yield(z.row(e.of(service, environment)[k], service, environment, k)) {
					return
				}
			}
		}
	}
}

func (z Size) row(d deed, service, environment, k int) []any {
	actor := z.Actor(service, environment, k)

	var because, acted, current, order, version, source any

	occurred := d.created
	if d.backfill {
		occurred = d.finished()
	}

	if d.acted {
		acted = d.at
	}

	if d.order > 0 {
		current, order = d.finished(), d.order
	} else {
		because = "it did not work"
	}

	if d.version > 0 {
		version = z.versionID(service, d.version)
	}

	if d.source > 0 {
		source = identifier(id.Deployment, d.source)
	}

	return []any{
		identifier(id.Deployment, d.number), d.created, "USER", "https://id.example.com", actor, "User " + actor, d.kind, "USER", d.status, because,
		occurred, acted, d.finished(), current, order, fmt.Sprintf("https://ci.example.com/runs/%d", d.number), d.backfill, nil, false,
		z.serviceID(service), z.environmentID(environment), version, identifier(id.Target, environment), source,
	}
}

func (e *eventful) placements(yield func([]any) bool) {
	z := e.size

	for s := 1; s <= z.Services; s++ {
		for environment := 1; environment <= z.Environments; environment++ {
			all := e.of(s, environment)
			successes := 0

			for _, d := range all {
				successes = max(successes, d.order)
			}

			var recordedID, appliedID, version any

			recorded, applied := latest(all)
			if recorded != nil {
				recordedID = identifier(id.Deployment, recorded.number)

				if recorded.version > 0 {
					version = z.versionID(s, recorded.version)
				}
			}

			if applied != nil {
				appliedID = identifier(id.Deployment, applied.number)
			}

			if !yield([]any{
				id.PlacementID(z.serviceID(s), z.environmentID(environment)), began, version, successes,
				z.serviceID(s), z.environmentID(environment), recordedID, appliedID,
			}) {
				return
			}
		}
	}
}
