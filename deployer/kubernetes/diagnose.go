package kubernetes

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/shiplog/shiplog/deployer"
)

const (
	// maxCrashes of a container that was never ready are enough to give up.
	maxCrashes = 3
	// patience with what may mend by itself: a registry that does not answer,
	// a Secret that an operator is about to make, a quota that old pods free.
	patience = 30 * time.Second
	// missingAdvice: what is not there may have been meant otherwise.
	missingAdvice = "Make it in the namespace, or take the reference out of the workload or the configuration."
)

// finding is a diagnosis and where it was found.
type finding struct {
	*deployer.Diagnosis

	where *blame
	// final: more time will not mend it.
	final bool
}

// conclusive finds what more time will not mend.
func conclusive(found sight, own []corev1.Pod) (*deployer.Diagnosis, *blame) {
	for _, f := range findings(found, own) {
		if f.final {
			return f.Diagnosis, f.where
		}
	}

	return nil, nil
}

// late says what a rollout was at when its time was over, or when its
// controller gave up.
func late(found sight, own []corev1.Pod, broken seen, says string) (*deployer.Diagnosis, *blame) {
	if all := findings(found, own); len(all) > 0 {
		return all[0].Diagnosis, all[0].where
	}

	d := &deployer.Diagnosis{
		Kind:    deployer.TimedOut,
		Summary: "The rollout did not come to its end: " + says + ".",
		Advice:  "Look at the object's conditions and events.",
	}
	if broken.object != nil {
		d.Object = broken.String()
	}

	return d, nil
}

// findings gives everything that is wrong, what is certain first.
func findings(found sight, own []corev1.Pod) []finding {
	var all []finding

	for i := range own {
		p := &own[i]

		for _, c := range containersOf(p) {
			if f, ok := ofContainer(found, p, c); ok {
				all = append(all, f)
			}
		}

		if f, ok := ofPod(p); ok {
			all = append(all, f)
		}

		if f, ok := ofVolumes(found, p); ok {
			all = append(all, f)
		}
	}

	for _, one := range found.objects {
		if f, ok := ofWorkload(found, one); ok {
			all = append(all, f)
		}
	}

	slices.SortStableFunc(all, func(a, b finding) int { return weight(a) - weight(b) })

	return all
}

func weight(f finding) int {
	switch {
	case f.final:
		return 0
	case f.Kind == deployer.NotReady:
		return 2 // it may be the consequence of another
	default:
		return 1
	}
}

// container is one of a pod's with what became of it.
type container struct {
	corev1.ContainerStatus

	init bool
	// ends: it is to come to an end by itself.
	ends bool
	spec corev1.Container
}

func containersOf(p *corev1.Pod) []container {
	var all []container

	once := p.Spec.RestartPolicy != corev1.RestartPolicyAlways

	for _, s := range p.Status.InitContainerStatuses {
		all = append(all, container{ContainerStatus: s, ends: true, init: true, spec: named(p.Spec.InitContainers, s.Name)})
	}

	for _, s := range p.Status.ContainerStatuses {
		all = append(all, container{ContainerStatus: s, ends: once, spec: named(p.Spec.Containers, s.Name)})
	}

	return all
}

func named(all []corev1.Container, name string) corev1.Container {
	for _, c := range all {
		if c.Name == name {
			return c
		}
	}

	return corev1.Container{}
}

