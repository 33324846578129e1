package kubernetes

import (
	"context"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// watched gives the kinds that are watched.
func watched() []authorizationv1.ResourceAttributes {
	return []authorizationv1.ResourceAttributes{
		{Resource: "configmaps"},
		{Resource: "pods"},
		{Group: "apps", Resource: "deployments"},
		{Group: "apps", Resource: "statefulsets"},
		{Group: "apps", Resource: "daemonsets"},
		{Group: "apps", Resource: "replicasets"},
		{Group: "batch", Resource: "jobs"},
	}
}

// decide asks whether all namespaces may be looked into, until that is
// answered, and begins the watches.
func (w *watches) decide(ctx context.Context) {
	for {
		wide, err := w.everywhere(ctx)
		if err == nil {
			w.begin(wide)

			return
		}

		select {
		case <-ctx.Done():
			return
		case <-time.After(pulseAgain):
		}
	}
}

// everywhere asks whether all that is watched may be seen in all namespaces.
// Errors: those of a cluster that does not say.
func (w *watches) everywhere(ctx context.Context) (bool, error) {
	for _, kind := range watched() {
		for _, verb := range []string{"list", "watch"} {
			asked := kind
			asked.Verb = verb

			review, err := w.typed.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, &authorizationv1.SelfSubjectAccessReview{
				Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &asked},
			}, metav1.CreateOptions{})

			switch {
			case apierrors.IsForbidden(err):
				return false, nil // who may not even ask may not look everywhere
			case err != nil:
				return false, err
			case !review.Status.Allowed:
				return false, nil
			}
		}
	}

	return true, nil
}

// of gives the watch that sees a namespace, nil when none does.
func (w *watches) of(namespace string) *watch {
	w.mu.Lock()
	defer w.mu.Unlock()

	if w.wide {
		namespace = ""
	}

	return w.running[namespace]
}
