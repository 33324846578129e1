package kubernetes

import (
	"context"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/shiplog/shiplog/deployer"
	"github.com/shiplog/shiplog/internal/spec"
)

// Observe says what runs for the unit, as far as the watch has seen it. Pods
// that were asked to stop do not count; of a content that is not wanted none
// are desired.
func (d *Deployer) Observe(ctx context.Context, u deployer.Unit) (deployer.Observation, error) {
	o := deployer.Observation{At: time.Now().UTC()}

	a, err := d.anchorOf(ctx, u)
	if err != nil || a.anchor == nil {
		return o, err
	}

	o.Anchor = deployer.Anchor{Deployment: a.Deployment, Epoch: a.Epoch, Digest: a.digest()}

	var pods []*corev1.Pod

	for _, p := range a.site.watch.podsOf(u) {
		if p.Namespace == a.site.namespace && p.DeletionTimestamp == nil {
			pods = append(pods, p)
		}
	}

	var workloads []running

	for _, w := range a.site.watch.workloadsOf(u) {
		if r, ok := runningOf(w); ok && w.GetNamespace() == a.site.namespace && w.GetDeletionTimestamp() == nil {
			workloads = append(workloads, r)
			o.Hands = append(o.Hands, handsOn(r.name, w, managedBy(u), a.Since)...)
		}
	}

	strayed, hands := a.strayed(o.At)
	o.Strayed, o.Hands = strayed, append(o.Hands, hands...)
	o.Contents = contents(a.anchor, pods, workloads)

	return o, nil
}

// handsOn gives the managers of an object's fields, but for ourselves, who
// changed it since a time. An object that is gone has none to tell.
func handsOn(name string, o metav1.Object, ours string, since time.Time) []deployer.Hand {
	var hands []deployer.Hand

	for _, f := range o.GetManagedFields() {
		hand := deployer.Hand{Object: name, Manager: f.Manager}

		// Whole seconds are all that it is told in. Of who scales it no time is
		// told, but to apply takes what it has back.
		if f.Time != nil {
			hand.At = f.Time.UTC()
		}

		if f.Manager != ours && (hand.At.IsZero() || !hand.At.Before(since.Truncate(time.Second))) {
			hands = append(hands, hand)
		}
	}

	return hands
}

// running is a workload as it is in the cluster.
type running struct {
	name     string
	replicas int
	// scaled: somebody may scale it, so that replicas can differ from what the
	// content asks for.
	scaled bool
}

// runningOf gives what a watched object runs; ReplicaSets that a Deployment
// owns do so in its name.
func runningOf(o metav1.Object) (running, bool) {
	replicas := func(p *int32) int {
		if p == nil {
			return 1
		}

		return int(*p)
	}

	switch o := o.(type) {
	case *appsv1.Deployment:
		return running{"Deployment/" + o.Name, replicas(o.Spec.Replicas), true}, true
	case *appsv1.StatefulSet:
		return running{"StatefulSet/" + o.Name, replicas(o.Spec.Replicas), true}, true
	case *appsv1.ReplicaSet:
		return running{"ReplicaSet/" + o.Name, replicas(o.Spec.Replicas), true}, metav1.GetControllerOf(o) == nil
	case *appsv1.DaemonSet:
		return running{"DaemonSet/" + o.Name, int(o.Status.DesiredNumberScheduled), false}, true
	case *batchv1.Job:
		return running{"Job/" + o.Name, replicas(o.Spec.Completions), false}, metav1.GetControllerOf(o) == nil
	default:
		return running{}, false
	}
}

// contents groups the pods by the content that they are of, and says how many
// there are to be. It is pure.
func contents(a *anchor, pods []*corev1.Pod, workloads []running) []deployer.Content {
	var groups []*group

	if a.Target != nil {
		if g := wantedGroup(a.Target, workloads); g != nil {
			groups = append(groups, g)
		}
	}

	for _, p := range pods {
		g := groupOf(&groups, contentOfPod(a, p), revisionOfPod(p), p)
		g.add(p)
	}

	found := make([]deployer.Content, 0, len(groups))
	for _, g := range groups {
		found = append(found, g.Content)
	}

	return found
}

