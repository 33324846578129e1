package deployment

import (
	"context"
	"errors"
	"time"

	"github.com/shiplog/shiplog/ent/db"
	"github.com/shiplog/shiplog/ent/db/step"
	"github.com/shiplog/shiplog/internal/access"
	"github.com/shiplog/shiplog/internal/journal"
	"github.com/shiplog/shiplog/internal/store"
)

// absentFirst and absentMost are how long a target that does not answer is left
// alone before it is asked again: at first, and at most.
const (
	absentFirst = 500 * time.Millisecond
	absentMost  = 5 * time.Second
	// absentWorkers is how many jobs may wait so at once: the others are for
	// targets that answer. What finds no place is left alone for absentParked.
	absentWorkers = workers / 2
	absentParked  = 30 * time.Second
)

// errParked: the target does not answer, and so many wait for such already that
// this one is taken up again later.
var errParked = errors.New("left until later: the target does not answer")

// absence is a target that does not answer, as one deployment meets it. It
// waits for as long as it takes; a person may stop it.
type absence struct {
	engine *Engine
	held   *store.Held
	kind   step.Kind

	since time.Time
	pause time.Duration
	// counted: it has a place among those that wait.
	counted bool
}

// wait says so, once, and lets some time pass. It reports true when the
// deployment was stopped meanwhile.
func (a *absence) wait(ctx context.Context, d *db.Deployment, cause error) (stopped bool, err error) {
	if a.since.IsZero() {
		a.since, a.pause = time.Now(), absentFirst

		a.engine.log.WarnContext(ctx, "a target does not answer; the deployment waits for it", "deployment", d.ID, "error", cause)

		// What went wrong there is for who runs the server.
		if err := a.say(ctx, d, "waiting: "+absentName(d)+" does not answer"); err != nil {
			return false, err
		}
	}

	if !a.counted {
		if a.engine.absent.Add(1) > absentWorkers {
			a.engine.absent.Add(-1)
			a.engine.jobs.park(d.ServiceID, d.EnvironmentID)

			return false, errParked
		}

		a.counted = true
	}

	now, err := a.engine.await(ctx, d, a.pause)
	a.pause = min(2*a.pause, absentMost)

	if err != nil || now.StopRequestedAt == nil {
		return false, err
	}

	return true, a.engine.stop(ctx, a.held, now)
}

// leave gives its place among those that wait to another.
func (a *absence) leave() {
	if a.counted {
		a.counted = false
		a.engine.absent.Add(-1)
	}
}

// over says that the target answers again, and how long it did not.
func (a *absence) over(ctx context.Context, d *db.Deployment) (took time.Duration, err error) {
	if a.since.IsZero() {
		return 0, nil
	}

	a.leave()
	a.engine.jobs.unpark()

	took, a.since = time.Since(a.since), time.Time{}

	return took, a.say(ctx, d, absentName(d)+" answers again, after "+took.Round(time.Second).String())
}

func absentName(d *db.Deployment) string {
	if name := value(d.Edges.Target.Connection); name != "" {
		return "the cluster " + name
	}

	return "the target"
}

// say writes it on the step and into the log.
func (a *absence) say(ctx context.Context, d *db.Deployment, message string) error {
	return a.engine.inTx(ctx, a.held, d, func(ctx context.Context, tx *store.Tx, _ *db.Placement, d *db.Deployment, steps map[step.Kind]*db.Step) error {
		s := steps[a.kind]
		if s.Status != step.StatusRUNNING {
			return nil
		}

		if err := note(ctx, tx, access.Engine().Actor, d, s, message); err != nil {
			return err
		}

		return a.engine.lines.Step(ctx, tx, d.ID, s.Name, message)
	})
}

// note writes on a step under way what is to be known of it, with its event.
func note(ctx context.Context, tx *store.Tx, actor journal.Actor, d *db.Deployment, s *db.Step, message string) error {
	if err := tx.Step.UpdateOneID(s.ID).SetMessage(message).Exec(ctx); err != nil {
		return err
	}

	payload := stepChange{Step: s.ID, Kind: s.Kind, From: s.Status, To: s.Status, Attempt: s.Attempt, Epoch: s.Epoch, Message: message}

	_, err := journal.Record(tx, journal.Entry{
		Type: "deployment.step", Actor: actor, Source: "engine", Subject: d.ID, Service: d.ServiceID, Message: d.ID + ": step " + s.Name + ": " + message, Payload: payload,
	})

	return err
}
