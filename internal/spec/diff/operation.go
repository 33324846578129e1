package diff

import (
	"encoding/json"
	"fmt"
)

// The operations of RFC 6902.
const (
	Add     = "add"
	Remove  = "remove"
	Replace = "replace"
	Move    = "move"
	Copy    = "copy"
	Test    = "test"
)

// Operation is one operation of RFC 6902.
type Operation struct {
	Op   string
	Path string
	// From of move and copy.
	From string
	// Value of add, replace and test, decoded.
	Value any
	// Masked: the value is not shown. It is written without one, so that no
	// library applies it.
	Masked bool
}

// hasValue reports whether the operation carries a value.
func (o Operation) hasValue() bool { return o.Op == Add || o.Op == Replace || o.Op == Test }

// MarshalJSON writes the members that RFC 6902 gives the operation.
func (o Operation) MarshalJSON() ([]byte, error) {
	object := map[string]any{"op": o.Op, "path": o.Path}

	switch {
	case o.Masked:
		object["masked"] = true
	case o.hasValue():
		object["value"] = o.Value
	case o.Op == Move || o.Op == Copy:
		object["from"] = o.From
	}

	return encode(object), nil
}

// UnmarshalJSON reads an operation. Its form is checked by Check.
func (o *Operation) UnmarshalJSON(data []byte) error {
	var raw struct {
		Op, Path, From *string
	}

	if err := json.Unmarshal(data, &raw); err != nil {
		return fmt.Errorf("read an operation: %w", err)
	}

	*o = Operation{}

	for _, member := range []struct {
		to   *string
		from *string
	}{{&o.Op, raw.Op}, {&o.Path, raw.Path}, {&o.From, raw.From}} {
		if member.from != nil {
			*member.to = *member.from
		}
	}

	switch {
	case raw.Path == nil:
		return fmt.Errorf("operation %q has no path", o.Op)
	case (o.Op == Move || o.Op == Copy) && raw.From == nil:
		return fmt.Errorf("operation %q has no from", o.Op)
	}

	if !o.hasValue() {
		return nil
	}

	// A null is a value, and encoding/json leaves a pointer nil for it.
	var members map[string]json.RawMessage
	if err := json.Unmarshal(data, &members); err != nil {
		return fmt.Errorf("read an operation: %w", err)
	}

	value, given := members["value"]
	if !given {
		return fmt.Errorf("operation %q has no value", o.Op)
	}

	var err error
	o.Value, err = Decode(value)

	return err
}

// Operations gives what turns one document into the other: remove, replace and
// add of the largest values that differ whole, in the order of their paths.
func Operations(from, to any) []Operation {
	return operations(nil, "", from, to)
}

func operations(all []Operation, path string, from, to any) []Operation {
	if equal(from, to) {
		return all
	}

	before, isMap := from.(map[string]any)
	after, both := to.(map[string]any)

	if !isMap || !both {
		return append(all, Operation{Op: Replace, Path: path, Value: to})
	}

	for _, name := range names(before, after) {
		at := join(path, name)
		old, was := before[name]
		now, is := after[name]

		switch {
		case !is:
			all = append(all, Operation{Op: Remove, Path: at})
		case !was:
			all = append(all, Operation{Op: Add, Path: at, Value: now})
		default:
			all = operations(all, at, old, now)
		}
	}

	return all
}
