package share

import (
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
)

// what is the value of a field.
type what byte

const (
	typeName what = iota
	batchGap
	batchLines
	batchCursor
	batchComplete
	gapReason
	gapLines
	lineCursor
	lineTime
	lineStream
	linePhase
	lineSource
	lineText
	lineTruncated
	lineNode
	sourceStep
	sourceContainer
	sourceInstance
	sourceAttempt
)

// object is a type of the contract: its fields, and the types of those that
// are objects.
type object struct {
	name   string
	fields map[string]what
	inner  map[string]object
}

// lineObject is the contract's LogLine.
func lineObject() object {
	source := object{name: "LogSource", fields: map[string]what{
		"step": sourceStep, "container": sourceContainer, "instance": sourceInstance, "attempt": sourceAttempt,
	}}

	return object{name: "LogLine", inner: map[string]object{"source": source}, fields: map[string]what{
		"cursor": lineCursor, "time": lineTime, "stream": lineStream, "phase": linePhase, "source": lineSource, "text": lineText,
		"truncated": lineTruncated,
	}}
}

// edgeObject is the contract's LogLineEdge.
func edgeObject() object {
	return object{name: "LogLineEdge", inner: map[string]object{"node": lineObject()}, fields: map[string]what{
		"cursor": lineCursor, "node": lineNode,
	}}
}

// batchObject is the contract's LogBatch.
func batchObject() object {
	gap := object{name: "LogGap", fields: map[string]what{"reason": gapReason, "lines": gapLines}}

	return object{name: "LogBatch", inner: map[string]object{"gap": gap, "lines": lineObject()}, fields: map[string]what{
		"gap": batchGap, "lines": batchLines, "cursor": batchCursor, "complete": batchComplete,
	}}
}

// field is a field to be written.
type field struct {
	// head is what stands before its value: the brace or the comma, the name,
	// the colon.
	head string
	what what
	// text is the value of __typename.
	text  string
	inner []field
}

// plan says how a part of a log is written.
type plan struct {
	// key is the same for plans that write the same.
	key    string
	head   string
	fields []field
}

// compile makes the plan of the subscription's field; false when it asks for
// something that the encoder does not know.
func compile(oc *graphql.OperationContext, root graphql.CollectedField) (*plan, bool) {
	fields, ok := compileSet(oc, root.Selections, batchObject())
	if !ok || len(root.Deferrables) > 0 {
		return nil, false
	}

	p := &plan{head: `{"data":{` + string(appendString(nil, root.Alias)) + `:`, fields: fields}

	var key strings.Builder

	key.WriteString(p.head)
	writeKey(&key, fields)
	p.key = key.String()

	return p, true
}

// compileSet flattens a selection set as the executor does: fragments,
// conditions and equal names are resolved by CollectFields.
func compileSet(oc *graphql.OperationContext, set ast.SelectionSet, of object) ([]field, bool) {
	var out []field

	before := "{"

	for _, selected := range graphql.CollectFields(oc, set, []string{of.name}) {
		f := field{head: before + string(appendString(nil, selected.Alias)) + ":"}
		before = ","

		kind, known := of.fields[selected.Name]

		switch {
		case len(selected.Deferrables) > 0:
			return nil, false
		case selected.Name == "__typename":
			f.text = string(appendString(nil, of.name))
		case !known:
			return nil, false
		default:
			f.what = kind
		}

		if inner, isObject := of.inner[selected.Name]; isObject {
			var ok bool
			if f.inner, ok = compileSet(oc, selected.Selections, inner); !ok {
				return nil, false
			}
		}

		out = append(out, f)
	}

	// Everything may have been left out by conditions.
	return out, len(out) > 0
}

// writeKey writes what the fields are; their heads begin and end as nothing
// else does, so that no two plans have the same key.
func writeKey(key *strings.Builder, fields []field) {
	for _, f := range fields {
		key.WriteString(f.head)
		key.WriteByte('A' + byte(f.what))
		writeKey(key, f.inner)
	}

	key.WriteByte('}')
}
