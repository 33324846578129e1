package faults

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/shiplog/shiplog/deployer"
	"github.com/shiplog/shiplog/deployer/deployertest"
	"github.com/shiplog/shiplog/internal/spec"
)

// ledger is a target that only keeps books, in memory: fast enough for
// thousands of sequences. It passes the suite that all deployers pass.
type ledger struct {
	mu    sync.Mutex
	units map[deployer.Unit]*book
	wakes map[chan deployer.Unit]struct{}
}

// book is a unit: its anchor, what is there, and what was ever started.
type book struct {
	anchor   deployer.Anchor
	contents []*booked
	target   *booked // what the last act wants, nil for nothing
	verdict  deployer.Verdict
	why      *deployer.Diagnosis
	since    time.Time
	lines    []deployer.Line
	started  []start
}

// booked is a content that is there.
type booked struct {
	deployer.Content

	behaviour deployertest.Behaviour
	limit     time.Duration
	serving   bool
}

// start is a content that was started for a deployment.
type start struct{ deployment, digest string }

func newLedger() *ledger {
	return &ledger{units: map[deployer.Unit]*book{}, wakes: map[chan deployer.Unit]struct{}{}}
}

var _ deployer.Deployer = (*ledger)(nil)

// bookedProcess reads what a snapshot wants: the first argument of its
// container is its behaviour.
func bookedProcess(snapshot *spec.Snapshot) (p spec.Process, b deployertest.Behaviour, err error) {
	for _, raw := range snapshot.Objects {
		if err := json.Unmarshal(raw, &p); err != nil {
			return p, "", err
		}
	}

	for _, container := range p.Containers {
		if len(container.Args) > 0 {
			b = deployertest.Behaviour(container.Args[0])
		}
	}

	if !slices.Contains([]deployertest.Behaviour{deployertest.Serves, deployertest.Crashes, deployertest.NeverReady, deployertest.CannotStart}, b) {
		return p, b, fmt.Errorf("nobody knows how to run %q", b)
	}

	return p, b, nil
}

func (l *ledger) Supports(snapshot *spec.Snapshot) error {
	_, _, err := bookedProcess(snapshot)

	return err
}

var label = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

// open finds the unit's book for an act, which must not be older than the last
// one.
func (l *ledger) open(act deployer.Act) (*book, error) {
	if !label.MatchString(act.Service) || !label.MatchString(act.Environment) {
		return nil, fmt.Errorf("%+v is not a unit", act.Unit)
	}

	b := l.units[act.Unit]
	if b == nil {
		b = &book{}
	}

	if act.Epoch < b.anchor.Epoch {
		return nil, deployer.ErrFenced
	}

	return b, nil
}

func (l *ledger) Apply(_ context.Context, act deployer.Act) (deployer.Applied, error) {
	l.mu.Lock()
	defer l.mu.Unlock()

	var (
		p         spec.Process
		behaviour deployertest.Behaviour
		err       error
	)

	if act.Snapshot != nil {
		if p, behaviour, err = bookedProcess(act.Snapshot); err != nil {
			return deployer.Applied{}, err
		}
	}

	b, err := l.open(act)
	if err != nil {
		return deployer.Applied{}, err
	}

	l.units[act.Unit] = b
	defer l.wake(act.Unit)

	if b.anchor.Deployment != act.Deployment {
		b.verdict, b.why, b.since = "", nil, time.Now()
	}

	b.anchor = deployer.Anchor{Deployment: act.Deployment, Epoch: act.Epoch, Digest: act.Digest}

	if act.Snapshot == nil {
		unchanged := len(b.contents) == 0
		b.contents, b.target, b.anchor.Digest = nil, nil, ""

		return deployer.Applied{Unchanged: unchanged, Changes: []string{"everything is removed"}}, nil
	}

	same := b.having(act)
	unchanged := same != nil

	if same == nil {
		same = b.start(act, p, behaviour)
	}

	same.Version, same.VersionName, b.target = act.Version, act.VersionName, same
	// What never served is not needed by anybody.
	b.contents = slices.DeleteFunc(b.contents, func(c *booked) bool { return c != same && !c.serving })

	return deployer.Applied{Unchanged: unchanged, Changes: []string{"it is in the books"}}, nil
}

