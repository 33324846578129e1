//go:build unix

package process

import (
	"fmt"
	"time"

	"github.com/shiplog/shiplog/deployer"
)

// maxCrashes before a run was ever ready are enough to give up.
const maxCrashes = 3

// defaultStartup is for plans that name none.
const defaultStartup = 60 * time.Second

// view is what is known of one run at a moment.
type view struct {
	run   generationRun
	state runState
	probe string
	alive bool
}

// judge says where the rollout of a generation stands: how many instances are
// ready, and what is to blame once it has failed. It is pure; last lines are
// for the caller to add, from the run that is given.
func judge(g generation, since time.Time, views []view, now time.Time) (ready int, blame *view, d *deployer.Diagnosis) {
	broken := map[string]bool{}

	for i := range views {
		v := &views[i]
		if !v.alive || !v.state.Ready {
			broken[v.run.instance.Name] = true
		}

		if d == nil {
			if d = conclusive(v); d != nil {
				blame = v
			}
		}
	}

	ready = len(g.Instances) - len(broken)
	if d != nil || ready == len(g.Instances) {
		return ready, blame, d
	}

	limit := time.Duration(g.Process.StartupSeconds) * time.Second
	if limit <= 0 {
		limit = defaultStartup
	}

	if g.SpawnedAt.After(since) {
		since = g.SpawnedAt
	}

	if now.Sub(since) < limit {
		return ready, nil, nil
	}

	for i := range views {
		if v := &views[i]; !v.alive || !v.state.Ready {
			return ready, v, late(v, limit)
		}
	}

	return ready, nil, nil
}

// conclusive finds what more time will not mend.
func conclusive(v *view) *deployer.Diagnosis {
	switch {
	case v.state.StartError != "" && (v.state.Hopeless || v.state.Attempt >= maxCrashes):
		return &deployer.Diagnosis{
			Kind: deployer.StartFailed, Summary: v.state.StartError,
			Advice: "Check the command of the workload; a relative one is looked up where the server runs.",
		}
	case !v.state.EverReady && v.state.Crashes >= maxCrashes && v.state.LastExit != nil:
		return crashed(v)
	default:
		return nil
	}
}

func crashed(v *view) *deployer.Diagnosis {
	e := v.state.LastExit

	how := "was killed by " + e.Signal
	if e.Code != nil {
		how = fmt.Sprintf("ended with exit code %d", *e.Code)
	}

	return &deployer.Diagnosis{
		Kind:     deployer.Crashed,
		Summary:  fmt.Sprintf("The process %s before it was ready, %d times.", how, v.state.Crashes),
		Advice:   "Its last lines usually say why.",
		ExitCode: e.Code, Signal: e.Signal,
	}
}

// late says what a run was doing when its time was over.
func late(v *view, limit time.Duration) *deployer.Diagnosis {
	switch {
	case v.state.StartError != "":
		return &deployer.Diagnosis{Kind: deployer.StartFailed, Summary: v.state.StartError}
	case v.alive && v.state.Phase == phaseRunning && v.state.LastExit == nil:
		said := v.state.ProbeError
		if said == "" {
			said = "no answer yet"
		}

		return &deployer.Diagnosis{
			Kind:    deployer.NotReady,
			Summary: fmt.Sprintf("The process runs but was not ready within %s (%s: %s).", limit, v.probe, said),
			Advice:  "Check that it listens on the port in PORT on 127.0.0.1 and that its readiness path answers 2xx.",
		}
	case v.state.LastExit != nil && v.state.EverReady:
		d := crashed(v)
		d.Summary = fmt.Sprintf("The process keeps crashing and was not ready within %s.", limit)

		return d
	case v.state.LastExit != nil:
		return crashed(v)
	default:
		return &deployer.Diagnosis{
			Kind:    deployer.TimedOut,
			Summary: fmt.Sprintf("Nothing was heard of the process within %s.", limit),
			Advice:  "See shim.log in the instance's directory.",
		}
	}
}

// complete adds to a diagnosis where it happened.
func complete(d *deployer.Diagnosis, service string, v *view) error {
	d.Container, d.Instance, d.Attempts = v.run.container, shown(service, v.run.instance.Name), v.state.Attempt

	attempt := v.state.Attempt
	if v.state.LastExit != nil && d.Kind == deployer.Crashed {
		attempt = v.state.LastExit.Attempt
	}

	lines, err := lastLines(string(v.run.dir), attempt, maxLastLines)
	d.LastLines = lines

	return err
}

// maxLastLines is how many lines a diagnosis shows.
const maxLastLines = 20
