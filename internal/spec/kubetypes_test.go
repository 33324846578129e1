package spec

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
)

// checkTypes decodes objects of well-known kinds as the API server would, and
// refuses members that the kinds do not have.
func checkTypes(t *testing.T, objects map[string]json.RawMessage) {
	t.Helper()

	for _, key := range sortedKeys(objects) {
		var typed any

		switch key[:strings.LastIndexByte(key, '/')] {
		case "apps/v1/Deployment":
			typed = &appsv1.Deployment{}
		case "apps/v1/StatefulSet":
			typed = &appsv1.StatefulSet{}
		case "apps/v1/DaemonSet":
			typed = &appsv1.DaemonSet{}
		case "batch/v1/CronJob":
			typed = &batchv1.CronJob{}
		case "batch/v1/Job":
			typed = &batchv1.Job{}
		case "v1/Service":
			typed = &corev1.Service{}
		case "v1/ConfigMap":
			typed = &corev1.ConfigMap{}
		default:
			continue
		}

		decoder := json.NewDecoder(bytes.NewReader(objects[key]))
		decoder.DisallowUnknownFields()

		if err := decoder.Decode(typed); err != nil {
			t.Errorf("%s is not one: %v\n%s", key, err, objects[key])
		}
	}
}
