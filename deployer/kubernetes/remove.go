package kubernetes

import (
	"context"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/shiplog/shiplog/deployer"
	"github.com/shiplog/shiplog/internal/fault"
)

// explicitly is the annotation by which an object may be pruned that would be
// kept: what holds data goes by an explicit word only.
const explicitly = "shiplog.dev/prune"

// keeps reports whether objects of the kind hold more than the content says.
func (r ref) keeps() bool {
	switch r.groupKind().String() {
	case "Namespace", "PersistentVolumeClaim", "PersistentVolume":
		return true
	}

	return false
}

// removal is what became of an object that is not wanted any more.
type removal struct {
	ref

	// kept says why it stays in place; "" when it goes.
	kept string
	// gone: it was not there, or is going already.
	gone bool
}

func (r removal) String() string {
	if r.kept != "" {
		return r.ref.String() + " stays in place: " + r.kept
	}

	return r.ref.String() + " is removed"
}

// remove removes objects, the last applied first. What somebody else has made
// in the place of ours, and what holds data, stays.
func (s site) remove(ctx context.Context, act deployer.Act, refs []ref) ([]removal, error) {
	refs = slices.Clone(refs)
	slices.SortStableFunc(refs, func(a, b ref) int { return byRank(b, a) })

	var all []removal

	for _, r := range refs {
		done, err := s.removeOne(ctx, act, r)
		if err != nil {
			return all, err
		}

		all = append(all, done)
	}

	return all, nil
}

func (s site) removeOne(ctx context.Context, act deployer.Act, r ref) (removal, error) {
	done := removal{ref: r}

	client, err := s.client(r)
	if fault.Is(err, fault.InvalidInput) {
		done.gone = true // the kind itself is gone

		return done, nil
	}

	if err != nil {
		return done, err
	}

	o, err := client.Get(ctx, r.Name, metav1.GetOptions{})

	switch {
	case apierrors.IsNotFound(err):
		done.gone = true

		return done, nil
	case err != nil:
		return done, refusal(r.String(), err)
	case o.GetDeletionTimestamp() != nil:
		done.gone = true

		return done, nil
	case !s.owns(o.GetLabels()):
		done.kept = "it is not this service's any more"

		return done, nil
	case r.keeps() && o.GetAnnotations()[explicitly] != "true":
		done.kept = "it holds data; it is removed when its annotation " + explicitly + " is \"true\""

		return done, nil
	}

	if err := s.stillOurs(ctx, act); err != nil {
		return done, err
	}

	uid, background := o.GetUID(), metav1.DeletePropagationBackground
	options := metav1.DeleteOptions{PropagationPolicy: &background, Preconditions: &metav1.Preconditions{UID: &uid}}

	err = client.Delete(ctx, r.Name, options)

	switch {
	case apierrors.IsConflict(err):
		return done, fmt.Errorf("%s: %w: %w", r, errRaced, err)
	case err != nil && !apierrors.IsNotFound(err):
		return done, refusal(r.String(), err)
	}

	return done, nil
}
