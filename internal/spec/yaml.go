package spec

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"
	kyaml "sigs.k8s.io/yaml"

	"github.com/shiplog/shiplog/internal/fault"
)

// readYAML reads one YAML document as Score and configuration are written:
// yes, no, on and off are strings, and so is every name and every date.
func readYAML(field string, text []byte) (any, error) {
	budget := maxExpandedBytes

	root, err := parseYAML(field, text, &budget)
	if err != nil {
		return nil, err
	}

	value, err := nodeValue(field, root)
	if err != nil {
		return nil, err
	}

	data, err := json.Marshal(value)
	if err != nil {
		return nil, fault.Invalid(field, "has a number that JSON cannot write; accepted are finite numbers")
	}

	return decodeChecked(field, data, true)
}

// nodeValue resolves aliases and gives the JSON value of a node. Its size is
// bounded by parseYAML.
func nodeValue(field string, n *yaml.Node) (any, error) {
	switch n.Kind {
	case yaml.DocumentNode:
		return nodeValue(field, n.Content[0])
	case yaml.AliasNode:
		return nodeValue(field, n.Alias)
	case yaml.SequenceNode:
		list := make([]any, len(n.Content))

		for i, content := range n.Content {
			v, err := nodeValue(element(field, i), content)
			if err != nil {
				return nil, err
			}

			list[i] = v
		}

		return list, nil
	case yaml.MappingNode:
		return mappingValue(field, n)
	case yaml.ScalarNode:
		return scalarValue(field, n)
	default:
		return nil, nil //nolint:nilnil // nothing but comments is null
	}
}

func mappingValue(field string, n *yaml.Node) (any, error) {
	object := map[string]any{}
	merged := map[string]any{}

	for i := 0; i+1 < len(n.Content); i += 2 {
		name, content := n.Content[i], n.Content[i+1]
		if name.Kind == yaml.AliasNode {
			name = name.Alias
		}

		if name.Kind != yaml.ScalarNode {
			return nil, fault.Invalid(field, "has a name that is no string (line %d); accepted are strings", name.Line)
		}

		if name.ShortTag() == "!!merge" {
			if err := mergeInto(field, merged, content); err != nil {
				return nil, err
			}

			continue
		}

		at := child(field, name.Value)
		if _, twice := object[name.Value]; twice {
			return nil, fault.Invalid(at, "is given twice (line %d); accepted is once", name.Line)
		}

		v, err := nodeValue(at, content)
		if err != nil {
			return nil, err
		}

		object[name.Value] = v
	}

	for name, v := range merged {
		if _, own := object[name]; !own {
			object[name] = v
		}
	}

	return object, nil
}

// mergeInto adds what a merge key (<<) brings; what came first stays.
func mergeInto(field string, into map[string]any, n *yaml.Node) error {
	v, err := nodeValue(field, n)
	if err != nil {
		return err
	}

	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}

	for _, e := range list {
		object, ok := e.(map[string]any)
		if !ok {
			return fault.Invalid(field, "merges %s (line %d); accepted are objects", typeName(e), n.Line)
		}

		for name, v := range object {
			if _, earlier := into[name]; !earlier {
				into[name] = v
			}
		}
	}

	return nil
}

func scalarValue(field string, n *yaml.Node) (any, error) {
	switch n.ShortTag() {
	case "!!null":
		return nil, nil //nolint:nilnil // null is a value
	case "!!bool", "!!int", "!!float":
		var v any
		if err := n.Decode(&v); err != nil {
			return nil, fault.Invalid(field, "is not valid YAML: %s", yamlReason(err))
		}

		return v, nil
	default:
		return n.Value, nil
	}
}

// manifestJSON turns one YAML document into JSON by the rules of Kubernetes
// (YAML 1.1 booleans and all), after checking that its anchors do not expand
// beyond the budget, from which the expanded size is taken. A member may be
// given twice, because in real manifests it happens and a cluster takes the
// last one; but not around a Secret, whose content it could hide from the
// check.
func manifestJSON(field string, text []byte, budget *int) ([]byte, error) {
	root, err := parseYAML(field, text, budget)
	if err != nil {
		return nil, err
	}

	data, err := kyaml.YAMLToJSONStrict(text)
	if err == nil {
		return data, nil
	}

	refused := fault.Invalid(field, "is not valid YAML: %s", yamlReason(err))

	if mentionsSecret(root) {
		return nil, refused
	}

	data, err = kyaml.YAMLToJSON(text)
	if err != nil {
		return nil, refused
	}

	return data, nil
}

// mentionsSecret reports whether "kind: Secret" stands anywhere in the node.
func mentionsSecret(n *yaml.Node) bool {
	for i, content := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 1 && n.Content[i-1].Value == "kind" {
			if content.Value == "Secret" || content.Kind == yaml.AliasNode && content.Alias.Value == "Secret" {
				return true
			}
		}

		if mentionsSecret(content) {
			return true
		}
	}

	return false
}

// yamlReason is the parser's message in one line.
func yamlReason(err error) string {
	s := strings.Join(strings.Fields(err.Error()), " ")
	s = strings.TrimPrefix(s, "error converting YAML to JSON: ")

	return shorten(strings.TrimPrefix(s, "yaml: "))
}

// parseYAML parses one document without resolving its aliases, and takes what
// resolving them would cost from the budget.
func parseYAML(field string, text []byte, budget *int) (*yaml.Node, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(text))

	var root yaml.Node
	if err := decoder.Decode(&root); err != nil && !errors.Is(err, io.EOF) {
		return nil, fault.Invalid(field, "is not valid YAML: %s", yamlReason(err))
	}

	var more yaml.Node
	if err := decoder.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, fault.Invalid(field, "holds something after the end of the document; accepted is one YAML document here, or documents separated by lines of ---")
	}

	c := expansion{costs: map[*yaml.Node]int{}, open: map[*yaml.Node]bool{}}
	if *budget -= c.cost(&root, 0); *budget < 0 || c.cyclic {
		return nil, fault.Invalid(field, "has aliases that expand to more than %d MiB or contain themselves; write the values out", maxExpandedBytes>>20)
	}

	if c.deep {
		return nil, tooDeep(field)
	}

	return &root, nil
}

func tooDeep(field string) error {
	return fault.Invalid(field, "is nested too deeply; accepted are %d levels", maxDepth)
}

type expansion struct {
	costs        map[*yaml.Node]int
	open         map[*yaml.Node]bool
	cyclic, deep bool
}

// cost is the size of a node with its aliases written out, not counted beyond
// the bound.
func (c *expansion) cost(n *yaml.Node, depth int) int {
	if n == nil || c.cyclic || c.deep {
		return 0
	}

	if depth > 2*maxDepth {
		c.deep = true

		return 0
	}

	if cost, ok := c.costs[n]; ok {
		return cost
	}

	if c.open[n] {
		c.cyclic = true

		return 0
	}

	c.open[n] = true
	cost := 1 + len(n.Value)

	if n.Kind == yaml.AliasNode {
		cost = c.cost(n.Alias, depth+1)
	}

	for _, content := range n.Content {
		cost = min(cost+c.cost(content, depth+1), maxExpandedBytes+1)
	}

	delete(c.open, n)
	c.costs[n] = cost

	return cost
}
