package kubernetes

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/shiplog/shiplog/deployer"
	"github.com/shiplog/shiplog/internal/fault"
	"github.com/shiplog/shiplog/internal/spec"
)

// Supports says what in the snapshot is no object of a cluster.
func (d *Deployer) Supports(snapshot *spec.Snapshot) error {
	if snapshot == nil {
		return nil // there is nothing to undeploy that it could not
	}

	return check(snapshot)
}

// check looks at every object of the snapshot.
func check(snapshot *spec.Snapshot) error {
	var problems []string

	for _, key := range slices.Sorted(maps.Keys(snapshot.Objects)) {
		var content map[string]any

		if err := json.Unmarshal(snapshot.Objects[key], &content); err != nil {
			problems = append(problems, fmt.Sprintf("the object %s is not readable: %v", key, err))

			continue
		}

		o := &unstructured.Unstructured{Object: content}
		if o.GetAPIVersion() == "" || o.GetKind() == "" || o.GetName() == "" {
			problems = append(problems, "it does not know the object "+key)
		}
	}

	if len(snapshot.Objects) == 0 {
		problems = append(problems, "there is no object to apply")
	}

	if len(problems) > 0 {
		return fault.New(fault.InvalidInput, "a Kubernetes target cannot run this: %s", strings.Join(problems, "; "))
	}

	return nil
}

// contentOf makes what the act wants: its objects in their place.
func contentOf(act deployer.Act) (*content, error) {
	if err := check(act.Snapshot); err != nil {
		return nil, err
	}

	all, err := spec.Place(act.Snapshot, act.Binding)
	if err != nil {
		return nil, err
	}

	c := &content{
		Digest: act.Digest, Deployment: act.Deployment, Version: act.Version, VersionName: act.VersionName,
		Workloads: map[string]workload{},
	}
	placed := make([]json.RawMessage, 0, len(all))
	sum := sha256.New()

	for _, one := range all {
		r := ref{APIVersion: one.APIVersion, Kind: one.Kind, Namespace: one.Namespace, Name: one.Name}
		c.Objects, placed = append(c.Objects, r), append(placed, one.Object)
		sum.Write(one.Object)

		if !r.runsPods() {
			continue
		}

		var o struct {
			Spec struct {
				Replicas *int64 `json:"replicas"`
			} `json:"spec"`
		}
		if err := json.Unmarshal(one.Object, &o); err != nil {
			return nil, fmt.Errorf("read %s: %w", r, err)
		}

		c.Workloads[r.String()] = workload{Replicas: o.Spec.Replicas}
	}

	c.Key = hex.EncodeToString(sum.Sum(nil)[:8])
	c.packed, err = pack(placed)

	return c, err
}

// runsPods reports whether objects of the kind run pods as long as they are
// there.
func (r ref) runsPods() bool {
	switch r.groupKind().String() {
	case "Deployment.apps", "StatefulSet.apps", "DaemonSet.apps", "ReplicaSet.apps", "Job.batch", "Pod":
		return true
	}

	return false
}
