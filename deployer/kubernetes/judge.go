package kubernetes

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"

	"github.com/shiplog/shiplog/deployer"
)

// blame is where a diagnosis was found: whose last lines are shown.
type blame struct {
	pod       string
	container string
	// previous: the run that ended before the one that is there.
	previous bool
}

// judge says where the rollout of a content stands. It is pure; last lines are
// for the caller to add, of the one that is to blame.
func judge(found sight) (deployer.Progress, *blame) {
	progress := deployer.Progress{Verdict: deployer.Progressing}
	waits, broken := "", seen{}
	brokenSays := ""

	for _, one := range found.objects {
		s, says := statusOf(one)

		switch {
		case s == status.CurrentStatus:
		case s == status.FailedStatus && brokenSays == "":
			broken, brokenSays = one, says
		default:
			waits = one.String() + ": " + says
		}
	}

	own := ownPods(found)
	progress.Ready, progress.Desired = count(found, own)
	progress.Message = fmt.Sprintf("%d of %d pods ready", progress.Ready, progress.Desired)

	if d, where := conclusive(found, own); d != nil {
		progress.Verdict, progress.Diagnosis = deployer.Failed, d

		return progress, where
	}

	switch {
	case brokenSays != "":
		d, where := late(found, own, broken, brokenSays)
		progress.Verdict, progress.Diagnosis = deployer.Failed, d

		return progress, where
	case waits == "" && progress.Ready >= progress.Desired:
		progress.Verdict = deployer.Ready
		progress.Ready = progress.Desired

		return progress, nil
	case found.now.Sub(found.since) > found.deadline:
		d, where := late(found, own, seen{}, waits)
		progress.Verdict, progress.Diagnosis = deployer.Failed, d

		return progress, where
	}

	if progress.Desired == 0 && waits != "" {
		progress.Message = waits
	}

	return progress, nil
}

// statusOf gives kstatus' word on an object.
func statusOf(one seen) (status.Status, string) {
	if one.object == nil {
		return status.NotFoundStatus, "it is not there"
	}

	result, err := status.Compute(one.object)
	if err != nil {
		return status.UnknownStatus, err.Error()
	}

	// kstatus takes a set whose pods are replaced by hand for done.
	if result.Status == status.CurrentStatus && one.runsPods() && one.revision == "" {
		return status.InProgressStatus, "its controller has not seen it yet"
	}

	return result.Status, strings.TrimSuffix(result.Message, ".")
}

// ownPods gives the pods that were made from the content's templates.
func ownPods(found sight) []corev1.Pod {
	revisions := map[string]bool{}

	for _, one := range found.objects {
		if one.revision != "" {
			revisions[one.revision] = true
		}
	}

	var own []corev1.Pod

	for _, p := range found.pods {
		if revisions[revisionOfPod(&p)] {
			own = append(own, p)
		}
	}

	return own
}

// count gives how many pods are ready, and how many are to be.
func count(found sight, own []corev1.Pod) (ready, desired int) {
	for _, one := range found.objects {
		if one.object != nil && one.runsPods() {
			desired += desiredOf(one.object)
		}
	}

	for _, p := range own {
		if isReady(&p) || p.Status.Phase == corev1.PodSucceeded {
			ready++
		}
	}

	return min(ready, desired), desired
}

func isReady(p *corev1.Pod) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}

	return false
}
