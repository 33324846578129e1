package diff

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
)

// Decode reads a JSON document. Numbers are IEEE 754 doubles, as RFC 8785 has
// them.
func Decode(data []byte) (any, error) {
	decoder := json.NewDecoder(bytes.NewReader(data))

	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, fmt.Errorf("read JSON: %w", err)
	}

	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the JSON value")
	}

	return value, nil
}

// tree gives any value as decoded JSON.
func tree(value any) (any, error) {
	data, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("write JSON: %w", err)
	}

	return Decode(data)
}

// encode writes decoded JSON, as it is, without HTML's escapes.
func encode(value any) json.RawMessage {
	var out bytes.Buffer

	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)

	if err := encoder.Encode(value); err != nil {
		return nil // decoded JSON can always be written
	}

	return bytes.TrimSpace(out.Bytes())
}

// equal reports whether two decoded values are the same JSON.
func equal(a, b any) bool {
	switch a := a.(type) {
	case map[string]any:
		b, ok := b.(map[string]any)

		return ok && maps.EqualFunc(a, b, equal)
	case []any:
		b, ok := b.([]any)

		return ok && slices.EqualFunc(a, b, equal)
	default:
		// The rest is comparable; maps and lists in b are no panic: a is none.
		return isScalar(b) && a == b
	}
}

func isScalar(v any) bool {
	switch v.(type) {
	case map[string]any, []any:
		return false
	}

	return true
}

// clone copies maps and lists; scalars cannot change.
func clone(value any) any {
	switch v := value.(type) {
	case map[string]any:
		copied := make(map[string]any, len(v))
		for name, member := range v {
			copied[name] = clone(member)
		}

		return copied
	case []any:
		copied := make([]any, len(v))
		for i, e := range v {
			copied[i] = clone(e)
		}

		return copied
	}

	return value
}

// names gives the members' names of both, sorted, each once.
func names(a, b map[string]any) []string {
	all := slices.AppendSeq(slices.Collect(maps.Keys(a)), maps.Keys(b))
	slices.Sort(all)

	return slices.Compact(all)
}

// at gives the value at a pointer that runs over maps alone.
func at(value any, path string) (any, bool) {
	for _, token := range split(path) {
		object, _ := value.(map[string]any)

		var ok bool
		if value, ok = object[token]; !ok {
			return nil, false
		}
	}

	return value, true
}
