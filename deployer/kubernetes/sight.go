package kubernetes

import (
	"context"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
)

// sight is what is seen of a content in its cluster at a moment.
type sight struct {
	now time.Time
	// since is when the act claimed the unit, deadline how long it may take.
	since    time.Time
	deadline time.Duration
	objects  []seen
	// pods of the unit that have not been asked to stop.
	pods []corev1.Pod
	// events about the pods and what makes them, in no order.
	events []corev1.Event
}

// seen is one object of the content; nil when it is not there.
type seen struct {
	ref

	object *unstructured.Unstructured
	// revision that its pods of this content carry, once it is known.
	revision string
}

// selector of what is a unit's.
func (s site) selector() string {
	return labels.Set{labelService: s.Service, labelEnvironment: s.Environment}.String()
}

// hasStatus reports whether objects of the kind can be anything but right once
// they are there.
func (r ref) hasStatus() bool {
	switch r.groupKind().String() {
	case "ConfigMap", "Secret", "ServiceAccount", "Role.rbac.authorization.k8s.io", "RoleBinding.rbac.authorization.k8s.io", "NetworkPolicy.networking.k8s.io":
		return false
	}

	return true
}

// look reads the objects of a content and the unit's pods from the server.
func (s site) look(ctx context.Context, c *content) (sight, error) {
	found := sight{now: time.Now().UTC()}

	// What cannot be anything but right is not waited for.
	if c != nil && !slices.ContainsFunc(c.Objects, ref.hasStatus) {
		return found, nil
	}

	pods, err := s.typed.CoreV1().Pods(s.namespace).List(ctx, metav1.ListOptions{LabelSelector: s.selector()})
	if err != nil {
		return found, refusal("the pods", err)
	}

	for _, p := range pods.Items {
		if p.DeletionTimestamp == nil {
			found.pods = append(found.pods, p)
		}
	}

	if c == nil {
		return found, nil
	}

	for _, r := range c.Objects {
		if !r.hasStatus() {
			continue
		}

		one := seen{ref: r}

		client, err := s.client(r)
		if err != nil {
			return found, err
		}

		one.object, err = client.Get(ctx, r.Name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			one.object, err = nil, nil
		}

		if err != nil {
			return found, refusal(r.String(), err)
		}

		if one.object != nil && r.runsPods() {
			if one.revision, err = s.revisionOf(ctx, one.object); err != nil {
				return found, err
			}
		}

		found.objects = append(found.objects, one)
	}

	return found, nil
}

// The labels by which pods say which template they were made from.
const (
	labelTemplate   = "pod-template-hash"
	labelController = "controller-revision-hash"
	labelJob        = "batch.kubernetes.io/controller-uid"
)

// revisionOf finds which hash the pods of a workload's newest template carry;
// "" as long as its controller has not seen it.
func (s site) revisionOf(ctx context.Context, o *unstructured.Unstructured) (string, error) {
	if observed, _, _ := unstructured.NestedInt64(o.Object, "status", "observedGeneration"); observed < o.GetGeneration() && o.GetKind() != "Pod" && o.GetKind() != "Job" {
		return "", nil
	}

	switch o.GetKind() {
	case "Deployment":
		sets, err := s.typed.AppsV1().ReplicaSets(s.namespace).List(ctx, metav1.ListOptions{LabelSelector: s.selector()})
		if err != nil {
			return "", refusal("the replica sets", err)
		}

		return templateOf(o, sets.Items), nil
	case "StatefulSet":
		revision, _, _ := unstructured.NestedString(o.Object, "status", "updateRevision")

		return revision, nil
	case "DaemonSet":
		revisions, err := s.typed.AppsV1().ControllerRevisions(s.namespace).List(ctx, metav1.ListOptions{LabelSelector: s.selector()})
		if err != nil {
			return "", refusal("the controller revisions", err)
		}

		return newestOf(o, revisions.Items), nil
	default:
		return string(o.GetUID()), nil
	}
}

// revisionAnnotation numbers a Deployment's templates.
const revisionAnnotation = "deployment.kubernetes.io/revision"

func templateOf(o *unstructured.Unstructured, sets []appsv1.ReplicaSet) string {
	for _, set := range sets {
		if owns(o.GetUID(), set.OwnerReferences) && set.Annotations[revisionAnnotation] == o.GetAnnotations()[revisionAnnotation] {
			return set.Labels[labelTemplate]
		}
	}

	return ""
}

func newestOf(o *unstructured.Unstructured, revisions []appsv1.ControllerRevision) (hash string) {
	newest := int64(-1)

	for _, r := range revisions {
		if owns(o.GetUID(), r.OwnerReferences) && r.Revision > newest {
			newest, hash = r.Revision, r.Labels[labelController]
		}
	}

	return hash
}

func owns(uid types.UID, owners []metav1.OwnerReference) bool {
	for _, owner := range owners {
		if owner.UID == uid {
			return true
		}
	}

	return false
}

// revisionOfPod gives the hash that a pod carries.
func revisionOfPod(p *corev1.Pod) string {
	for _, name := range []string{labelTemplate, labelController, labelJob} {
		if hash := p.Labels[name]; hash != "" {
			return hash
		}
	}

	if owner := metav1.GetControllerOf(p); owner != nil {
		return string(owner.UID)
	}

	return string(p.UID)
}

// progressDeadline gives how long the content's workloads may take: the longest
// of those that say it.
func progressDeadline(objects []seen, fallback time.Duration) time.Duration {
	longest := time.Duration(0)

	for _, one := range objects {
		if one.object == nil || !one.runsPods() {
			continue
		}

		seconds, said, err := unstructured.NestedInt64(one.object.Object, "spec", "progressDeadlineSeconds")
		if !said || err != nil {
			return fallback
		}

		longest = max(longest, time.Duration(seconds)*time.Second)
	}

	if longest == 0 {
		return fallback
	}

	return longest
}

// eventsOf reads the events about the pods, and about what makes them. Where
// they are not to be had (the chronicle says so) the pods alone have to do.
func (s site) eventsOf(ctx context.Context, found sight) ([]corev1.Event, error) {
	about := map[types.UID]bool{}
	for _, p := range found.pods {
		about[p.UID] = true

		if owner := metav1.GetControllerOf(&p); owner != nil {
			about[owner.UID] = true
		}
	}

	for _, one := range found.objects {
		if one.object != nil {
			about[one.object.GetUID()] = true
		}
	}

	all, err := s.typed.CoreV1().Events(s.namespace).List(ctx, metav1.ListOptions{Limit: maxEvents})

	switch {
	case apierrors.IsForbidden(err):
		return []corev1.Event{}, nil
	case err != nil:
		return nil, refusal("the events", err)
	}

	var events []corev1.Event

	for _, e := range all.Items {
		if about[e.InvolvedObject.UID] {
			events = append(events, e)
		}
	}

	return events, nil
}

// maxEvents bounds what is read of a namespace's events (they live an hour).
const maxEvents = 2000