// having gives the content that is what the act wants already.
func (b *book) having(act deployer.Act) *booked {
	for _, c := range b.contents {
		if c.Digest == act.Digest && (c.serving || c.Deployment == act.Deployment) {
			return c
		}
	}

	return nil
}

func (b *book) start(act deployer.Act, p spec.Process, behaviour deployertest.Behaviour) *booked {
	c := &booked{behaviour: behaviour, limit: time.Duration(p.StartupSeconds) * time.Second, Content: deployer.Content{
		Digest: act.Digest, Deployment: act.Deployment, Desired: p.Replicas,
	}}
	b.contents = append(b.contents, c)
	b.started = append(b.started, start{act.Deployment, act.Digest})
	b.verdict, b.why, b.since = "", nil, time.Now()

	for i := range p.Replicas {
		name := fmt.Sprintf("%d/%d", len(b.started), i)

		for n, text := range said(behaviour) {
			b.lines = append(b.lines, deployer.Line{
				Source:   deployer.Source{Key: name, Deployment: act.Deployment, Container: "main", Instance: name, Attempt: 1},
				Position: int64(n + 1), Time: time.Now(), Text: text,
			})
		}
	}

	return c
}

// said is what an instance prints.
func said(behaviour deployertest.Behaviour) (lines []string) {
	switch behaviour {
	case deployertest.CannotStart:
		return nil
	case deployertest.Crashes:
		return []string{"about to fail"}
	case deployertest.Serves, deployertest.NeverReady:
	}

	for n := range deployertest.StartLines {
		lines = append(lines, fmt.Sprintf("line %d", n+1))
	}

	return lines
}

func (l *ledger) Rollout(_ context.Context, act deployer.Act) (deployer.Progress, error) {
	l.mu.Lock()
	defer l.mu.Unlock()

	b, err := l.open(act)
	if err != nil {
		return deployer.Progress{}, err
	}

	if b.anchor.Deployment != act.Deployment {
		return deployer.Progress{}, errors.New("another deployment was applied")
	}

	b.anchor.Epoch = act.Epoch

	if b.verdict == "" {
		b.judge()
	}

	progress := deployer.Progress{Verdict: b.verdict, Diagnosis: b.why, Message: "the books say so"}
	if b.verdict == "" {
		progress.Verdict = deployer.Progressing
	}

	if c := b.target; c != nil {
		progress.Ready, progress.Desired = c.Ready, c.Desired
	}

	return progress, nil
}

// judge says what became of what the last act wants, once that is known.
func (b *book) judge() {
	failed := func(kind deployer.DiagnosisKind) {
		code := deployertest.CrashCode
		b.verdict = deployer.Failed
		b.why = &deployer.Diagnosis{
			Kind: kind, Summary: "the books say so", Container: "main", Instance: "0", ExitCode: &code, Attempts: 1, LastLines: []string{"about to fail"},
		}
	}

	switch {
	case b.target == nil, b.target.behaviour == deployertest.Serves:
		b.verdict = deployer.Ready
		b.contents = slices.DeleteFunc(b.contents, func(c *booked) bool { return c != b.target })

		if b.target != nil {
			b.target.serving, b.target.Ready = true, b.target.Desired
		}
	case b.target.behaviour == deployertest.Crashes:
		failed(deployer.Crashed)
	case b.target.behaviour == deployertest.CannotStart:
		failed(deployer.StartFailed)
	case time.Since(b.since) > b.target.limit:
		failed(deployer.NotReady)
	}
}

