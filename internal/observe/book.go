package observe

import (
	"maps"
	"time"

	"github.com/shiplog/shiplog/deployer"
	"github.com/shiplog/shiplog/internal/logs"
)

// account is what is known of a deployment's log and output. Like the book it
// is pure: it decides, others read and write.
type account struct {
	deployment string
	// undeploy: it has no instances of its own.
	undeploy bool
	actedAt  time.Time
	// finishedAt is nil until the deployment is final and free of its slot.
	finishedAt *time.Time
	marked     bool // the outcome is in the log
	closed     bool
	// missing: the memory does not have this deployment.
	missing bool

	// stored is the position up to which each source is in the log, read the
	// one up to which it was read; what is between was passed over.
	stored, read map[string]int64
	// passed counts the lines that were passed over since the last taken.
	passed int64
	// drained: a read that began after it was known to be final found
	// nothing more.
	drained bool
	// goneSince is since when it has no instance, lastLine when a line came.
	goneSince, lastLine time.Time
}

// book holds the accounts of one unit.
type book struct {
	accounts map[string]*account
	applied  *Applied
	// recorded is nil where nothing is in place, or something else is applied.
	recorded *Recorded
}

// positions are where to read on.
func (b *book) positions() map[string]int64 {
	all := map[string]int64{}
	for _, a := range b.accounts {
		maps.Copy(all, a.read)
	}

	return all
}

// rewind forgets what was read but not stored: the log is the truth.
func (a *account) rewind(positions map[string]int64) {
	a.stored, a.read, a.passed = maps.Clone(positions), maps.Clone(positions), 0
	if a.stored == nil {
		a.stored, a.read = map[string]int64{}, map[string]int64{}
	}
}

// wants says whether a line of this time belongs into the log.
func (a *account) wants(at time.Time, runtime time.Duration, watched bool) bool {
	switch {
	case a.closed || a.missing:
		return false
	case a.finishedAt == nil || watched:
		return true
	}

	return !at.After(a.finishedAt.Add(runtime))
}

func (a *account) phase(at time.Time) logs.Phase {
	if a.marked || a.finishedAt != nil && at.After(*a.finishedAt) {
		return logs.Runtime
	}

	return logs.Rollout
}

// batch makes of the lines what is appended to the deployment's log, and notes
// them as read. It is empty when none of them is wanted.
func (a *account) batch(lines []deployer.Line, runtime time.Duration, watched bool) logs.Batch {
	var batch logs.Batch

	for _, l := range lines {
		a.read[l.Source.Key] = l.Position

		out := logs.Line{
			Time: l.Time, Stream: logs.Container, Phase: a.phase(l.Time),
			Container: l.Source.Container, Instance: l.Source.Instance, Attempt: l.Source.Attempt,
		}
		if l.Source.Told {
			out.Stream = logs.Cluster
		}

		if !a.wants(l.Time, runtime, watched) {
			a.passed += 1 + l.Gap

			continue
		}

		if a.passed > 0 {
			gap := out
			gap.Gap = &logs.Gap{Reason: logs.NotCollected, Lines: a.passed}
			batch.Lines, a.passed = append(batch.Lines, gap), 0
		}

		if l.Gap > 0 {
			gap := out
			gap.Gap = &logs.Gap{Reason: logs.SourceLost, Lines: l.Gap}
			batch.Lines = append(batch.Lines, gap)
		}

		out.Text, out.Truncated = l.Text, l.Truncated
		batch.Lines = append(batch.Lines, out)
	}

	if len(batch.Lines) == 0 {
		return batch
	}

	for key, to := range a.read {
		if from := a.stored[key]; from != to {
			batch.Advances = append(batch.Advances, logs.Advance{Source: key, From: from, To: to})
		}
	}

	return batch
}

// took notes that the batch is stored.
func (a *account) took(batch logs.Batch) {
	for _, adv := range batch.Advances {
		a.stored[adv.Source] = adv.To
	}
}

// seen notes which deployments have instances.
func (b *book) seen(o deployer.Observation, now time.Time) {
	running := map[string]bool{}
	for _, c := range o.Contents {
		running[c.Deployment] = true
	}

	for _, a := range b.accounts {
		switch {
		case running[a.deployment]:
			a.goneSince = time.Time{}
		case a.goneSince.IsZero():
			a.goneSince = now
		}
	}
}

// settlement is what is due for a log.
type settlement struct {
	account *account
	close   bool // else the outcome is to be marked
}

// due gives what can be settled now.
func (b *book) due(now time.Time, quiet time.Duration) []settlement {
	var all []settlement

	for _, a := range b.accounts {
		switch {
		case a.closed, a.missing, a.finishedAt == nil, !a.drained:
		case !a.marked:
			all = append(all, settlement{account: a})
		case a.undeploy, b.replaced(a) && !a.goneSince.IsZero() && now.Sub(a.goneSince) >= quiet && now.Sub(a.lastLine) >= quiet:
			all = append(all, settlement{account: a, close: true})
		}
	}

	return all
}

// replaced says whether a later deployment was applied.
func (b *book) replaced(a *account) bool {
	return b.applied != nil && b.applied.Deployment != a.deployment
}

// idle says that nothing is expected of the unit.
func (b *book) idle() bool {
	for _, a := range b.accounts {
		if !a.closed && !a.missing && (a.finishedAt == nil || !a.marked || a.goneSince.IsZero() || b.replaced(a)) {
			return false
		}
	}

	return true
}
