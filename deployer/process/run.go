//go:build unix

package process

import (
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// runDir is the directory of a run: one container of one instance.
type runDir string

func (r runDir) file(name string) string { return filepath.Join(string(r), name) }
func (r runDir) lock() string            { return r.file("lock") }
func (r runDir) spec() string            { return r.file("spec.json") }
func (r runDir) state() string           { return r.file("state.json") }
func (r runDir) stop() string            { return r.file("stop") }
func (r runDir) control() string         { return r.file("control") }

// runSpec is what a shim runs. It is written once, before the shim.
type runSpec struct {
	Key        string `json:"key"`
	Deployment string `json:"deployment"`
	Instance   string `json:"instance"`
	Container  string `json:"container"`

	Argv []string `json:"argv"`
	// Variables with PORT and PORT_<NAME>, without what is inherited.
	Variables map[string]string `json:"variables,omitempty"`
	WorkDir   string            `json:"workDir"`
	Probe     probe             `json:"probe"`

	Grace        time.Duration `json:"grace"`
	BackoffFirst time.Duration `json:"backoffFirst"`
	BackoffMax   time.Duration `json:"backoffMax"`
	SegmentBytes int64         `json:"segmentBytes"`
	Segments     int           `json:"segments"`
}

// phase is what a run is doing.
type phase string

const (
	phaseStarting phase = "STARTING"
	phaseRunning  phase = "RUNNING"
	phaseBackoff  phase = "BACKOFF"
	phaseStopped  phase = "STOPPED"
)

// runState is what became of a run. Only its shim writes it.
type runState struct {
	Phase phase `json:"phase"`
	// Shim and Process are process ids; Boot says which boot they are of.
	Shim    int    `json:"shim"`
	Process int    `json:"process,omitempty"`
	Boot    string `json:"boot,omitempty"`
	// Attempt counts the starts from 1.
	Attempt   int       `json:"attempt"`
	StartedAt time.Time `json:"startedAt,omitzero"`
	Ready     bool      `json:"ready"`
	EverReady bool      `json:"everReady"`
	// Crashes counts the exits before the run was ever ready.
	Crashes int `json:"crashes"`
	// ProbeError is what the readiness probe last said.
	ProbeError string `json:"probeError,omitempty"`
	// StartError says why the last start failed; Hopeless, that trying again
	// will not help.
	StartError string `json:"startError,omitempty"`
	Hopeless   bool   `json:"hopeless,omitempty"`
	// LastExit is how the last attempt ended.
	LastExit *exit `json:"lastExit,omitempty"`
}

// exit is how a process ended: with a code, or by a signal.
type exit struct {
	Attempt int       `json:"attempt"`
	At      time.Time `json:"at"`
	Code    *int      `json:"code,omitempty"`
	Signal  string    `json:"signal,omitempty"`
}

// stopWish is the content of the stop file.
type stopWish struct {
	// NotBefore lets connections that were made before the routes changed
	// come to their end.
	NotBefore time.Time `json:"notBefore"`
}

// readState gives the zero state when the shim has not written one yet. A
// power loss may leave an unreadable one, which is as good as none.
func (r runDir) readState() runState {
	var s runState
	if _, err := readJSON(r.state(), &s); err != nil {
		return runState{}
	}

	return s
}

// alive reports whether the run has a shim. The caller holds the unit's lock,
// or may take somebody else's look for a shim.
func (r runDir) alive() (bool, error) {
	if _, err := os.Stat(string(r)); err != nil {
		if os.IsNotExist(err) {
			return false, nil
		}

		return false, fmt.Errorf("look for the run: %w", err)
	}

	return held(r.lock())
}

// askToStop leaves the wish and wakes the shim. An earlier wish stands.
func (r runDir) askToStop(drain time.Duration) error {
	if _, err := os.Stat(r.stop()); err == nil {
		return poke(r.control())
	}

	if err := writeJSON(r.stop(), stopWish{NotBefore: time.Now().Add(drain)}, false); err != nil {
		return err
	}

	return poke(r.control())
}

// prepare makes the directory with what its shim needs.
func (r runDir) prepare(s runSpec) error {
	if err := os.MkdirAll(string(r), dirMode); err != nil {
		return fmt.Errorf("make the run's directory: %w", err)
	}

	if err := makeFIFO(r.control()); err != nil {
		return err
	}

	if _, err := os.Stat(r.spec()); err == nil {
		return nil
	}

	return writeJSON(r.spec(), s, false)
}

// allow takes back the wish to stop.
func (r runDir) allow() error {
	if err := os.Remove(r.stop()); err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("take back the wish to stop: %w", err)
	}

	return nil
}
