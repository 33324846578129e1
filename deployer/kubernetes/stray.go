package kubernetes

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/shiplog/shiplog/deployer"
)

// held gives a hash of the fields that each of our managers owns by what it
// applied. Whoever changes or removes such a field takes it over, so that the
// hash becomes another one; what others add beside it changes nothing.
func held(fields []metav1.ManagedFieldsEntry) map[string]string {
	all := map[string]string{}

	for _, f := range fields {
		if f.Operation != metav1.ManagedFieldsOperationApply || f.FieldsV1 == nil || !strings.HasPrefix(f.Manager, "shiplog/") {
			continue
		}

		var set any
		if json.Unmarshal(f.FieldsV1.GetRawBytes(), &set) != nil {
			continue
		}

		// Again, because the order depends on who has read it.
		if ordered, err := json.Marshal(set); err == nil {
			sum := sha256.Sum256(ordered)
			all[f.Manager] = hex.EncodeToString(sum[:8])
		}
	}

	return all
}

// watchedAlone reports whether objects of the kind run no pods and are watched
// for themselves.
func (r ref) watchedAlone() bool {
	switch r.groupKind().String() {
	case "ConfigMap", "Service", "Ingress.networking.k8s.io":
		return true
	}

	return false
}

// hold remembers what an object's fields are held by after it was written; it
// says whether that is new.
func (c *content) hold(r ref, now *unstructured.Unstructured, manager string) bool {
	hash := held(now.GetManagedFields())[manager]
	if !r.watchedAlone() || hash == "" || c.Held[r.String()] == hash {
		return false
	}

	if c.Held == nil {
		c.Held = map[string]string{}
	}

	c.Held[r.String()] = hash

	return true
}

// settle is how long after an act began the watches may not have seen all that
// it wrote.
const settle = 2 * time.Second

// other gives an object of one of the other kinds as the watch of its namespace
// sees it.
func (w *watches) other(r ref) (o metav1.Object, listed bool) {
	one := w.of(r.Namespace)
	if one == nil {
		return nil, false
	}

	return one.other(r)
}

// strayed gives the objects without pods that are not as they were applied, and
// who changed them. What is watched and was not yet listed is taken to be right.
func (a anchored) strayed(now time.Time) (all []deployer.Stray, hands []deployer.Hand) {
	if a.Target == nil || a.Verdict == "" || now.Sub(a.Since) < settle {
		return nil, nil
	}

	ours := managedBy(a.site.Unit)

	for _, r := range a.Target.Objects {
		if !r.watchedAlone() {
			continue
		}

		o, listed := a.site.watch.other(r)

		switch {
		case !listed:
		case o == nil || o.GetDeletionTimestamp() != nil:
			all = append(all, deployer.Stray{Object: r.String(), Missing: true})
		case a.Target.Held[r.String()] != "" && a.Target.Held[r.String()] != o.GetAnnotations()[ours]:
			all = append(all, deployer.Stray{Object: r.String()})
			hands = append(hands, handsOn(r.String(), o, ours, a.Since)...)
		}
	}

	return all, hands
}
