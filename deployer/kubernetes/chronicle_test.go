package kubernetes

import (
	"log/slog"
	"strconv"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// event is one about a pod.
func event(uid types.UID, version int64, count int32, pod, message string) *corev1.Event {
	return &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{UID: uid, ResourceVersion: strconv.FormatInt(version, 10)},
		InvolvedObject: corev1.ObjectReference{Kind: "Pod", Namespace: "shop", Name: pod, FieldPath: "spec.containers{web}"},
		Reason:         "BackOff", Message: message, Count: count, LastTimestamp: metav1.NewTime(time.Unix(1000, 0)),
	}
}

func said(all []happening) (lines []string) {
	for _, h := range all {
		lines = append(lines, strconv.FormatInt(h.version, 10)+" "+h.String())
	}

	return lines
}

// TestChronicle takes up what a reflector brings, and asks for it.
func TestChronicle(t *testing.T) {
	t.Parallel()

	told := 0
	c := newChronicle(slog.New(slog.DiscardHandler), func(happening) { told++ })
	web := []topic{{"shop", "Pod", "web-5b9cd-x7k2p"}}

	if c.settled() {
		t.Error("settled before the first list")
	}

	steps := []struct {
		name   string
		do     func() error
		topics []topic
		after  int64
		want   []string
	}{
		{"a list, in the order of its changes", func() error {
			return c.Replace([]any{event("b", 12, 3, "web-5b9cd-x7k2p", "again"), event("a", 10, 1, "web-5b9cd-x7k2p", "over\ntwo  lines"), event("o", 11, 1, "other", "of another")}, "12")
		}, web, 0, []string{"10 Pod/web-5b9cd-x7k2p: BackOff: over two lines", "12 Pod/web-5b9cd-x7k2p: BackOff: again (3 times)"}},
		{"after a position", func() error { return nil }, web, 10, []string{"12 Pod/web-5b9cd-x7k2p: BackOff: again (3 times)"}},
		{"of a pod that is gone, by what made it", func() error { return nil }, []topic{podsOf("shop", "web-5b9cd")}, 10, []string{"12 Pod/web-5b9cd-x7k2p: BackOff: again (3 times)"}},
		{"twice as often: told again", func() error { return c.Update(event("b", 13, 4, "web-5b9cd-x7k2p", "again")) }, web, 12, []string{"13 Pod/web-5b9cd-x7k2p: BackOff: again (4 times)"}},
		{"once more: not told", func() error { return c.Update(event("b", 14, 5, "web-5b9cd-x7k2p", "again")) }, web, 13, nil},
		{"other words: told", func() error { return c.Update(event("b", 15, 6, "web-5b9cd-x7k2p", "now this")) }, web, 13, []string{"15 Pod/web-5b9cd-x7k2p: BackOff: now this (6 times)"}},
		{"its time is over", func() error { return c.Delete(event("b", 15, 6, "web-5b9cd-x7k2p", "now this")) }, web, 0, []string{"10 Pod/web-5b9cd-x7k2p: BackOff: over two lines"}},
		{"a list without it", func() error { return c.Replace(nil, "20") }, web, 0, nil},
	}

	for _, step := range steps {
		if err := step.do(); err != nil {
			t.Fatal(step.name, err)
		}

		got := said(c.about(step.topics, step.after))
		if len(got) != len(step.want) {
			t.Errorf("%s: %q, want %q", step.name, got, step.want)

			continue
		}

		for i := range got {
			if got[i] != step.want[i] {
				t.Errorf("%s: %q, want %q", step.name, got[i], step.want[i])
			}
		}
	}

	if !c.settled() || told != 2 || len(c.told)+len(c.topics) != 0 {
		t.Errorf("settled %t, told %d times, %d events and %d topics are left", c.settled(), told, len(c.told), len(c.topics))
	}
}

func TestGeneratedNames(t *testing.T) {
	t.Parallel()

	for suffix, want := range map[string]bool{"x7k2p": true, "0": true, "12": true, "admin": false, "api": false, "x7k2": false, "-1": false} {
		if got := generated(suffix); got != want {
			t.Errorf("%q: %t", suffix, got)
		}
	}
}

// TestActing says whose log an event belongs to.
func TestActing(t *testing.T) {
	t.Parallel()

	at := func(second int) time.Time { return time.Unix(int64(second), 0) }
	a := &anchor{Deployment: "d2", Since: at(100).Add(700 * time.Millisecond), Before: &earlier{"d1", at(50)}}

	for second, want := range map[int]string{200: "d2", 100: "d2", 98: "d2", 97: "d1", 48: "d1", 47: ""} {
		if got := a.actingAt(at(second)); got != want {
			t.Errorf("at %d: %q, want %q", second, got, want)
		}
	}
}
