package diff

import "maps"

// Conflict is a place that two changes want to be different. What is nil is
// not there.
type Conflict struct {
	Path string
	// Expected is the base's value, Found the one that is there now, Wanted
	// the one that the change would put there.
	Expected, Found, Wanted *Value
}

// Value is a JSON value that is there.
type Value struct {
	JSON any
	// Masked: it is not shown.
	Masked bool
}

// MarshalJSON writes the value; null when it is not shown.
func (v Value) MarshalJSON() ([]byte, error) {
	if v.Masked {
		return []byte("null"), nil
	}

	return encode(v.JSON), nil
}

// Merge carries the change from base to wanted over to current. With conflicts
// nothing is merged and the document is nil.
func Merge(base, wanted, current any) (any, []Conflict) {
	m := merging{}

	merged := m.merge("", there(base), there(wanted), there(current))
	if len(m.conflicts) > 0 || merged == nil {
		return nil, m.conflicts
	}

	return clone(merged.JSON), nil
}

type merging struct{ conflicts []Conflict }

func there(value any) *Value { return &Value{JSON: value} }

func member(object map[string]any, name string) *Value {
	value, ok := object[name]
	if !ok {
		return nil
	}

	return there(value)
}

func same(a, b *Value) bool {
	return a == nil && b == nil || a != nil && b != nil && equal(a.JSON, b.JSON)
}

// merge gives what is to be there, nil for nothing.
func (m *merging) merge(path string, base, wanted, current *Value) *Value {
	switch {
	case same(base, wanted), same(wanted, current):
		return current
	case same(base, current):
		return wanted
	}

	was, wants, is := objectOf(base), objectOf(wanted), objectOf(current)
	if was == nil || wants == nil || is == nil {
		m.conflicts = append(m.conflicts, Conflict{Path: path, Expected: base, Found: current, Wanted: wanted})

		return current
	}

	merged := maps.Clone(is)

	for _, name := range names(was, wants) {
		value := m.merge(join(path, name), member(was, name), member(wants, name), member(is, name))
		if value == nil {
			delete(merged, name)
		} else {
			merged[name] = value.JSON
		}
	}

	return there(merged)
}

func objectOf(v *Value) map[string]any {
	if v == nil {
		return nil
	}

	object, _ := v.JSON.(map[string]any)

	return object
}
