package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"

	"github.com/shiplog/shiplog/deployer"
	"github.com/shiplog/shiplog/internal/fault"
)

// immutable gives the fields that an apply was refused for because they cannot
// be changed. The server has no reason of its own for that: words tell it from
// a value that is wrong.
func immutable(err error) []string {
	var status apierrors.APIStatus
	if !apierrors.IsInvalid(err) || !errors.As(err, &status) || status.Status().Details == nil {
		return nil
	}

	var fields []string

	for _, cause := range status.Status().Details.Causes {
		for _, words := range []string{"immutable", "may not change once set", "cannot change", "fields other than"} {
			if strings.Contains(cause.Message, words) && !slices.Contains(fields, cause.Field) {
				fields = append(fields, cause.Field)
			}
		}
	}

	return fields
}

// replaceable decides what becomes of an object that cannot be changed in
// place. A Job is run again: it is replaced, if the server takes the new one
// under another name. Nothing else is, because something would be down, or lost.
func (s site) replaceable(ctx context.Context, client dynamic.ResourceInterface, w *desired, fields []string) error {
	if w.groupKind().String() != "Job.batch" {
		return fault.New(fault.Conflict, "%s: %s cannot be changed once it is there: leave it as it was, give the object another name, or remove it first (kubectl delete %s %s -n %s)",
			w, strings.Join(fields, ", "), strings.ToLower(w.Kind), w.Name, s.namespace).At("version")
	}

	there, err := client.Get(ctx, w.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return fmt.Errorf("%s: %w: %w", w, errRaced, err)
	}

	if err != nil {
		return refusal(w.String(), err)
	}

	if !s.owns(there.GetLabels()) {
		return fault.New(fault.Conflict, "%s is there and is not this service's: give it another name, or remove it first (kubectl delete job %s -n %s)", w, w.Name, s.namespace).At("version")
	}

	// Its name, which others may carry in labels, may be as long as it likes.
	other := w.object.DeepCopy()
	other.SetName("shiplog-try")

	if _, err := client.Apply(ctx, other.GetName(), other, metav1.ApplyOptions{FieldManager: managedBy(s.Unit), DryRun: []string{metav1.DryRunAll}, Force: true}); err != nil {
		return refusal(w.String(), err)
	}

	w.version, w.replaces = there.GetResourceVersion(), there.GetUID()

	return nil
}

// owns reports whether labels say that an object is the unit's.
func (s site) owns(labels map[string]string) bool {
	return labels[labelService] == s.Service && labels[labelEnvironment] == s.Environment
}

// replaceWait is how long an object that is to be replaced may take to go: a
// minute for its pods to stop, and some.
const replaceWait = 90 * time.Second

// makeRoom removes the object that w replaces, with what it has made, and waits
// until it is gone. Whoever goes on after us finds it gone, or going.
func (s site) makeRoom(ctx context.Context, act deployer.Act, client dynamic.ResourceInterface, w desired) error {
	if err := s.stillOurs(ctx, act); err != nil {
		return err
	}

	foreground := metav1.DeletePropagationForeground
	options := metav1.DeleteOptions{PropagationPolicy: &foreground, Preconditions: &metav1.Preconditions{UID: &w.replaces}}

	err := client.Delete(ctx, w.Name, options)

	switch {
	case apierrors.IsConflict(err):
		return fmt.Errorf("%s: %w: %w", w, errRaced, err)
	case err != nil && !apierrors.IsNotFound(err):
		return refusal(w.String(), err)
	}

	for until := time.Now().Add(replaceWait); ; {
		there, err := client.Get(ctx, w.Name, metav1.GetOptions{})

		switch {
		case apierrors.IsNotFound(err), err == nil && there.GetUID() != w.replaces:
			return nil
		case err != nil:
			return refusal(w.String(), err)
		case time.Now().After(until):
			return fmt.Errorf("%s has been asked to go and is still there", w)
		}

		select {
		case <-ctx.Done():
			return fmt.Errorf("wait until %s is gone: %w", w, ctx.Err())
		case <-time.After(replaceEvery):
		}
	}
}

// replaceEvery is how often it is looked whether it is gone.
const replaceEvery = 200 * time.Millisecond
