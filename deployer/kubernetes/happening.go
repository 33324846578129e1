package kubernetes

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// happening is an event of the cluster, as it was when it was last worth a
// line of a log.
type happening struct {
	uid types.UID
	// version is the event's resourceVersion: events of a cluster are in its
	// order, and a change of one is later than what was there before.
	version int64
	at      time.Time
	count   int32
	// What it is about; the container is told for some of a pod's.
	kind, namespace, name, container string

	reason, message string
}

// happened reads an event; false for one that has no place among others.
func happened(e *corev1.Event) (happening, bool) {
	version, err := strconv.ParseInt(e.ResourceVersion, 10, 64)
	if err != nil {
		return happening{}, false
	}

	h := happening{
		uid: e.UID, version: version, at: e.LastTimestamp.Time, count: e.Count,
		kind: e.InvolvedObject.Kind, namespace: e.InvolvedObject.Namespace, name: e.InvolvedObject.Name,
		reason: e.Reason, message: e.Message,
	}

	if e.Series != nil {
		h.at, h.count = e.Series.LastObservedTime.Time, e.Series.Count
	}

	for _, other := range []time.Time{e.EventTime.Time, e.FirstTimestamp.Time, e.CreationTimestamp.Time} {
		if h.at.IsZero() {
			h.at = other
		}
	}

	h.at, h.count = h.at.UTC(), max(h.count, 1)

	if _, named, ok := strings.Cut(e.InvolvedObject.FieldPath, "{"); ok {
		h.container = strings.TrimSuffix(named, "}")
	}

	return h, true
}

// worth reports whether an event that was told before is to be told again:
// when it says something else, or has come twice as often. Kubelet repeats
// itself every few seconds for as long as something is wrong.
func (h happening) worth(before happening) bool {
	return h.message != before.message || h.reason != before.reason || bits.Len32(uint32(h.count)) > bits.Len32(uint32(before.count)) //nolint:gosec // at least 1
}

// String is the line of a log.
func (h happening) String() string {
	times := ""
	if h.count > 1 {
		times = fmt.Sprintf(" (%d times)", h.count)
	}

	// A message of several lines is one thing that happened.
	return h.kind + "/" + h.name + ": " + h.reason + ": " + strings.Join(strings.Fields(h.message), " ") + times
}

// topic is what an event is about.
type topic struct{ namespace, kind, name string }

// podsOf is the topic of the pods that something made whose name begins theirs:
// a pod that is gone is known by its name alone.
func podsOf(namespace, maker string) topic { return topic{namespace, "Pods of", maker} }

// topics under which the event is found.
func (h happening) topics() []topic {
	all := []topic{{h.namespace, h.kind, h.name}}

	if maker, suffix, ok := cutLast(h.name, "-"); ok && h.kind == "Pod" && generated(suffix) {
		all = append(all, podsOf(h.namespace, maker))
	}

	return all
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}

	return s, "", false
}

// generated reports whether controllers end the names of pods so: with five
// characters that make no words, or with a number.
func generated(suffix string) bool {
	if _, err := strconv.ParseUint(suffix, 10, 31); err == nil {
		return true
	}

	return len(suffix) == 5 && strings.Trim(suffix, "bcdfghjklmnpqrstvwxz2456789") == ""
}
