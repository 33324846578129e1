package kubernetes

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/shiplog/shiplog/deployer"
	"github.com/shiplog/shiplog/internal/fault"
	"github.com/shiplog/shiplog/internal/spec"
)

// desired is an object that is to be written, and what the dry run said of it.
type desired struct {
	ref

	object *unstructured.Unstructured
	// version of the object that is there, "" for none.
	version string
	// taken are fields that are taken back from a person.
	taken []conflict
	// replaces is the object that has to go first; "" for none.
	replaces types.UID
}

// client gives the client of an object's kind. Kinds are looked up again when
// one is not known: it may be new in the cluster.
func (c *cluster) client(r ref) (dynamic.ResourceInterface, error) {
	version := r.APIVersion
	if r.group() != "" {
		version = version[len(r.group())+1:]
	}

	mapping, err := c.kinds.RESTMapping(r.groupKind(), version)
	if meta.IsNoMatchError(err) {
		c.kinds.Reset()
		mapping, err = c.kinds.RESTMapping(r.groupKind(), version)
	}

	switch {
	case meta.IsNoMatchError(err):
		return nil, fault.New(fault.InvalidInput, "%s: the cluster does not know the kind %s of %s", r, r.Kind, r.APIVersion)
	case err != nil:
		return nil, fmt.Errorf("look up the kind of %s: %w", r, err)
	case mapping.Scope.Name() != meta.RESTScopeNameNamespace:
		return outside{c.dynamic.Resource(mapping.Resource)}, nil
	}

	return c.dynamic.Resource(mapping.Resource).Namespace(r.Namespace), nil
}

// outside is the client of a kind that stands outside every namespace.
type outside struct{ dynamic.ResourceInterface }

// permitted refuses an object that stands outside every namespace where the
// target does not allow that. What is Kubernetes' own was refused at planning;
// only the cluster knows it of other kinds, whose objects were given the
// namespace that they do not have.
func permitted(w *desired, client dynamic.ResourceInterface, allow spec.Permissions) error {
	if _, is := client.(outside); !is {
		return nil
	}

	if !allow.ClusterScoped && w.Kind != "Namespace" {
		return fault.New(fault.InvalidInput, "%s stands outside every namespace, and the target does not allow that: give it the permission %s, or leave the object out", w, spec.AllowClusterScoped).At("target.allow")
	}

	w.object.SetNamespace("")

	return nil
}

// try asks the server what it would do with the objects, and changes nothing.
func (s site) try(ctx context.Context, objects []json.RawMessage, allow spec.Permissions) ([]desired, error) {
	all := make([]desired, 0, len(objects))

	for _, raw := range objects {
		var content map[string]any
		if err := json.Unmarshal(raw, &content); err != nil {
			return nil, fmt.Errorf("read an object: %w", err)
		}

		o := &unstructured.Unstructured{Object: content}
		all = append(all, desired{ref: refOf(o), object: o})
	}

	slices.SortStableFunc(all, func(a, b desired) int { return byRank(a.ref, b.ref) })

	for i := range all {
		if err := s.tryOne(ctx, &all[i], allow); err != nil {
			return nil, err
		}
	}

	return all, nil
}

func (s site) tryOne(ctx context.Context, w *desired, allow spec.Permissions) error {
	client, err := s.client(w.ref)
	if err != nil {
		return err
	}

	if err := permitted(w, client, allow); err != nil {
		return err
	}

	options := metav1.ApplyOptions{FieldManager: managedBy(s.Unit), DryRun: []string{metav1.DryRunAll}}

	would, err := client.Apply(ctx, w.Name, w.object, options)
	if all := conflictsOf(err); len(all) > 0 {
		if err := refuseConflicts(w.ref, all); err != nil {
			return err
		}

		w.taken, options.Force = all, true
		would, err = client.Apply(ctx, w.Name, w.object, options)
	}

	if fields := immutable(err); len(fields) > 0 {
		return s.replaceable(ctx, client, w, fields)
	}

	if err != nil {
		return refusal(w.String(), err)
	}

	if would.GetDeletionTimestamp() != nil {
		return fmt.Errorf("%s is being removed: %w", w, errRaced)
	}

	w.version = would.GetResourceVersion()

	return nil
}

// change is what writing an object has done.
type change struct {
	ref

	made, replaced bool
	taken          []conflict
}

func (c change) String() string {
	said := []string{c.ref.String() + " is changed"}
	switch {
	case c.replaced:
		said[0] = c.ref.String() + " is replaced: it cannot be changed in place"
	case c.made:
		said[0] = c.ref.String() + " is made"
	}

	for _, t := range c.taken {
		said = append(said, t.field+" is taken back from "+t.manager)
	}

	return strings.Join(said, "; ")
}

// write writes the objects that the dry run was about, in order, and gives what
// has changed. Errors: errRaced when somebody has written one since.
// wrote is told of every object as it is then.
func (s site) write(ctx context.Context, act deployer.Act, all []desired, wrote func(ref, *unstructured.Unstructured)) ([]change, error) {
	var changes []change

	for _, w := range all {
		client, err := s.client(w.ref)
		if err != nil {
			return changes, err
		}

		if w.replaces != "" {
			if err := s.makeRoom(ctx, act, client, w); err != nil {
				return changes, err
			}

			w.version = ""
		}

		if w.version == "" {
			// The server takes no condition that an object is not there.
			if err := s.stillOurs(ctx, act); err != nil {
				return changes, err
			}
		} else {
			w.object.SetResourceVersion(w.version)
		}

		now, err := client.Apply(ctx, w.Name, w.object, metav1.ApplyOptions{FieldManager: managedBy(s.Unit), Force: len(w.taken) > 0})

		switch {
		case apierrors.IsConflict(err), apierrors.IsNotFound(err) && w.version != "":
			return changes, fmt.Errorf("%s: %w: %w", w.ref, errRaced, err)
		case err != nil:
			return changes, refusal(w.String(), err)
		case now.GetResourceVersion() != w.version:
			changes = append(changes, change{ref: w.ref, made: w.version == "", replaced: w.replaces != "", taken: w.taken})
		}

		wrote(w.ref, now)
	}

	return changes, nil
}

// stillOurs refuses to go on when another owner has claimed the anchor.
func (s site) stillOurs(ctx context.Context, act deployer.Act) error {
	a, err := s.load(ctx)
	if err != nil {
		return err
	}

	return a.fence(act)
}
