package deploy

import (
	"fmt"
	"slices"
	"testing"

	"github.com/shiplog/shiplog/deployer"
	"github.com/shiplog/shiplog/internal/spec"
)

// TestObjectsWithoutPodsStray changes and removes by kubectl what runs no pods,
// and repairs it by applying it again.
func TestObjectsWithoutPodsStray(t *testing.T) {
	t.Parallel()

	labels := object{spec.LabelService: "hello"}
	backend := object{"service": object{"name": "hello", "port": object{"number": 80}}}
	s := newStage(t)
	act := s.act(t, "d1", configMap("one", "1"),
		object{
			"apiVersion": "v1", "kind": "Service", "metadata": object{"name": "hello", "labels": labels},
			"spec": object{"selector": object{"app": "hello"}, "ports": []any{object{"port": 80}}},
		},
		object{
			"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": object{"name": "hello", "labels": labels},
			"spec": object{"defaultBackend": backend},
		})

	s.ready(t, act)

	is := func(object string, missing bool, hand string) func(deployer.Observation) bool {
		return func(o deployer.Observation) bool {
			return slices.Equal(o.Strayed, []deployer.Stray{{Object: object, Missing: missing}}) &&
				(hand == "" || len(o.Hands) == 1 && o.Hands[0].Object == object && o.Hands[0].Manager == hand)
		}
	}
	same := func(o deployer.Observation) bool { return len(o.Strayed) == 0 && len(o.Hands) == 0 }

	// What others add is theirs: it strays with none of the following.
	s.kubectl(t, "annotate", "service", "hello", "-n", s.namespace, "note=of-somebody")

	for i, c := range []struct {
		args []string
		ok   func(deployer.Observation) bool
	}{
		{[]string{"patch", "configmap", "one", "-p", `{"data":{"a":"2"}}`}, is("ConfigMap/one", false, "kubectl-patch")},
		{[]string{"patch", "service", "hello", "-p", `{"spec":{"selector":{"app":"other"}}}`}, is("Service/hello", false, "")},
		{[]string{"patch", "ingress", "hello", "-p", `{"spec":{"defaultBackend":{"service":{"name":"other"}}}}`}, is("Ingress/hello", false, "kubectl-patch")},
		{[]string{"delete", "configmap", "one"}, is("ConfigMap/one", true, "")},
		{[]string{"delete", "service", "hello"}, is("Service/hello", true, "")},
	} {
		s.kubectl(t, append(c.args, "-n", s.namespace)...)
		s.until(t, act.Unit, c.args[0]+" "+c.args[1], c.ok)

		again := act
		again.Deployment, again.Epoch = fmt.Sprintf("again%d", i), act.Epoch+int64(i)+1
		t.Log(s.ready(t, again).Changes)
		s.until(t, act.Unit, "repaired", same)
	}
}
