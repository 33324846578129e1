// Package deployer says what a deployer is. There is one implementation a
// kind of target (process, kubernetes, external), and all of them pass the
// conformance suite in deployertest. The words are those of ARCHITECTURE.md.
package deployer

import (
	"context"
	"errors"
	"time"

	"github.com/shiplog/shiplog/internal/spec"
)

// Unit is a service in an environment, by name: what one anchor stands for.
type Unit struct {
	Service     string
	Environment string
}

// Act is one deployment as a deployer sees it. An act may be repeated, by the
// same owner or by another one, at any time: what it applies arrives once.
type Act struct {
	Unit

	// Connection names the cluster that it goes to, for targets that have
	// several; "" for the others.
	Connection string
	// Deployment is the id of the deployment.
	Deployment string
	// Version is the id of the version, VersionName its name.
	Version     string
	VersionName string
	// Epoch is the fencing epoch of the unit's owner; it only grows. A write
	// with an epoch below the anchor's is refused with ErrFenced.
	Epoch int64
	// Snapshot is what to apply, Digest its digest. A nil snapshot (kind
	// UNDEPLOY) removes everything.
	Snapshot *spec.Snapshot
	Digest   string
	// Binding is where the snapshot's objects go, for targets that have
	// places (spec.Place puts them there); zero for the others. It has the
	// version's name of an act that has one.
	Binding spec.Binding
}

// Place is where a unit is, for targets that have places: a namespace of a
// cluster.
type Place struct {
	Connection string
	Namespace  string
}

// Deployer applies snapshots to one kind of target and says what became of
// them. All methods may be called by several goroutines for different units.
type Deployer interface {
	// Supports says why the snapshot cannot be applied here (an error whose
	// text is fit for the user), or nil. It is pure.
	Supports(snapshot *spec.Snapshot) error
	// Apply claims the unit's anchor for the act by compare-and-swap and
	// writes what the snapshot wants. It returns when the target has taken
	// it, not when it runs. Applying what is already there changes nothing
	// but the anchor, and says so in Applied.Unchanged.
	// Errors: ErrFenced; ErrUnreachable; ErrUnknown when the target may or may
	// not have taken it; anything else means that nothing was changed.
	Apply(ctx context.Context, act Act) (Applied, error)
	// Rollout moves the act's rollout on and says where it stands. It is
	// called again and again, by whoever owns the unit, until the verdict is
	// not Progressing. Reaching Ready means that the old instances are gone
	// or going. Errors as for Apply; a failed rollout is no error.
	Rollout(ctx context.Context, act Act) (Progress, error)
	// Abandon ends an act that failed or was cancelled: what can be taken
	// back without harm is taken back (a process target stops the instances
	// that never became ready, as long as the old ones still run). It says
	// what stays in place. Repeating it is harmless. The anchor remembers the
	// epoch, also where nothing was applied: an earlier owner who comes too
	// late is refused.
	Abandon(ctx context.Context, act Act) (Left, error)
	// Units lists what is anchored at this target.
	Units(ctx context.Context) ([]Unit, error)
	// Observe says what runs for the unit now.
	Observe(ctx context.Context, unit Unit) (Observation, error)
	// Read reads output that instances of the unit have written, after the
	// positions given (by Source.Key; a missing key means from the
	// beginning), at most limit lines (all sources together), oldest first
	// within a source. It does not wait. A part that is no longer to be had
	// is a Gap before the next line.
	Read(ctx context.Context, unit Unit, after map[string]int64, limit int) ([]Line, error)
	// Settle waits until Read, asked for the same positions, gives everything
	// that the unit's instances had written when Settle was called; or the
	// most that is held for readers who do not come for it. Errors: ctx's;
	// the target's, when it does not give the output of an instance.
	Settle(ctx context.Context, unit Unit, after map[string]int64) error
	// Wake returns a channel that receives (coalesced, never blocking the
	// sender) when a unit's output or state may have changed. It is a hint;
	// polling is the truth. The channel lives until ctx ends.
	Wake(ctx context.Context) <-chan Unit
}

// Teller is a deployer whose target itself tells what happens to a unit's
// objects: Kubernetes' events.
type Teller interface {
	// Events gives what was told after the positions, at most limit lines, in
	// the target's order. What repeats itself is told again when it has become
	// twice as often. Positions and keys are as for Read, but that positions
	// have holes: they grow in the target's order. It does not wait.
	Events(ctx context.Context, unit Unit, after map[string]int64, limit int) ([]Line, error)
}

// Errors of Apply, Rollout and Abandon.
var (
	// ErrFenced: the anchor belongs to a later epoch. The caller is no
	// longer the owner and must not write again.
	ErrFenced = errors.New("another owner has taken over")
	// ErrUnknown: the target may or may not have taken the change.
	ErrUnknown = errors.New("the outcome is not known")
	// ErrUnreachable: the target does not answer. It may have taken a part;
	// telling it again, when it answers, is right.
	ErrUnreachable = errors.New("the target does not answer")
)

