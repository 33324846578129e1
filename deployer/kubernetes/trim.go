package kubernetes

import (
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// trim leaves of a watched object what is looked at: of 5,000 pods the whole
// would be hundreds of megabytes.
func trim(o any) (any, error) {
	switch o := o.(type) {
	case *corev1.Pod:
		return trimPod(o), nil
	case *corev1.Service:
		trimHeld(&o.ObjectMeta)
		o.Spec, o.Status = corev1.ServiceSpec{}, corev1.ServiceStatus{}
	case *networkingv1.Ingress:
		trimHeld(&o.ObjectMeta)
		o.Spec, o.Status = networkingv1.IngressSpec{}, networkingv1.IngressStatus{}
	case *corev1.ConfigMap:
		trimHeld(&o.ObjectMeta)
		o.BinaryData = nil
		o.Data = map[string]string{partState: o.Data[partState]}
	case *appsv1.Deployment:
		trimMeta(&o.ObjectMeta)
		o.Spec = appsv1.DeploymentSpec{Replicas: o.Spec.Replicas}
		o.Status = appsv1.DeploymentStatus{ObservedGeneration: o.Status.ObservedGeneration}
	case *appsv1.StatefulSet:
		trimMeta(&o.ObjectMeta)
		o.Spec = appsv1.StatefulSetSpec{Replicas: o.Spec.Replicas}
		o.Status = appsv1.StatefulSetStatus{UpdateRevision: o.Status.UpdateRevision}
	case *appsv1.DaemonSet:
		trimMeta(&o.ObjectMeta)
		o.Spec = appsv1.DaemonSetSpec{}
		o.Status = appsv1.DaemonSetStatus{DesiredNumberScheduled: o.Status.DesiredNumberScheduled}
	case *appsv1.ReplicaSet:
		trimMeta(&o.ObjectMeta)
		o.Spec = appsv1.ReplicaSetSpec{Replicas: o.Spec.Replicas}
		o.Status = appsv1.ReplicaSetStatus{}
	case *batchv1.Job:
		trimMeta(&o.ObjectMeta)
		o.Spec = batchv1.JobSpec{Completions: o.Spec.Completions}
		o.Status = batchv1.JobStatus{}
	}

	return o, nil
}

// trimMeta keeps names, labels and owners, and who changed the object last:
// managers without their fields.
func trimMeta(m *metav1.ObjectMeta) {
	managers := make([]metav1.ManagedFieldsEntry, 0, len(m.ManagedFields))

	for _, f := range m.ManagedFields {
		if f.Subresource == "status" || strings.HasPrefix(f.Manager, "kube-controller-manager") {
			continue
		}

		managers = append(managers, metav1.ManagedFieldsEntry{Manager: f.Manager, Operation: f.Operation, Time: f.Time, Subresource: f.Subresource})
	}

	*m = metav1.ObjectMeta{
		Name: m.Name, Namespace: m.Namespace, UID: m.UID, ResourceVersion: m.ResourceVersion, Generation: m.Generation,
		Labels: m.Labels, OwnerReferences: m.OwnerReferences, CreationTimestamp: m.CreationTimestamp,
		DeletionTimestamp: m.DeletionTimestamp, ManagedFields: managers,
	}
}

// trimHeld keeps in the place of the annotations what our managers hold.
// It may come again with what it has trimmed.
func trimHeld(m *metav1.ObjectMeta) {
	holds := m.Annotations
	if _, again := holds[heldMark]; !again {
		holds = held(m.ManagedFields)
		holds[heldMark] = ""
	}

	trimMeta(m)
	m.Annotations = holds
}

// heldMark marks what trimHeld has kept; no annotation may be named so.
const heldMark = " trimmed"

func trimPod(p *corev1.Pod) *corev1.Pod {
	trimMeta(&p.ObjectMeta)
	p.ManagedFields = nil

	trimmed := &corev1.Pod{ObjectMeta: p.ObjectMeta}
	trimmed.Spec.InitContainers = trimContainers(p.Spec.InitContainers)
	trimmed.Spec.Containers = trimContainers(p.Spec.Containers)
	trimmed.Status.Phase = p.Status.Phase
	trimmed.Status.InitContainerStatuses = trimStatuses(p.Status.InitContainerStatuses)
	trimmed.Status.ContainerStatuses = trimStatuses(p.Status.ContainerStatuses)

	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			trimmed.Status.Conditions = []corev1.PodCondition{{Type: c.Type, Status: c.Status}}
		}
	}

	return trimmed
}

func trimContainers(all []corev1.Container) []corev1.Container {
	trimmed := make([]corev1.Container, 0, len(all))
	for _, c := range all {
		trimmed = append(trimmed, corev1.Container{Name: c.Name, Image: c.Image})
	}

	return trimmed
}

func trimStatuses(all []corev1.ContainerStatus) []corev1.ContainerStatus {
	trimmed := make([]corev1.ContainerStatus, 0, len(all))
	for _, s := range all {
		trimmed = append(trimmed, corev1.ContainerStatus{
			Name: s.Name, Image: s.Image, ImageID: s.ImageID, ContainerID: s.ContainerID, RestartCount: s.RestartCount,
			Ready: s.Ready, State: s.State, LastTerminationState: s.LastTerminationState,
		})
	}

	return trimmed
}
