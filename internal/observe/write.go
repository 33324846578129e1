package observe

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"time"

	"github.com/shiplog/shiplog/deployer"
	"github.com/shiplog/shiplog/ent/db/placement"
	"github.com/shiplog/shiplog/ent/db/version"
	"github.com/shiplog/shiplog/internal/store"
)

// written is what the placement's row holds.
type written struct {
	loaded bool
	seen   Seen
	drift  placement.Drift
	at     time.Time
	// said is when this owner last wrote it: a new one says at once that it has
	// looked, also when it sees what the one before saw.
	said time.Time
}

// observe asks the target and writes down what has changed.
func (u *unit) observe(ctx context.Context) error {
	seen, asked := u.tenure.cfg.Target.Observe(ctx, u.name)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}

	now := written{loaded: true, seen: u.written.seen, at: u.written.at, said: store.Now()}

	if asked == nil {
		u.book.seen(seen, time.Now())

		now.seen, now.at = seenOf(seen), store.Now()

		if err := u.learn(ctx, now.seen.Versions); err != nil {
			return err
		}

		if err := u.moved(ctx, seen); err != nil {
			return err
		}
	} else if u.written.drift != placement.DriftUNREACHABLE {
		u.tenure.log.WarnContext(ctx, "the target cannot be asked", "unit", u.name, "error", asked)
	}

	now.drift = Verdict(u.book.applied, seen, asked, func(v string) bool { return u.versions[v] })

	same := u.written.loaded && u.written.drift == now.drift && reflect.DeepEqual(normal(u.written.seen), normal(now.seen))
	if same && now.said.Sub(u.written.said) < u.tenure.cfg.Refresh {
		return nil
	}

	if err := u.write(ctx, now, !same); err != nil {
		return err
	}

	u.written = now

	return nil
}

// moved tells where clients reach what is in place, when that is elsewhere.
func (u *unit) moved(ctx context.Context, seen deployer.Observation) error {
	r := u.book.recorded
	if u.tenure.cfg.Moved == nil || !r.Moved(seen) {
		return nil
	}

	if err := u.tenure.cfg.Moved(ctx, u.tenure.held, r.Deployment, seen.Endpoints); err != nil {
		return err
	}

	r.Endpoints = seen.Endpoints

	return nil
}

// normal makes nothing and none the same, as the row does.
func normal(seen Seen) Seen {
	out := Seen{Versions: make([]Version, len(seen.Versions)), Hands: seen.Hands}
	for i, v := range seen.Versions {
		if len(v.Images) == 0 {
			v.Images = nil
		}

		out.Versions[i] = v
	}

	if len(out.Hands) == 0 {
		out.Hands = nil
	}

	return out
}

// learn finds out which versions the memory has.
func (u *unit) learn(ctx context.Context, versions []Version) error {
	var ask []string

	for _, v := range versions {
		if v.VersionID != "" && !u.versions[v.VersionID] {
			ask = append(ask, v.VersionID)
		}
	}

	if len(ask) == 0 {
		return nil
	}

	found, err := u.tenure.store.Read.Version.Query().Where(version.IDIn(ask...)).IDs(ctx)
	if err != nil {
		return store.Classify(err)
	}

	for _, id := range found {
		u.versions[id] = true
	}

	return nil
}

// write writes what is there now, and what has changed into the history too.
func (u *unit) write(ctx context.Context, now written, changed bool) error {
	content, err := json.Marshal(normal(now.seen))
	if err != nil {
		return fmt.Errorf("observed side of %s: %w", u.placement, err)
	}

	return u.tenure.store.WithTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := tx.Fence(ctx, u.tenure.held); err != nil {
			return err
		}

		update := tx.Placement.UpdateOneID(u.placement).SetObserved(content)
		if !now.at.IsZero() {
			update.SetObservedAt(now.at)
		}

		if now.drift == "" {
			update.ClearDrift()
		} else {
			update.SetDrift(now.drift)
		}

		if err := update.Exec(ctx); err != nil || !changed {
			return err
		}

		return remember(ctx, tx, u.placement, content, now)
	})
}