func ofContainer(found sight, p *corev1.Pod, c container) (finding, bool) {
	f := finding{
		Diagnosis: &deployer.Diagnosis{
			Object: "Pod/" + p.Name, Container: c.Name, Instance: p.Name, Attempts: int(c.RestartCount) + 1,
		},
		where: &blame{pod: p.Name, container: c.Name},
	}

	overdue := found.now.Sub(p.CreationTimestamp.Time) > patience

	if w := c.State.Waiting; w != nil {
		switch w.Reason {
		case "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable", "ImageInspectError", "SignatureValidationFailed":
			f.where, f.Attempts = nil, 0
			f.Kind = deployer.ImageUnavailable
			f.Summary = fmt.Sprintf("The image %s cannot be pulled: %s.", c.Image, sentence(imageSays(found, p, w)))
			f.Advice = "Check that the image was pushed under this digest and that the namespace's pull secrets may read it."
			f.final = overdue || w.Reason == "InvalidImageName" || w.Reason == "ErrImageNeverPull" ||
				w.Reason == "ImagePullBackOff" && lost(imageSays(found, p, w))

			return f, true
		case "CreateContainerConfigError":
			f.where, f.Attempts = nil, 0
			f.Kind = deployer.ReferenceMissing
			f.Summary = fmt.Sprintf("Container %s refers to what is not there: %s.", c.Name, sentence(w.Message))
			f.Advice = missingAdvice
			f.final = overdue

			return f, true
		case "CreateContainerError", "RunContainerError":
			f.Kind = deployer.StartFailed
			f.Summary = fmt.Sprintf("Container %s cannot be started: %s.", c.Name, sentence(w.Message))
			f.Advice = "Check the container's command and what it mounts."
			f.final = overdue || c.RestartCount >= 1

			return f, true
		}
	}

	if ended, previous := lastEnd(c); ended != nil {
		f.where.previous = previous

		return ofProbe(found, p, c, ended, crashed(f, c, ended)), true
	}

	if c.init || c.State.Running == nil || c.Ready || c.spec.ReadinessProbe == nil && c.spec.StartupProbe == nil {
		return f, false
	}

	f.Kind = deployer.NotReady
	f.Summary = fmt.Sprintf("Container %s runs but is not ready.", c.Name)

	if said := newestEvent(found, p.UID, "Unhealthy"); said != "" {
		f.Summary = fmt.Sprintf("Container %s runs but is not ready: %s.", c.Name, sentence(said))
	}

	f.Advice = "Check that it listens where its probe asks, and how long it needs to start."

	return f, true
}

// lastEnd gives how a container last ended although it should not have, and
// whether it has been started again since.
func lastEnd(c container) (ended *corev1.ContainerStateTerminated, previous bool) {
	ended = c.State.Terminated
	if ended == nil {
		ended, previous = c.LastTerminationState.Terminated, c.State.Running != nil
	}

	// kubelet shows a container that is about to be started again as waiting:
	// the run that ended is the previous one only once another one runs.
	if ended == nil || ended.ExitCode == 0 && c.ends || c.Ready {
		return nil, false
	}

	return ended, previous
}

func crashed(f finding, c container, ended *corev1.ContainerStateTerminated) finding {
	crashes := int(c.RestartCount)
	if c.State.Terminated != nil || c.State.Waiting != nil && c.State.Waiting.Reason == "CrashLoopBackOff" {
		crashes++ // the one that it is waiting after
	}

	code := int(ended.ExitCode)
	f.final = crashes >= maxCrashes

	switch ended.Reason {
	case "OOMKilled":
		f.Kind = deployer.OutOfMemory
		f.Summary = fmt.Sprintf("Container %s was killed for using more memory than its limit%s, %d times.", c.Name, limitOf(c), max(crashes, 1))
		f.Advice = "Raise its memory limit, or find out what it needs the memory for."
	case "StartError", "ContainerCannotRun":
		f.Kind, f.where = deployer.StartFailed, nil
		f.Summary = fmt.Sprintf("Container %s cannot be started: %s.", c.Name, sentence(ended.Message))
		f.Advice = "Check the container's command and that its image has it."
		f.final = true

		return f
	default:
		f.Kind = deployer.Crashed
		f.Summary = fmt.Sprintf("Container %s ended with exit code %d before it was ready, %d times.", c.Name, code, max(crashes, 1))
		f.Advice = "Its last lines usually say why."
	}

	f.ExitCode, f.Attempts = &code, max(crashes, 1)
	if ended.Signal != 0 {
		f.Signal = strconv.Itoa(int(ended.Signal))
	}

	return f
}

