package kubernetes

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ensureNamespace makes the namespace of the site where it is missing: the
// anchor needs it, and so does every dry run. It is nobody's afterwards, and
// never removed.
func (s site) ensureNamespace(ctx context.Context) error {
	namespaces := s.typed.CoreV1().Namespaces()

	_, err := namespaces.Get(ctx, s.namespace, metav1.GetOptions{})
	if !apierrors.IsNotFound(err) {
		return refusal("the namespace "+s.namespace, err)
	}

	_, err = namespaces.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.namespace}}, metav1.CreateOptions{FieldManager: managedBy(s.Unit)})
	if apierrors.IsAlreadyExists(err) {
		err = nil // another unit has made it
	}

	return refusal("the namespace "+s.namespace, err)
}
