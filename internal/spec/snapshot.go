package spec

import "encoding/json"

// TargetKind is the kind of place that a snapshot is rendered for.
type TargetKind string

// The kinds of targets.
const (
	TargetProcess    TargetKind = "PROCESS"
	TargetKubernetes TargetKind = "KUBERNETES"
	TargetExternal   TargetKind = "EXTERNAL"
)

// RendererVersion names the rules by which workload and configuration become
// objects. It is part of every snapshot: two snapshots of one input differ
// when the rules differ.
const RendererVersion = "2"

// Snapshot is everything that is needed to repeat a deployment. Its digest is
// the SHA-256 of its canonical form. All lists that have an identity
// (containers, variables, ports, images, objects) are maps keyed by it, so
// that a path means the same thing everywhere.
type Snapshot struct {
	// Renderer is the RendererVersion that made Objects.
	Renderer string `json:"renderer"`
	// Target is the kind of target that the objects are for.
	Target TargetKind `json:"target"`
	// Images by name.
	Images map[string]Image `json:"images,omitempty"`
	// Workload is the version's own document.
	Workload Workload `json:"workload"`
	// Configuration is the effective configuration, all layers merged.
	Configuration Configuration `json:"configuration"`
	// Layers are the revisions that Configuration was merged from, by scope
	// (SERVICE, ENVIRONMENT, SERVICE_IN_ENVIRONMENT): the ids of revisions.
	// They are provenance and outside the digest.
	Layers map[string]string `json:"-"`
	// Objects are the environment-neutral rendered objects, keyed by
	// kind/name ("Process/hello", "apps/v1/Deployment/hello").
	Objects map[string]json.RawMessage `json:"objects"`
}

// Image is one image of a version. Digest ("sha256:…") is empty until it is
// known; what is deployed to a cluster is always a digest.
type Image struct {
	Reference string `json:"reference"`
	Digest    string `json:"digest,omitempty"`
}

// Workload is what a version runs: a Score document (score.dev/v1b1, as JSON)
// or Kubernetes manifests (a multi-document YAML text). At most one is set;
// none means that the version cannot be deployed by Shiplog, only recorded.
type Workload struct {
	Score     json.RawMessage `json:"score,omitempty"`
	Manifests string          `json:"manifests,omitempty"`
}

// Process is the one object of a plan for a PROCESS target.
type Process struct {
	Kind string `json:"kind"` // always "Process"
	Name string `json:"name"`
	// Replicas is how many instances run; each runs every container.
	Replicas int `json:"replicas"`
	// Containers by name.
	Containers map[string]ProcessContainer `json:"containers"`
	// Ports of the service by name: what clients dial.
	Ports map[string]ProcessPort `json:"ports,omitempty"`
	// StartupSeconds is how long an instance may take to become ready.
	StartupSeconds int `json:"startupSeconds"`
}

// ProcessContainer is one operating-system process of an instance.
type ProcessContainer struct {
	// Command is the program and its first arguments; never empty.
	Command []string `json:"command"`
	// Args follow Command.
	Args []string `json:"args,omitempty"`
	// Variables of the environment, complete: nothing is inherited but PATH,
	// HOME and TMPDIR.
	Variables map[string]string `json:"variables,omitempty"`
	// Readiness is asked until it answers; nil means a TCP connect to the
	// service's ports, or "runs for one second" where there is none.
	Readiness *ReadinessProbe `json:"readiness,omitempty"`
}

// ProcessPort is a port of the service. Port is what clients dial on
// loopback. TargetPort is what the workload says it listens on; a process is
// told the port that it got in the variable PORT (the first port by name) and
// PORT_<NAME>.
type ProcessPort struct {
	Port       int `json:"port"`
	TargetPort int `json:"targetPort"`
}

// ReadinessProbe is an HTTP GET (2xx and 3xx are ready) or, where Path is
// empty, a TCP connect to the target port.
type ReadinessProbe struct {
	Path       string            `json:"path,omitempty"`
	TargetPort int               `json:"targetPort"`
	Headers    map[string]string `json:"headers,omitempty"`
}
