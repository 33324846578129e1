package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/shiplog/shiplog/deployer"
)

// look is the last look at a rollout under way.
type look struct {
	deployment string
	epoch      int64
	at         time.Time
	// dirty: the watch has told of a change since.
	dirty    bool
	progress deployer.Progress
}

// lookEvery is how often a rollout is looked at of which the watch tells
// nothing; lookGap is the least time between two looks.
const (
	lookEvery = 2 * time.Second
	lookGap   = 250 * time.Millisecond
)

// Rollout looks where the rollout stands, writes into the anchor which pods
// are the content's, and removes what is not wanted any more when all are
// ready. Between looks it gives what the last one found.
func (d *Deployer) Rollout(ctx context.Context, act deployer.Act) (deployer.Progress, error) {
	s, err := d.at(act)
	if err != nil {
		return deployer.Progress{}, err
	}

	if progress, fresh := d.lookedAt(s, act); fresh {
		return progress, nil
	}

	began := time.Now()

	progress, err := d.lookAgain(ctx, s, act)

	if errors.Is(err, errRaced) {
		// Another owner, or this one from elsewhere: look again next time.
		return deployer.Progress{Verdict: deployer.Progressing, Message: "looking again"}, nil
	}

	if err == nil && progress.Verdict == deployer.Progressing {
		d.mu.Lock()
		d.looks[act.Unit] = look{deployment: act.Deployment, epoch: act.Epoch, at: began, progress: progress}
		d.mu.Unlock()
	}

	return progress, err
}

// lookedAt gives what the last look found, if that is good enough.
func (d *Deployer) lookedAt(s site, act deployer.Act) (deployer.Progress, bool) {
	s.watch.start()

	d.mu.Lock()
	defer d.mu.Unlock()

	last, ok := d.looks[act.Unit]
	if !ok || last.deployment != act.Deployment || last.epoch != act.Epoch {
		return deployer.Progress{}, false
	}

	age := time.Since(last.at)

	return last.progress, age < lookGap || !last.dirty && age < lookEvery
}

// forget makes the next Rollout look for itself.
func (d *Deployer) forget(u deployer.Unit) {
	d.mu.Lock()
	defer d.mu.Unlock()

	delete(d.looks, u)
}

func (d *Deployer) lookAgain(ctx context.Context, s site, act deployer.Act) (deployer.Progress, error) {
	a, err := s.load(ctx)

	switch {
	case err != nil:
		return deployer.Progress{}, err
	case a.version == "":
		return deployer.Progress{}, errNotApplied
	}

	if err := a.fence(act); err != nil {
		return deployer.Progress{}, err
	}

	if a.Deployment != act.Deployment {
		return deployer.Progress{}, fmt.Errorf("%s, not %s: %w", a.Deployment, act.Deployment, errNotApplied)
	}

	if err := d.advance(ctx, &a, act); err != nil {
		return deployer.Progress{}, err
	}

	if a.Verdict != "" {
		return deployer.Progress{Verdict: a.Verdict, Diagnosis: a.Diagnosis}, nil
	}

	found, err := s.look(ctx, a.Target)
	if err != nil {
		return deployer.Progress{}, err
	}

	if a.Target == nil {
		return d.departing(ctx, &a, act, found)
	}

	if err := d.record(ctx, &a, found); err != nil {
		return deployer.Progress{}, err
	}

	found.since, found.deadline = a.Since, progressDeadline(found.objects, d.config.Deadline)

	progress, _ := judge(found)

	switch progress.Verdict {
	case deployer.Ready:
		progress.Endpoints = endpoints(a.Target.packed)

		return progress, d.succeed(ctx, &a, act)
	case deployer.Failed:
		return d.fail(ctx, &a, found, progress)
	default:
		return d.suspect(ctx, &a, found, progress)
	}
}

// record writes into the anchor which hash the content's pods carry.
func (d *Deployer) record(ctx context.Context, a *anchored, found sight) error {
	known := maps.Clone(a.Target.Workloads)
	if known == nil {
		known = map[string]workload{}
	}

	for _, one := range found.objects {
		if one.revision != "" {
			w := known[one.String()]
			w.Revision = one.revision
			known[one.String()] = w
		}
	}

	if maps.EqualFunc(known, a.Target.Workloads, func(x, y workload) bool { return x.Revision == y.Revision }) {
		return nil
	}

	a.Target.Workloads = known

	return d.save(ctx, a)
}

// succeed makes the content the stable one, then removes what is not wanted.
func (d *Deployer) succeed(ctx context.Context, a *anchored, act deployer.Act) error {
	if err := d.prune(ctx, a, act); err != nil {
		return err
	}

	a.Stable, a.Verdict = a.Target, deployer.Ready

	return d.save(ctx, a)
}

// suspect looks at the events of a rollout that goes on although something
// seems to be wrong: only they tell a refusal of a registry from a hiccup.
func (d *Deployer) suspect(ctx context.Context, a *anchored, found sight, progress deployer.Progress) (deployer.Progress, error) {
	all := findings(found, ownPods(found))
	if len(all) == 0 {
		if found.now.Sub(found.since) < patience || progress.Ready > 0 {
			return progress, nil
		}
	}

	var err error
	if found.events, err = a.site.eventsOf(ctx, found); err != nil {
		return progress, err
	}

	again, _ := judge(found)
	if again.Verdict == deployer.Failed {
		return d.fail(ctx, a, found, again)
	}

	if all := findings(found, ownPods(found)); len(all) > 0 && all[0].Kind != deployer.NotReady {
		again.Message += "; " + all[0].Summary
	}

	return again, nil
}

// fail completes the diagnosis and writes the verdict down before it is told.
func (d *Deployer) fail(ctx context.Context, a *anchored, found sight, progress deployer.Progress) (deployer.Progress, error) {
	if found.events == nil {
		var err error
		if found.events, err = a.site.eventsOf(ctx, found); err != nil {
			return progress, err
		}
	}

	again, where := judge(found)
	if again.Verdict == deployer.Failed {
		progress = again
	}

	if where != nil {
		lines, err := a.site.lastLines(ctx, where)
		if err != nil {
			// The diagnosis is good without them.
			d.config.Logger.WarnContext(ctx, "the last lines are not to be had", "unit", a.site.Unit, "pod", where.pod, "error", err)
		}

		progress.Diagnosis.LastLines = lines
	}

	a.Verdict, a.Diagnosis = deployer.Failed, progress.Diagnosis

	return progress, d.save(ctx, a)
}

// departing is the rollout of nothing.
func (d *Deployer) departing(ctx context.Context, a *anchored, act deployer.Act, found sight) (deployer.Progress, error) {
	progress := deployer.Progress{Verdict: deployer.Progressing}

	all, err := a.site.remove(ctx, act, a.Inventory)
	if err != nil {
		return progress, err
	}

	left := 0

	for _, r := range all {
		if !r.gone && r.kept == "" {
			left++
		}
	}

	if left > 0 || len(found.pods) > 0 {
		progress.Message = fmt.Sprintf("%d objects and %d pods are still there", left, len(found.pods))

		return progress, nil
	}

	a.Inventory, a.Stable, a.Verdict = nil, nil, deployer.Ready

	return deployer.Progress{Verdict: deployer.Ready, Message: "nothing runs any more"}, d.save(ctx, a)
}