func (l *ledger) Abandon(_ context.Context, act deployer.Act) (deployer.Left, error) {
	l.mu.Lock()
	defer l.mu.Unlock()

	b, err := l.open(act)
	if err != nil {
		return deployer.Left{}, err
	}

	l.units[act.Unit] = b
	b.anchor.Epoch = act.Epoch

	if b.anchor.Deployment == act.Deployment && b.target != nil {
		b.contents = slices.DeleteFunc(b.contents, func(c *booked) bool { return !c.serving || b.target.serving && c != b.target })
		b.target, b.anchor.Digest = nil, ""

		if len(b.contents) > 0 {
			b.target = b.contents[len(b.contents)-1]
			b.anchor.Digest = b.target.Digest
		}
	}

	if b.target == nil || !b.target.serving {
		return deployer.Left{Message: "nothing stays in place"}, nil
	}

	return deployer.Left{Digest: b.target.Digest, Message: b.target.VersionName + " goes on"}, nil
}

func (l *ledger) Units(context.Context) ([]deployer.Unit, error) {
	l.mu.Lock()
	defer l.mu.Unlock()

	var units []deployer.Unit

	for name, b := range l.units {
		if len(b.contents) > 0 {
			units = append(units, name)
		}
	}

	return units, nil
}

func (l *ledger) Observe(_ context.Context, unit deployer.Unit) (deployer.Observation, error) {
	l.mu.Lock()
	defer l.mu.Unlock()

	seen := deployer.Observation{At: time.Now()}

	if b := l.units[unit]; b != nil {
		seen.Anchor = b.anchor
		for _, c := range b.contents {
			seen.Contents = append(seen.Contents, c.Content)
		}
	}

	return seen, nil
}

func (l *ledger) Read(_ context.Context, unit deployer.Unit, after map[string]int64, limit int) ([]deployer.Line, error) {
	l.mu.Lock()
	defer l.mu.Unlock()

	var lines []deployer.Line

	if b := l.units[unit]; b != nil {
		for _, line := range b.lines {
			if line.Position > after[line.Source.Key] && len(lines) < limit {
				lines = append(lines, line)
			}
		}
	}

	return lines, nil
}

func (l *ledger) Settle(context.Context, deployer.Unit, map[string]int64) error { return nil }

func (l *ledger) Wake(ctx context.Context) <-chan deployer.Unit {
	l.mu.Lock()
	defer l.mu.Unlock()

	c := make(chan deployer.Unit, 1)
	l.wakes[c] = struct{}{}

	context.AfterFunc(ctx, func() {
		l.mu.Lock()
		defer l.mu.Unlock()

		delete(l.wakes, c)
		close(c)
	})

	return c
}

// wake hints; the caller holds the lock.
func (l *ledger) wake(unit deployer.Unit) {
	for c := range maps.Keys(l.wakes) {
		select {
		case c <- unit:
		default:
		}
	}
}

func TestTheLedgerIsADeployer(t *testing.T) {
	t.Parallel()

	deployertest.Run(t, func(t *testing.T) deployertest.Target {
		t.Helper()

		l := newLedger()

		return deployertest.Target{
			Open: func(*testing.T) deployer.Deployer { return l }, Patience: 5 * time.Second,
			Content: func(t *testing.T, b deployertest.Behaviour, revision string) *spec.Snapshot {
				t.Helper()

				raw, err := json.Marshal(spec.Process{
					Kind: "Process", Name: "hello", Replicas: 2, StartupSeconds: 1,
					Containers: map[string]spec.ProcessContainer{"main": {Command: []string{"ledger"}, Args: []string{string(b), revision}}},
				})
				if err != nil {
					t.Fatal(err)
				}

				return &spec.Snapshot{Renderer: spec.RendererVersion, Target: spec.TargetProcess, Objects: map[string]json.RawMessage{"Process/hello": raw}}
			},
			Refused: map[string]*spec.Snapshot{"nobody knows": {Target: spec.TargetProcess}},
		}
	})
}

// books gives the deployments for which was started what serves and what is on
// its way, and all for which something ever was.
func (l *ledger) books(unit deployer.Unit) (serving, coming string, started []string) {
	l.mu.Lock()
	defer l.mu.Unlock()

	b := l.units[unit]
	if b == nil {
		return "", "", nil
	}

	for _, c := range b.contents {
		if c.serving {
			serving += c.Deployment
		} else {
			coming += c.Deployment
		}
	}

	for _, s := range b.started {
		started = append(started, s.deployment)
	}

	return serving, coming, started
}
