package spec

import "encoding/json"

// Configuration is what a place adds to a workload. Layers are merged in the
// order workload < service < environment < service in environment.
type Configuration struct {
	// Variables of every container by name; they merge by key and null
	// removes.
	Variables map[string]*string `json:"variables,omitempty"`
	// Replicas replaces; nil leaves the layer below.
	Replicas *int `json:"replicas,omitempty"`
	// Limits by container replace.
	Limits map[string]ResourceLimits `json:"limits,omitempty"`
	// Patches on rendered objects append in layer order.
	Patches []ObjectPatch `json:"patches,omitempty"`
	// Resources supply a Score document's outputs by resource and output.
	Resources map[string]map[string]ResourceValue `json:"resources,omitempty"`
}

// ResourceLimits are Kubernetes quantities ("250m", "64Mi").
type ResourceLimits struct {
	CPU           string `json:"cpu,omitempty"`
	Memory        string `json:"memory,omitempty"`
	CPURequest    string `json:"cpuRequest,omitempty"`
	MemoryRequest string `json:"memoryRequest,omitempty"`
}

// ObjectPatch changes one rendered object. Exactly one of Merge (strategic
// merge patch) and Operations (RFC 6902) is set.
type ObjectPatch struct {
	Object     string          `json:"object"`
	Merge      json.RawMessage `json:"merge,omitempty"`
	Operations json.RawMessage `json:"operations,omitempty"`
}

// ResourceValue is a value, or a reference to a secret that only the target
// resolves. Exactly one is set.
type ResourceValue struct {
	Value     string           `json:"value,omitempty"`
	SecretRef *SecretReference `json:"secretRef,omitempty"`
}

// MarshalJSON writes the one of the two that is set, so that an empty value
// stays a value.
func (v ResourceValue) MarshalJSON() ([]byte, error) {
	if v.SecretRef != nil {
		return json.Marshal(map[string]*SecretReference{"secretRef": v.SecretRef})
	}

	return json.Marshal(map[string]string{"value": v.Value})
}

// SecretReference names a key of a secret in the target's own store.
type SecretReference struct {
	Name string `json:"name"`
	Key  string `json:"key"`
}
