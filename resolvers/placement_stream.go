package resolvers

import (
	"context"
	"slices"
	"time"

	"github.com/shiplog/shiplog/ent/db"
	deploymentrow "github.com/shiplog/shiplog/ent/db/deployment"
	"github.com/shiplog/shiplog/ent/db/event"
	"github.com/shiplog/shiplog/ent/db/hold"
	"github.com/shiplog/shiplog/ent/db/placement"
	"github.com/shiplog/shiplog/graph"
	"github.com/shiplog/shiplog/internal/deployment"
	"github.com/shiplog/shiplog/internal/id"
	"github.com/shiplog/shiplog/internal/journal"
	"github.com/shiplog/shiplog/internal/live"
	"github.com/shiplog/shiplog/internal/observe"
	"github.com/shiplog/shiplog/internal/store"
)

// observedChange is the change of an observation: it is no entry of the
// journal, and so has no type there.
const observedChange = "placement.observed"

// PlacementChanged streams the changes of placements: those of the journal's
// entries about deployments, and those of observations.
func (s subscription) PlacementChanged(ctx context.Context, filter *deployment.PlacementFilter, after *string) (<-chan *graph.PlacementChange, error) {
	// What the filter refers to must be there.
	if _, err := s.Engine.PlacementsAmong(ctx, s.Store.Read, filter, nil); err != nil {
		return nil, err
	}

	place, err := observe.After(ctx, s.Store.Read, s.resume(ctx, after))
	if err != nil {
		return nil, err
	}

	return stream(ctx, func(send func(*graph.PlacementChange) bool) error {
		// Subscribed first, then read: nothing falls in between.
		sub := s.Hub.Subscribe(journal.Topic, observe.Topic)
		defer sub.Close()

		for {
			changes, next, more, err := s.placementChanges(ctx, place)
			if err != nil {
				return err
			}

			if sent, err := s.tellPlacements(ctx, filter, changes, send); err != nil || !sent {
				return err
			}

			if place = next; more {
				continue
			}

			if err := live.Wait(ctx, sub, pollEvery); err != nil {
				return err
			}
		}
	}), nil
}

// placementChange is a change whose placement is not yet read.
type placementChange struct {
	placement, change string
	drift             *placement.Drift
	time              time.Time
	place             observe.Place
}

// placementChanges reads what comes after a place, entries before
// observations, and the place to go on from; more when there is more already.
func (s subscription) placementChanges(ctx context.Context, from observe.Place) (changes []placementChange, next observe.Place, more bool, err error) {
	now, err := observe.PlaceOf(ctx, s.Store.Read)
	if err != nil {
		return nil, from, false, err
	}

	next = now

	events, err := s.Store.Read.Event.Query().
		Where(event.Or(event.TypeHasPrefix("deployment."), event.TypeHasPrefix("hold.")), event.SeqGT(from.Journal), event.SeqLTE(now.Journal)).
		Order(event.BySeq()).Limit(streamBatch).All(ctx)
	if err != nil {
		return nil, from, false, store.Classify(err)
	}

	if len(events) == streamBatch {
		next.Journal, more = events[len(events)-1].Seq, true
	}

	units, err := s.placementsOf(ctx, events)
	if err != nil {
		return nil, from, false, err
	}

	for _, e := range events {
		changes = append(changes, placementChange{
			placement: units[e.Subject], change: e.Type, time: e.Time, place: observe.Place{Journal: e.Seq, Observed: from.Observed},
		})
	}

	seen, err := observe.Changes(ctx, s.Store.Read, from.Observed, now.Observed, streamBatch)
	if err != nil {
		return nil, from, false, err
	}

	if len(seen) == streamBatch {
		next.Observed, more = seen[len(seen)-1].ID, true
	}

	for _, o := range seen {
		changes = append(changes, placementChange{
			placement: o.PlacementID, change: observedChange, drift: (*placement.Drift)(o.Drift), time: o.At,
			place: observe.Place{Journal: next.Journal, Observed: o.ID},
		})
	}

	return changes, next, more, nil
}

// placementsOf gives, by deployment or hold, the placements that entries are
// about.
func (s subscription) placementsOf(ctx context.Context, events []*db.Event) (map[string]string, error) {
	if len(events) == 0 {
		return map[string]string{}, nil
	}

	subjects := make([]string, len(events))
	for i, e := range events {
		subjects[i] = e.Subject
	}

	rows, err := s.Store.Read.Deployment.Query().Where(store.AnyOf(deploymentrow.FieldID, subjects)).
		Select(deploymentrow.FieldID, deploymentrow.FieldServiceID, deploymentrow.FieldEnvironmentID).All(ctx)
	if err != nil {
		return nil, store.Classify(err)
	}

	found := make(map[string]string, len(rows))
	for _, d := range rows {
		found[d.ID] = id.PlacementID(d.ServiceID, d.EnvironmentID)
	}

	subjects = slices.DeleteFunc(subjects, func(subject string) bool { return !id.IsOf(subject, id.Hold) })
	if len(subjects) == 0 {
		return found, nil
	}

	holds, err := s.Store.Read.Hold.Query().Where(store.AnyOf(hold.FieldID, subjects)).All(ctx)
	if err != nil {
		return nil, store.Classify(err)
	}

	for _, h := range holds {
		found[h.ID] = h.PlacementID
	}

	return found, nil
}

// tellPlacements sends the changes of placements that fit, as they are now.
func (s subscription) tellPlacements(
	ctx context.Context, filter *deployment.PlacementFilter, changes []placementChange, send func(*graph.PlacementChange) bool,
) (bool, error) {
	if len(changes) == 0 {
		return true, nil
	}

	ids := make([]string, len(changes))
	for i, c := range changes {
		ids[i] = c.placement
	}

	found, err := s.Engine.PlacementsAmong(ctx, s.Store.Read, filter, ids)
	if err != nil {
		return false, err
	}

	for _, c := range changes {
		p, fits := found[c.placement]
		if !fits {
			continue
		}

		if !send(&graph.PlacementChange{Placement: p, Change: c.change, Drift: c.drift, Time: c.time, Cursor: c.place.Cursor()}) {
			return false, nil
		}
	}

	return true, nil
}
