package kubernetes

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/shiplog/shiplog/deployer"
)

// TestWhatIsSeenIsNotWrittenTo lets an act go on after it has saved its anchor:
// others read what was saved meanwhile.
func TestWhatIsSeenIsNotWrittenTo(t *testing.T) {
	t.Parallel()

	u := deployer.Unit{Service: "hello", Environment: "staging"}
	r := ref{APIVersion: "v1", Kind: "ConfigMap", Namespace: "shop", Name: "kept"}
	a := anchored{anchor: &anchor{Target: &content{Held: map[string]string{"another": "1"}}}, site: site{Unit: u}}
	d := &Deployer{written: map[deployer.Unit]anchored{}}
	d.remember(a)

	now := &unstructured.Unstructured{}
	now.SetManagedFields([]metav1.ManagedFieldsEntry{{
		Manager: "shiplog/hello", Operation: metav1.ManagedFieldsOperationApply, FieldsV1: metav1.NewFieldsV1(`{"f:data":{}}`),
	}})

	if !a.Target.hold(r, now, "shiplog/hello") {
		t.Fatal("nothing is held")
	}

	if held := d.written[u].Target.Held; len(held) != 1 {
		t.Errorf("what was saved is %v", held)
	}
}
