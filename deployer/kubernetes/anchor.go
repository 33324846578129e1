package kubernetes

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/shiplog/shiplog/deployer"
	"github.com/shiplog/shiplog/internal/fault"
	"github.com/shiplog/shiplog/internal/spec"
)

// The labels of everything that is deployed, and of anchors.
const (
	labelService     = spec.LabelService
	labelEnvironment = spec.LabelEnvironment
	labelVersion     = spec.LabelVersion
	labelAnchor      = "shiplog.dev/anchor"
)

// anchor is what a unit remembers in its cluster.
type anchor struct {
	Deployment string `json:"deployment"`
	Epoch      int64  `json:"epoch"`
	// Since is when the act claimed the unit.
	Since time.Time `json:"since"`
	// Before is the act before it: what happened in its time is told of it.
	Before *earlier `json:"before,omitempty"`
	// Verdict of the act's rollout, once there is one; it does not change.
	Verdict   deployer.Verdict    `json:"verdict,omitempty"`
	Diagnosis *deployer.Diagnosis `json:"diagnosis,omitempty"`
	// Target is the content that is wanted, nil for none; Stable the one that
	// was last ready as a whole and is what Abandon goes back to.
	Target *content `json:"target,omitempty"`
	Stable *content `json:"stable,omitempty"`
	// Inventory is every object that may be there.
	Inventory []ref `json:"inventory,omitempty"`
}

// earlier is an act that another one has followed.
type earlier struct {
	Deployment string    `json:"deployment"`
	Since      time.Time `json:"since"`
}

// content is a set of objects that was applied as one.
type content struct {
	// Key names the exact objects; contents of one digest may differ in the
	// label of the version.
	Key         string `json:"key"`
	Digest      string `json:"digest"`
	Deployment  string `json:"deployment"`
	Version     string `json:"version"`
	VersionName string `json:"versionName"`
	Objects     []ref  `json:"objects"`
	// Workloads by object, once the rollout has found them.
	Workloads map[string]workload `json:"workloads,omitempty"`

	// Held is what hold has remembered, by object.
	Held map[string]string `json:"held,omitempty"`

	// packed are the objects, as binaryData holds them.
	packed []byte
}

// workload is an object that runs pods.
type workload struct {
	// Revision is the hash that its pods of this content carry.
	Revision string `json:"revision,omitempty"`
	// Replicas that the content asks for; nil when it leaves them to others.
	Replicas *int64 `json:"replicas,omitempty"`
}

// empty reports whether nothing is wanted and nothing is there.
func (a *anchor) empty() bool { return a.Target == nil && len(a.Inventory) == 0 }

// digest of what is wanted; "" when nothing is.
func (a *anchor) digest() string {
	if a.Target == nil {
		return ""
	}

	return a.Target.Digest
}

// want makes the act the last one, and the content what is wanted. The verdict
// is open again when either is another than before.
func (a *anchor) want(act deployer.Act, c *content, now time.Time) {
	before := ""
	if a.Target != nil {
		before = a.Target.Key
	}

	after := ""
	if c != nil {
		after = c.Key
	}

	if a.Deployment != act.Deployment || before != after {
		if a.Deployment != "" && a.Deployment != act.Deployment {
			a.Before = &earlier{a.Deployment, a.Since}
		}

		a.Verdict, a.Diagnosis, a.Since = "", nil, now
	}

	a.Deployment, a.Epoch, a.Target = act.Deployment, act.Epoch, c
}

// The parts of an anchor's ConfigMap. What stands beside the state is for
// people who look at it.
const (
	partState   = "state"
	partObjects = "objects."
)

// maxPacked bounds an anchor: etcd takes 1.5 MiB a request and Kubernetes 1 MiB
// a ConfigMap, in which both contents must find room.
const maxPacked = 480 << 10

// anchorName: neither name has a dot.
func anchorName(u deployer.Unit) string { return "shiplog." + u.Environment + "." + u.Service }

// write gives the ConfigMap that holds the anchor.
func (a *anchor) write(s site, resourceVersion string) (*corev1.ConfigMap, error) {
	state, err := json.Marshal(a)
	if err != nil {
		return nil, fmt.Errorf("write the anchor: %w", err)
	}

	inventory, err := json.Marshal(a.Inventory)
	if err != nil {
		return nil, fmt.Errorf("write the inventory: %w", err)
	}

	m := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Name: anchorName(s.Unit), Namespace: s.namespace, ResourceVersion: resourceVersion,
			Labels: map[string]string{labelService: s.Service, labelEnvironment: s.Environment, labelAnchor: "true"},
		},
		Data: map[string]string{
			partState: string(state), "inventory": string(inventory),
			"deployment": a.Deployment, "epoch": strconv.FormatInt(a.Epoch, 10), "digest": a.digest(),
		},
		BinaryData: map[string][]byte{},
	}

	for _, c := range []*content{a.Stable, a.Target} {
		if c != nil {
			m.BinaryData[partObjects+c.Key] = c.packed
		}
	}

	return m, nil
}

// readAnchor reads what write has written.
func readAnchor(m *corev1.ConfigMap) (*anchor, error) {
	var a anchor
	if err := json.Unmarshal([]byte(m.Data[partState]), &a); err != nil {
		return nil, fmt.Errorf("read the anchor %s/%s: %w", m.Namespace, m.Name, err)
	}

	for _, c := range []*content{a.Stable, a.Target} {
		if c != nil {
			c.packed = m.BinaryData[partObjects+c.Key]
		}
	}

	if a.Stable != nil && a.Target != nil && a.Stable.Key == a.Target.Key {
		a.Stable = a.Target
	}

	return &a, nil
}

// pack compresses the objects.
func pack(objects []json.RawMessage) ([]byte, error) {
	var packed bytes.Buffer

	w := gzip.NewWriter(&packed)
	if err := json.NewEncoder(w).Encode(objects); err != nil {
		return nil, fmt.Errorf("write the objects: %w", err)
	}

	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("compress the objects: %w", err)
	}

	if packed.Len() > maxPacked {
		return nil, fault.New(fault.InvalidInput, "the objects are %d KiB compressed; a unit's anchor takes %d KiB: bring large files in by an image or a volume", packed.Len()>>10, maxPacked>>10)
	}

	return packed.Bytes(), nil
}

// maxUnpacked bounds what is read of an anchor that somebody may have written.
const maxUnpacked = 64 << 20

func unpack(packed []byte) ([]json.RawMessage, error) {
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("read the anchor's objects: %w", err)
	}

	var objects []json.RawMessage
	if err := json.NewDecoder(io.LimitReader(r, maxUnpacked)).Decode(&objects); err != nil {
		return nil, fmt.Errorf("read the anchor's objects: %w", err)
	}

	return objects, nil
}
