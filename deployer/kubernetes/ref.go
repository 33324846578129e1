package kubernetes

import (
	"cmp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// ref names an object in its cluster.
type ref struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Namespace  string `json:"namespace,omitempty"`
	Name       string `json:"name"`
}

func refOf(o *unstructured.Unstructured) ref {
	return ref{APIVersion: o.GetAPIVersion(), Kind: o.GetKind(), Namespace: o.GetNamespace(), Name: o.GetName()}
}

func (r ref) group() string {
	group, _, grouped := strings.Cut(r.APIVersion, "/")
	if !grouped {
		return ""
	}

	return group
}

func (r ref) groupKind() schema.GroupKind { return schema.GroupKind{Group: r.group(), Kind: r.Kind} }

// is reports whether both are one object, whatever version they are read in.
func (r ref) is(other ref) bool {
	return r.groupKind() == other.groupKind() && r.Namespace == other.Namespace && r.Name == other.Name
}

// String names the object for people, and in the anchor.
func (r ref) String() string { return r.Kind + "/" + r.Name }

// without gives those of the refs that are not among the others.
func without(refs, others []ref) []ref {
	var left []ref
	for _, r := range refs {
		if !slices.ContainsFunc(others, r.is) {
			left = append(left, r)
		}
	}

	return left
}

// together gives the refs with those of the others that are not among them.
func together(refs, others []ref) []ref {
	return append(slices.Clone(refs), without(others, refs)...)
}

// rank is the order in which kinds are applied: what others need comes first.
// Kinds that are not Kubernetes' own come before workloads, which may need what
// they make (a Secret).
func (r ref) rank() int {
	order := []string{
		"Namespace", "CustomResourceDefinition", "PriorityClass", "StorageClass", "ResourceQuota", "LimitRange", "NetworkPolicy",
		"ServiceAccount", "ClusterRole", "Role", "ClusterRoleBinding", "RoleBinding",
		"ConfigMap", "Secret", "PersistentVolume", "PersistentVolumeClaim", "Service", "",
		"PodDisruptionBudget", "DaemonSet", "StatefulSet", "Deployment", "ReplicaSet", "ReplicationController", "Pod", "Job", "CronJob",
		"HorizontalPodAutoscaler", "Ingress", "ValidatingWebhookConfiguration", "MutatingWebhookConfiguration",
	}

	if i := slices.Index(order, r.Kind); i >= 0 {
		return i
	}

	return slices.Index(order, "")
}

func byRank(a, b ref) int {
	return cmp.Or(cmp.Compare(a.rank(), b.rank()), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
}