// Applied says what Apply did.
type Applied struct {
	// Unchanged: the target already had exactly this content.
	Unchanged bool
	// Changes in words for the deployment's log, one a line ("instance 1 of
	// 2 started on port 40123"). Never nil values of variables.
	Changes []string
	// Endpoints where clients reach the service, by port name
	// ("http://127.0.0.1:8081").
	Endpoints map[string]string
}

// Verdict is where a rollout stands.
type Verdict string

// The verdicts.
const (
	Progressing Verdict = "PROGRESSING"
	Ready       Verdict = "READY"
	Failed      Verdict = "FAILED"
)

// Progress is what Rollout found.
type Progress struct {
	Verdict Verdict
	// Ready of Desired instances of the act's own content.
	Ready, Desired int
	// Message for people: "1 of 2 instances ready".
	Message string
	// Diagnosis when Verdict is Failed.
	Diagnosis *Diagnosis
	// Endpoints as in Applied, when Verdict is Ready: ports that somebody took
	// in between are others by then.
	Endpoints map[string]string
}

// Left is what Abandon left in place.
type Left struct {
	// Digest of the snapshot whose instances still run, "" for none.
	Digest string
	// Message for people.
	Message string
}

// DiagnosisKind says in one word why a rollout failed.
type DiagnosisKind string

// The diagnoses.
const (
	Crashed     DiagnosisKind = "CRASHED"
	NotReady    DiagnosisKind = "NOT_READY"
	StartFailed DiagnosisKind = "START_FAILED"
	TimedOut    DiagnosisKind = "TIMED_OUT"

	ImageUnavailable DiagnosisKind = "IMAGE_UNAVAILABLE"
	OutOfMemory      DiagnosisKind = "OUT_OF_MEMORY"
	Unschedulable    DiagnosisKind = "UNSCHEDULABLE"
	QuotaExceeded    DiagnosisKind = "QUOTA_EXCEEDED"
	AdmissionRefused DiagnosisKind = "ADMISSION_REFUSED"
	ReferenceMissing DiagnosisKind = "REFERENCE_MISSING"
)

// Diagnosis is the reason of a failed rollout.
type Diagnosis struct {
	Kind DiagnosisKind `json:"kind"`
	// Summary is one sentence; Advice says what to do next.
	Summary string `json:"summary"`
	Advice  string `json:"advice,omitempty"`
	// Object it is about, as kind and name, where the target has objects.
	Object string `json:"object,omitempty"`
	// Container and Instance it happened in, where it is about one.
	Container string `json:"container,omitempty"`
	Instance  string `json:"instance,omitempty"`
	// ExitCode when the process ended by itself, Signal when it was killed.
	ExitCode *int   `json:"exitCode,omitempty"`
	Signal   string `json:"signal,omitempty"`
	// Attempts is how often it was started.
	Attempts int `json:"attempts,omitempty"`
	// LastLines are the last lines of output, oldest first, at most 20.
	LastLines []string `json:"lastLines,omitempty"`
}

// Observation is what runs for a unit at a moment.
type Observation struct {
	At time.Time
	// Instances of every content that is there.
	Contents []Content
	// Anchor is what the target itself remembers of the last act.
	Anchor Anchor
	// Endpoints as in Applied.
	Endpoints map[string]string
	// Hands are those who changed an object behind Shiplog's back since the
	// last act, where the target tells.
	Hands []Hand
	// Strayed are objects without instances that are not as they were applied.
	Strayed []Stray
}

// Stray is an object that somebody has changed or removed.
type Stray struct {
	// Object as kind and name.
	Object string
	// Missing: it is not there.
	Missing bool
}

// Hand is who changed an object, and when.
type Hand struct {
	// Object as kind and name ("Deployment/web"), Manager as the target calls
	// who changed it ("kubectl-set"); At is zero when it does not tell.
	Object  string    `json:"object"`
	Manager string    `json:"manager"`
	At      time.Time `json:"at,omitzero"`
}

// Content is the set of instances with one snapshot digest.
type Content struct {
	Digest      string
	Deployment  string
	Version     string
	VersionName string
	Images      map[string]spec.Image
	Ready       int
	Desired     int
}

// Anchor is the target's own record of the last act.
type Anchor struct {
	Deployment string
	Epoch      int64
	Digest     string
}

// Source names where a line came from.
type Source struct {
	// Key is unique within the target and stable over restarts of Shiplog;
	// positions are kept by it.
	Key string
	// Deployment that the instance was made for.
	Deployment string
	Container  string
	// Instance is a short name ("hello-7f3a/0"), Attempt counts from 1.
	Instance string
	Attempt  int
	// Told: it is what the target says (Teller), and no output.
	Told bool
}

// Line is one line of output.
type Line struct {
	Source Source
	// Position within the source: above 0, and greater with every line.
	Position int64
	Time     time.Time
	// Text without its newline, valid UTF-8, at most 32 KiB; Truncated when
	// it was cut.
	Text      string
	Truncated bool
	// Gap, when not zero, says that this many lines before this one are
	// lost, at least.
	Gap int64
}
