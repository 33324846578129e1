package kubernetes

import (
	"context"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/shiplog/shiplog/deployer"
)

// eventsBegin begins the keys of events; the anchor's identity follows, which is
// another one in a cluster that was made anew, and then the deployment.
const eventsBegin = "events/"

// skew is how far the clocks of a cluster's nodes may be behind ours for an
// event to be taken for one of the act under way.
const skew = 2 * time.Second

// Events gives what the cluster tells of the unit's objects, in its order, from
// when the last two acts began: of the pods and what makes them, and of all
// that the anchor knows.
func (d *Deployer) Events(ctx context.Context, u deployer.Unit, after map[string]int64, limit int) ([]deployer.Line, error) {
	a, err := d.anchorOf(ctx, u)
	if err != nil || a.anchor == nil {
		return nil, err
	}

	// What was taken for an earlier deployment is not the later one's.
	prefix, taken := eventsBegin+a.uid+"/", int64(0)
	for key, position := range after {
		if strings.HasPrefix(key, prefix) {
			taken = max(taken, position)
		}
	}

	var lines []deployer.Line

	for _, h := range a.site.watch.happenings(a.site.namespace, a.topics(), taken) {
		deployment := a.actingAt(h.at)
		if deployment == "" {
			continue
		}

		if len(lines) == limit {
			break
		}

		l := deployer.Line{
			Source:   deployer.Source{Key: prefix + deployment, Deployment: deployment, Container: h.container, Told: true},
			Position: h.version, Time: h.at, Text: h.String(),
		}
		if h.kind == "Pod" {
			l.Source.Instance = h.name
		}

		if len(l.Text) > maxLine {
			l.Text, l.Truncated = strings.ToValidUTF8(l.Text[:maxLine], ""), true
		}

		lines = append(lines, l)
	}

	return lines, nil
}

// happenings gives the events in a namespace about any of the topics after a
// version, in order.
func (w *watches) happenings(namespace string, topics []topic, after int64) []happening {
	one := w.of(namespace)
	if one == nil {
		return nil
	}

	return one.events.about(topics, after)
}

// actingAt gives the deployment whose act was the last one at a time; "" when
// that is not known any more.
func (a *anchor) actingAt(at time.Time) string {
	begun := func(since time.Time) bool { return !at.Before(since.Truncate(time.Second).Add(-skew)) }

	switch {
	case begun(a.Since):
		return a.Deployment
	case a.Before != nil && begun(a.Before.Since):
		return a.Before.Deployment
	default:
		return ""
	}
}

// topics are what events of the unit may be about.
func (a anchored) topics() []topic {
	namespace := a.site.namespace

	var all []topic

	for _, r := range a.Inventory {
		all = append(all, topic{r.Namespace, r.Kind, r.Name})
	}

	for _, p := range a.site.watch.podsOf(a.site.Unit) {
		all = append(all, topic{p.Namespace, "Pod", p.Name})
	}

	for _, o := range a.site.watch.workloadsOf(a.site.Unit) {
		kind := kindOf(o)
		all = append(all, topic{o.GetNamespace(), kind, o.GetName()})

		if kind != "Deployment" { // its pods are its replica sets'
			all = append(all, podsOf(o.GetNamespace(), o.GetName()))
		}
	}

	// An anchor left at an earlier place tells of nothing.
	here := all[:0]

	for _, t := range all {
		if t.namespace == namespace {
			here = append(here, t)
		}
	}

	return here
}

// kindOf gives the kind of a watched workload: typed objects do not carry it.
func kindOf(o metav1.Object) string {
	switch o.(type) {
	case *appsv1.Deployment:
		return "Deployment"
	case *appsv1.StatefulSet:
		return "StatefulSet"
	case *appsv1.DaemonSet:
		return "DaemonSet"
	case *appsv1.ReplicaSet:
		return "ReplicaSet"
	case *batchv1.Job:
		return "Job"
	default:
		return ""
	}
}
