package kubernetes

import "k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

// desiredOf gives how many pods a workload is to run.
func desiredOf(o *unstructured.Unstructured) int {
	number := func(fallback int64, path ...string) int {
		n, found, err := unstructured.NestedInt64(o.Object, path...)
		if !found || err != nil {
			n = fallback
		}

		return int(n)
	}

	switch o.GetKind() {
	case "Deployment", "StatefulSet", "ReplicaSet":
		return number(1, "spec", "replicas")
	case "DaemonSet":
		return number(0, "status", "desiredNumberScheduled")
	case "Job":
		return number(1, "spec", "completions")
	case "Pod":
		return 1
	default:
		return 0
	}
}
