package faults

import (
	"context"
	"errors"
	"runtime"

	"github.com/shiplog/shiplog/deployer"
	"github.com/shiplog/shiplog/internal/store"
)

// A script is what happens to one run of an owner, which comes by the same
// points whether it is the engine's or the model's: before and after every call
// of the target, and inside every transaction that writes to the log.
type script struct {
	labels []string // of the points that it came by
	stop   int      // the point at which something happens, -1 for none
	how    fate

	reached, resume chan struct{}
	dies            bool // when it is resumed
	died            bool
}

// fate is what happens to an owner.
type fate string

const (
	// dies: it is gone from one moment to the next, as a killed process is: a
	// transaction under way is lost, its lease stays as it was.
	dies fate = "dies"
	// stalls: it does nothing for a while, outside transactions.
	stalls fate = "stalls"
	// unsure: it is not told what became of the call.
	unsure fate = "unsure"
)

func newScript(stop int, how fate) *script {
	return &script{stop: stop, how: how, reached: make(chan struct{}), resume: make(chan struct{})}
}

// at is called at every point, by the owner's goroutine. It reports whether the
// outcome of the call is lost.
func (s *script) at(label string, call bool) (lost bool) {
	s.labels = append(s.labels, label)

	switch {
	case len(s.labels)-1 != s.stop:
	case s.how == unsure:
		return call
	case s.how == stalls && call:
		close(s.reached)
		<-s.resume

		if s.dies {
			s.die()
		}
	default:
		s.die()
	}

	return false
}

func (s *script) die() {
	s.died = true

	runtime.Goexit()
}

// course is a script that is being played by somebody.
type course struct {
	*script

	done chan struct{}
}

func play(s *script, run func()) *course {
	c := &course{script: s, done: make(chan struct{})}

	go func() {
		defer close(c.done)

		run()
	}()

	return c
}

// wait waits until it is over or stalls, and reports whether it stalls.
func (c *course) wait() (stalled bool) {
	select {
	case <-c.done:
		return false
	case <-c.reached:
		return true
	}
}

// goOn lets the one who stalls go on, or die, and waits for the end.
func (c *course) goOn(die bool) {
	c.dies = die
	close(c.resume)
	<-c.done
}

type scriptKey struct{}

func withScript(ctx context.Context, s *script) context.Context {
	return context.WithValue(ctx, scriptKey{}, s)
}

func scripted(ctx context.Context, label string, call bool) (lost bool) {
	s, ok := ctx.Value(scriptKey{}).(*script)

	return ok && s.at(label, call)
}

// scriptedTarget and scriptedLog come by the points of the caller's script.
type scriptedTarget struct{ deployer.Deployer }

// errLost is why an owner does not know what became of taking something back,
// which can always be repeated.
var errLost = errors.New("the answer was lost")

func byPoints[R any](ctx context.Context, name string, lost error, act deployer.Act, call func(context.Context, deployer.Act) (R, error)) (R, error) {
	var none R

	if scripted(ctx, name+"?", true) {
		return none, lost
	}

	answer, err := call(ctx, act)
	if err != nil {
		return none, err
	}

	if scripted(ctx, name+"!", true) {
		return none, lost
	}

	return answer, nil
}

func (s scriptedTarget) Apply(ctx context.Context, act deployer.Act) (deployer.Applied, error) {
	return byPoints(ctx, "apply", deployer.ErrUnknown, act, s.Deployer.Apply)
}

func (s scriptedTarget) Rollout(ctx context.Context, act deployer.Act) (deployer.Progress, error) {
	return byPoints(ctx, "rollout", deployer.ErrUnknown, act, s.Deployer.Rollout)
}

func (s scriptedTarget) Abandon(ctx context.Context, act deployer.Act) (deployer.Left, error) {
	return byPoints(ctx, "abandon", errLost, act, s.Deployer.Abandon)
}

type scriptedLog struct{ stepLog }

// Step appends lines of the stream STEP.
func (l scriptedLog) Step(ctx context.Context, tx *store.Tx, id, step string, lines ...string) error {
	scripted(ctx, "log "+step, false)

	return l.stepLog.Step(ctx, tx, id, step, lines...)
}