func limitOf(c container) string {
	if limit, ok := c.spec.Resources.Limits[corev1.ResourceMemory]; ok {
		return " of " + limit.String()
	}

	return ""
}

// ofPod finds why a pod has no node, or was thrown off it.
func ofPod(p *corev1.Pod) (finding, bool) {
	d := &deployer.Diagnosis{Object: "Pod/" + p.Name, Instance: p.Name}

	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse && c.Reason == corev1.PodReasonUnschedulable {
			d.Kind = deployer.Unschedulable
			d.Summary = "No node takes the pod: " + sentence(c.Message) + "."
			d.Advice = "Ask for less, or make room: the message counts the nodes by what each lacks."

			return finding{Diagnosis: d}, true
		}
	}

	if p.Status.Phase == corev1.PodFailed && p.Status.Reason != "" {
		d.Kind = deployer.StartFailed
		d.Summary = fmt.Sprintf("The pod was ended (%s): %s.", p.Status.Reason, sentence(p.Status.Message))

		return finding{Diagnosis: d}, true
	}

	return finding{}, false
}

// ofWorkload finds why a workload's controller can make no pods.
func ofWorkload(found sight, one seen) (finding, bool) {
	if one.object == nil || !one.runsPods() {
		return finding{}, false
	}

	says := condition(one.object, "ReplicaFailure")
	if says == "" {
		says = newestEvent(found, one.object.GetUID(), "FailedCreate")
	}

	if says == "" {
		return finding{}, false
	}

	f := finding{Diagnosis: &deployer.Diagnosis{Object: one.String()}, final: found.now.Sub(found.since) > patience}

	// What is forbidden for want of it can be made.
	noAccount := strings.Contains(says, "error looking up service account")

	switch {
	case strings.Contains(says, "exceeded quota"), strings.Contains(says, "failed quota"):
		f.Kind = deployer.QuotaExceeded
		f.Summary = "A quota leaves no room for its pods: " + sentence(says) + "."
		f.Advice = "Raise the namespace's quota, or ask for less."
	case !noAccount && strings.Contains(says, "forbidden"), strings.Contains(says, "denied"), strings.Contains(says, "violates"):
		f.Kind = deployer.AdmissionRefused
		f.Summary = "The cluster refuses its pods: " + sentence(says) + "."
		f.Advice = "Change what the policy named there objects to."
	case strings.Contains(says, "not found"):
		f.Kind = deployer.ReferenceMissing
		f.Summary = "Its pods refer to what is not there: " + sentence(says) + "."
		f.Advice = missingAdvice
	default:
		f.Kind = deployer.StartFailed
		f.Summary = "Its pods cannot be made: " + sentence(says) + "."
	}

	return f, true
}

// condition gives the message of a condition that is true.
func condition(o *unstructured.Unstructured, kind string) string {
	all, _, _ := unstructured.NestedSlice(o.Object, "status", "conditions")

	for _, c := range all {
		m, _ := c.(map[string]any)
		if m["type"] == kind && m["status"] == "True" {
			message, _ := m["message"].(string)

			return message
		}
	}

	return ""
}

// lost reports whether what a registry said is its last word.
func lost(says string) bool {
	for _, word := range []string{"not found", "manifest unknown", "unauthorized", "denied", "403 Forbidden"} {
		if strings.Contains(says, word) {
			return true
		}
	}

	return false
}

// maxSentence bounds what is taken over of other programs' messages.
const maxSentence = 500

// sentence makes another program's message fit into one of ours.
func sentence(says string) string {
	says = strings.TrimRight(strings.Join(strings.Fields(says), " "), ". ")
	if says == "" {
		return "no reason was given"
	}

	if len(says) > maxSentence {
		says = strings.ToValidUTF8(says[:maxSentence], "") + "…"
	}

	return says
}