// contentOfPod gives the content that a pod was made for; nil for one that
// somebody else has made or changed.
func contentOfPod(a *anchor, p *corev1.Pod) *content {
	revision := revisionOfPod(p)

	for _, c := range []*content{a.Target, a.Stable} {
		if c == nil {
			continue
		}

		for _, w := range c.Workloads {
			if w.Revision == revision {
				return c
			}
		}
	}

	switch {
	case a.Verdict == "" && a.Target != nil && !p.CreationTimestamp.Time.Before(a.Since.Truncate(time.Second)):
		return a.Target // its rollout has not found the revision yet
	case p.Labels[labelTemplate] == "" && p.Labels[labelController] == "":
		return labelled(a, p) // a run of a CronJob, or an operator's pod
	default:
		return nil
	}
}

// labelled gives the content whose version's label a pod carries.
func labelled(a *anchor, p *corev1.Pod) *content {
	for _, c := range []*content{a.Target, a.Stable} {
		if c != nil && p.Labels[labelVersion] == spec.VersionLabel(c.VersionName) {
			return c
		}
	}

	return nil
}

// group is a content with where its pods come from.
type group struct {
	deployer.Content

	of *content
	// revision, for pods that are of no content.
	revision string
}

// wantedGroup is the content that is wanted, with how many pods its workloads
// are to run; nil when none of them is there.
func wantedGroup(c *content, workloads []running) *group {
	g := &group{of: c, Content: contentOfAnchor(c)}
	there := len(c.Workloads) == 0

	for name, w := range c.Workloads {
		if strings.HasPrefix(name, "Pod/") {
			g.Desired++
			there = true

			continue
		}

		i := slices.IndexFunc(workloads, func(r running) bool { return r.name == name })
		if i < 0 {
			continue
		}

		there = true
		g.Desired += workloads[i].replicas

		// Somebody has scaled it: it is the version, and not the content.
		if workloads[i].scaled && w.Replicas != nil && int(*w.Replicas) != workloads[i].replicas {
			g.Digest = ""
		}
	}

	if !there {
		return nil
	}

	return g
}

func contentOfAnchor(c *content) deployer.Content {
	return deployer.Content{
		Digest: c.Digest, Deployment: c.Deployment, Version: c.Version, VersionName: c.VersionName, Images: map[string]spec.Image{},
	}
}

// groupOf finds or makes the group that a pod belongs to. Pods of no content
// are those that somebody else's change has made: they are grouped by revision,
// and by the images that the contents have.
func groupOf(groups *[]*group, c *content, revision string, p *corev1.Pod) *group {
	for _, g := range *groups {
		if c != nil && g.of == c || c == nil && g.of == nil && g.revision == revision {
			return g
		}
	}

	g := &group{of: c, revision: revision}
	if c != nil {
		g.Content = contentOfAnchor(c)
	} else {
		g.VersionName = p.Labels[labelVersion]
		g.Images = map[string]spec.Image{}
	}

	*groups = append(*groups, g)

	return g
}

func (g *group) add(p *corev1.Pod) {
	if isReady(p) || p.Status.Phase == corev1.PodSucceeded {
		g.Ready++
	}

	for _, s := range p.Status.ContainerStatuses {
		if image, ok := imageOf(p, s); ok {
			g.Images[s.Name] = image
		}
	}
}

// imageOf gives the image that really runs in a container.
func imageOf(p *corev1.Pod, s corev1.ContainerStatus) (spec.Image, bool) {
	_, digest, found := strings.Cut(s.ImageID, "@")
	if !found {
		return spec.Image{}, false
	}

	return spec.Image{Reference: named(p.Spec.Containers, s.Name).Image, Digest: digest}, true
}
