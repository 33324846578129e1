package kubernetes

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/shiplog/shiplog/deployer"
)

// newestEvent gives the message of the last event about an object.
func newestEvent(found sight, about types.UID, reason string) string {
	e, _ := newestOfEvents(found, about, reason, func(corev1.Event) bool { return true })

	return e.Message
}

// newestOfEvents gives the last event about an object that is one of those
// meant, and when it was; zero when there is none.
func newestOfEvents(found sight, about types.UID, reason string, meant func(corev1.Event) bool) (newest corev1.Event, last time.Time) {
	for _, e := range found.events {
		at := e.LastTimestamp.Time
		if at.IsZero() {
			at = e.EventTime.Time
		}

		if e.InvolvedObject.UID == about && e.Reason == reason && !at.Before(last) && meant(e) {
			newest, last = e, at
		}
	}

	return newest, last
}

// imageSays gives what the registry said: while kubelet waits before it tries
// again, only the event has it.
func imageSays(found sight, p *corev1.Pod, w *corev1.ContainerStateWaiting) string {
	if w.Reason == "ImagePullBackOff" || w.Message == "" {
		for _, e := range found.events {
			if e.InvolvedObject.UID == p.UID && e.Reason == "Failed" && strings.Contains(e.Message, "ull") {
				return e.Message
			}
		}
	}

	return w.Message
}

// ofProbe tells a container that ended by itself from one that kubelet ended
// because its liveness or startup probe failed: only events say so.
func ofProbe(found sight, p *corev1.Pod, c container, ended *corev1.ContainerStateTerminated, f finding) finding {
	about := func(e corev1.Event) bool { return strings.HasSuffix(e.InvolvedObject.FieldPath, "{"+c.Name+"}") }

	killing, at := newestOfEvents(found, p.UID, "Killing", about)
	if f.Kind != deployer.Crashed || at.Before(ended.StartedAt.Time) {
		return f
	}

	for probe, name := range map[string]string{"liveness probe": "Liveness probe", "startup probe": "Startup probe"} {
		if !strings.Contains(killing.Message, probe) {
			continue
		}

		unhealthy, _ := newestOfEvents(found, p.UID, "Unhealthy", func(e corev1.Event) bool {
			return about(e) && strings.HasPrefix(e.Message, name)
		})

		f.Kind = deployer.NotReady
		f.Summary = fmt.Sprintf("Container %s was ended because its %s failed, %d times: %s.", c.Name, probe, f.Attempts, sentence(unhealthy.Message))
		f.Advice = "Check that it listens where its probe asks, and how long it needs to start."
	}

	return f
}

// ofVolumes finds what a pod waits for before its containers are made. An event
// is only believed as long as they are not: volumes may have come since.
func ofVolumes(found sight, p *corev1.Pod) (finding, bool) {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReadyToStartContainers && c.Status == corev1.ConditionTrue {
			return finding{}, false
		}
	}

	says := newestEvent(found, p.UID, "FailedMount")
	if says == "" || p.Status.Phase != corev1.PodPending {
		return finding{}, false
	}

	d := &deployer.Diagnosis{
		Kind: deployer.StartFailed, Object: "Pod/" + p.Name, Instance: p.Name,
		Summary: "A volume of the pod cannot be mounted: " + sentence(says) + ".",
		Advice:  "Check the volume and what it is made from.",
	}
	if strings.Contains(says, "not found") {
		d.Kind, d.Advice = deployer.ReferenceMissing, missingAdvice
		d.Summary = "A volume of the pod is made from what is not there: " + sentence(says) + "."
	}

	return finding{Diagnosis: d, final: found.now.Sub(p.CreationTimestamp.Time) > patience}, true
}
