// Package strategic applies strategic merge patches to Kubernetes objects with
// kustomize's own library, which knows by Kubernetes' published schema which
// lists are merged by which key. It stands apart so that nothing else of the
// pure rooms knows that library.
package strategic

import (
	"encoding/json"
	"errors"
	"fmt"

	"sigs.k8s.io/kustomize/api/filters/patchstrategicmerge"
	"sigs.k8s.io/kustomize/kyaml/yaml"
)

// errPanicked is what a panic of the library becomes: the patch is a user's,
// and a program that dies of it would be anybody's to stop.
var errPanicked = errors.New("the library panicked")

// Merge gives the object (JSON, with apiVersion and kind) with the patch
// (JSON) merged into it; nil when the patch deletes it ("$patch": "delete").
// Lists of kinds that are not known are replaced.
func Merge(object, patch json.RawMessage) (merged json.RawMessage, err error) {
	defer func() {
		if p := recover(); p != nil {
			merged, err = nil, fmt.Errorf("%w: %v", errPanicked, p)
		}
	}()

	if err := checkKeys(object, patch); err != nil {
		return nil, err
	}

	target, err := yaml.Parse(string(object))
	if err != nil {
		return nil, fmt.Errorf("read the object: %w", err)
	}

	change, err := yaml.Parse(string(patch))
	if err != nil {
		return nil, fmt.Errorf("read the patch: %w", err)
	}

	left, err := patchstrategicmerge.Filter{Patch: change}.Filter([]*yaml.RNode{target})
	if err != nil {
		return nil, fmt.Errorf("merge: %w", err)
	}

	if len(left) == 0 || left[0].IsNilOrEmpty() {
		return nil, nil
	}

	restyle(left[0].YNode())

	merged, err = left[0].MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("write the object: %w", err)
	}

	return merged, nil
}

// restyle writes every value as what it is: the library gives a merged value
// the quotes of the value that it replaces, and 1 over "25%" would become "1".
func restyle(n *yaml.Node) {
	if n.Kind == yaml.ScalarNode {
		n.Style = 0
		if n.ShortTag() == yaml.NodeTagString {
			n.Style = yaml.DoubleQuotedStyle
		}
	}

	for _, content := range n.Content {
		restyle(content)
	}
}
