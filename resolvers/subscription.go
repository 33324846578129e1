package resolvers

import (
	"context"
	"time"

	"github.com/shiplog/shiplog/ent/db"
	deploymentrow "github.com/shiplog/shiplog/ent/db/deployment"
	"github.com/shiplog/shiplog/ent/db/event"
	"github.com/shiplog/shiplog/graph"
	"github.com/shiplog/shiplog/internal/contract"
	"github.com/shiplog/shiplog/internal/deployment"
	"github.com/shiplog/shiplog/internal/journal"
	"github.com/shiplog/shiplog/internal/live"
	"github.com/shiplog/shiplog/internal/logs"
	"github.com/shiplog/shiplog/internal/store"
)

const (
	// pollEvery is how often a stream looks without having been woken: a wake
	// is a hint only. With the time of looking it is a second at most.
	pollEvery = 900 * time.Millisecond
	// streamBatch bounds the entries that a stream reads at once.
	streamBatch = 200
)

type subscription struct{ *Resolver }

// FollowLog opens a reader on a deployment's log with the arguments of the
// subscription.
func (r *Resolver) FollowLog(ctx context.Context, ref string, after *string, follow *bool, until *contract.LogUntil, filter *logs.Filter) (*logs.Reader, string, error) {
	d, err := deployment.Find(ctx, r.Store.Read, "deployment", ref)
	if err != nil {
		return nil, "", err
	}

	place, err := logPlace("after", d.ID, r.resume(ctx, after))
	if err != nil {
		return nil, "", err
	}

	opts := logs.Options{Follow: follow == nil || *follow, UntilReplaced: value(until) == contract.UntilReplaced}
	if filter != nil {
		opts.Filter = *filter
	}

	reader, err := r.Logs.Follow(ctx, d.ID, value(place), opts)

	return reader, d.ID, err
}

// DeploymentLogs streams a log. The reader is closed when the client leaves
// or the log is complete.
func (s subscription) DeploymentLogs(ctx context.Context, ref string, after *string, follow *bool, until *contract.LogUntil, filter *logs.Filter) (<-chan *contract.LogBatch, error) {
	reader, deploymentID, err := s.FollowLog(ctx, ref, after, follow, until, filter)
	if err != nil {
		return nil, err
	}

	cursors := logs.CursorsOf(deploymentID)

	return stream(ctx, func(send func(*contract.LogBatch) bool) error {
		defer reader.Close()

		for {
			part, err := reader.Next(ctx)
			if err != nil {
				return err
			}

			if !send(contract.NewLogBatch(cursors, &part)) || part.Complete {
				return nil
			}
		}
	}), nil
}

// DeploymentChanged streams the changes of deployments from the journal.
func (s subscription) DeploymentChanged(ctx context.Context, filter *deployment.Filter, after *string) (<-chan *graph.DeploymentChange, error) {
	where, err := filter.Predicates(ctx, s.Store.Read)
	if err != nil {
		return nil, err
	}

	seq, err := journal.After(ctx, s.Store.Read, s.resume(ctx, after))
	if err != nil {
		return nil, err
	}

	return stream(ctx, func(send func(*graph.DeploymentChange) bool) error {
		return s.journal(ctx, seq, &journal.Filter{Types: []string{"deployment.*"}}, func(events []*db.Event) (bool, error) {
			ids := make([]string, len(events))
			for i, e := range events {
				ids[i] = e.Subject
			}

			rows, err := s.Store.Read.Deployment.Query().Where(where...).Where(deploymentrow.IDIn(ids...)).All(ctx)
			if err != nil {
				return false, store.Classify(err)
			}

			found := make(map[string]*db.Deployment, len(rows))
			for _, d := range rows {
				found[d.ID] = d
			}

			for _, e := range events {
				d, ok := found[e.Subject]
				if ok && !send(&graph.DeploymentChange{Deployment: d, Change: e.Type, Cursor: journal.Cursor(e.Seq)}) {
					return false, nil
				}
			}

			return true, nil
		})
	}), nil
}

// Events streams the journal.
func (s subscription) Events(ctx context.Context, filter *journal.Filter, after *string) (<-chan *graph.EventNotice, error) {
	if _, err := filter.Predicates(ctx, s.Store.Read); err != nil {
		return nil, err
	}

	seq, err := journal.After(ctx, s.Store.Read, s.resume(ctx, after))
	if err != nil {
		return nil, err
	}

	return stream(ctx, func(send func(*graph.EventNotice) bool) error {
		return s.journal(ctx, seq, filter, func(events []*db.Event) (bool, error) {
			for _, e := range events {
				if !send(&graph.EventNotice{Event: e, Cursor: journal.Cursor(e.Seq)}) {
					return false, nil
				}
			}

			return true, nil
		})
	}), nil
}

// journal gives the entries after seq to each, and waits for more, until each
// says no or ctx ends. Subscribed first, then read: nothing falls in between.
func (s subscription) journal(ctx context.Context, seq int64, filter *journal.Filter, each func([]*db.Event) (bool, error)) error {
	where, err := filter.Predicates(ctx, s.Store.Read)
	if err != nil {
		return err
	}

	sub := s.Hub.Subscribe(journal.Topic)
	defer sub.Close()

	for {
		// What the filter leaves out need not be read again.
		now, err := journal.Position(ctx, s.Store.Read)
		if err != nil {
			return err
		}

		events, err := s.Store.Read.Event.Query().Where(where...).Where(event.SeqGT(seq), event.SeqLTE(now)).
			Order(event.BySeq()).Limit(streamBatch).All(ctx)
		if err != nil {
			return store.Classify(err)
		}

		if len(events) > 0 {
			if more, err := each(events); err != nil || !more {
				return err
			}
		}

		if len(events) == streamBatch {
			seq = events[len(events)-1].Seq

			continue
		}

		seq = now

		if err := live.Wait(ctx, sub, pollEvery); err != nil {
			return err
		}
	}
}
