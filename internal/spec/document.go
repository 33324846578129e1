package spec

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/shiplog/shiplog/internal/fault"
)

// Bounds of every document that is read. They are far above what people
// write, and low enough that no document costs more than a few megabytes and
// some milliseconds, whatever it says.
const (
	maxTextBytes     = 1 << 20
	maxExpandedBytes = 4 << 20
	maxDepth         = 64
	maxNodes         = 100_000
	maxMembers       = 5_000
	// maxSafeInteger is the largest integer that RFC 8785 can tell from its
	// neighbours.
	maxSafeInteger = 1<<53 - 1
)

var plainKey = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// child is the path of a member: "a.b", or `a["b/c"]` when the name is not plain.
func child(field, name string) string {
	if !plainKey.MatchString(name) {
		return field + "[" + strconv.Quote(shorten(name)) + "]"
	}

	if field == "" {
		return name
	}

	return field + "." + name
}

func element(field string, i int) string { return field + "[" + strconv.Itoa(i) + "]" }

// shorten keeps what is quoted in a message to a readable length.
func shorten(s string) string {
	const most = 80
	if utf8.RuneCountInString(s) <= most {
		return s
	}

	return string([]rune(s)[:most]) + "…"
}

// readDocument reads a JSON value that comes as YAML or JSON text (string,
// []byte, json.RawMessage) or as decoded JSON (anything else), and checks the
// bounds. Numbers are json.Number. Duplicate members are refused.
func readDocument(field string, raw any) (any, error) {
	var text []byte

	switch v := raw.(type) {
	case string:
		text = []byte(v)
	case []byte:
		text = v
	case json.RawMessage:
		text = v
	default:
		data, err := json.Marshal(v)
		if err != nil {
			return nil, fault.Invalid(field, "is not a JSON value; accepted is an object, or YAML or JSON text")
		}

		if len(data) > maxExpandedBytes {
			return nil, fault.Invalid(field, "is too large; accepted are %d KiB", maxTextBytes>>10)
		}

		return decodeChecked(field, data, true)
	}

	if err := checkText(field, text); err != nil {
		return nil, err
	}

	if len(bytes.TrimSpace(text)) == 0 {
		return nil, fault.Invalid(field, "is empty; accepted is an object, or YAML or JSON text; leave it out if there is none")
	}

	if !json.Valid(text) {
		return readYAML(field, text)
	}

	return decodeChecked(field, text, true)
}

// checkText checks what holds for every text: size, UTF-8, no NUL.
func checkText(field string, text []byte) error {
	switch {
	case len(text) > maxTextBytes:
		return fault.Invalid(field, "has %d bytes; accepted are at most %d (1 MiB)", len(text), maxTextBytes)
	case !utf8.Valid(text):
		return fault.Invalid(field, "is not valid UTF-8; accepted is UTF-8 text")
	case bytes.IndexByte(text, 0) >= 0:
		return fault.Invalid(field, "contains a NUL character (U+0000); accepted is text without it")
	}

	return nil
}

// decodeChecked decodes JSON and checks the bounds of the tree.
func decodeChecked(field string, data []byte, exact bool) (any, error) {
	d := treeDecoder{root: field, json: json.NewDecoder(bytes.NewReader(data)), exact: exact}
	d.json.UseNumber()

	v, err := d.value(field, 0)
	if err != nil {
		return nil, err
	}

	if _, err := d.json.Token(); !errors.Is(err, io.EOF) {
		return nil, fault.Invalid(field, "holds something after the end of the JSON value")
	}

	return v, nil
}

// treeDecoder builds a tree of map[string]any, []any, string, json.Number,
// bool and nil, and refuses what is out of bounds or said twice.
type treeDecoder struct {
	// root is where the document stands.
	root string
	json *json.Decoder
	// exact refuses numbers that RFC 8785 cannot tell apart.
	exact bool
	nodes int
}

func (d *treeDecoder) value(field string, depth int) (any, error) {
	if d.nodes++; d.nodes > maxNodes {
		return nil, fault.Invalid(d.root, "is too large; accepted are %d values in one document", maxNodes)
	}

	if depth > maxDepth {
		return nil, tooDeep(d.root)
	}

	token, err := d.json.Token()
	if err != nil {
		return nil, fault.Invalid(field, "is not valid JSON")
	}

	switch t := token.(type) {
	case json.Delim:
		if t == '{' {
			return d.object(field, depth)
		}

		return d.array(field, depth)
	case string:
		if strings.ContainsRune(t, 0) {
			return nil, fault.Invalid(field, "contains a NUL character (U+0000); accepted is text without it")
		}

		return t, nil
	case json.Number:
		return t, d.number(field, t)
	default:
		return t, nil
	}
}

func (d *treeDecoder) object(field string, depth int) (any, error) {
	object := map[string]any{}

	for d.json.More() {
		token, err := d.json.Token()
		if err != nil {
			return nil, fault.Invalid(field, "is not valid JSON")
		}

		name, ok := token.(string)
		if !ok || strings.ContainsRune(name, 0) {
			return nil, fault.Invalid(field, "has a member name with a NUL character (U+0000)")
		}

		if _, twice := object[name]; twice {
			return nil, fault.Invalid(child(field, name), "is given twice; accepted is once")
		}

		if len(object) == maxMembers {
			return nil, fault.Invalid(field, "has too many members; accepted are %d", maxMembers)
		}

		if object[name], err = d.value(child(field, name), depth+1); err != nil {
			return nil, err
		}
	}

	if _, err := d.json.Token(); err != nil {
		return nil, fault.Invalid(field, "is not valid JSON")
	}

	return object, nil
}

func (d *treeDecoder) array(field string, depth int) (any, error) {
	list := []any{}

	for d.json.More() {
		v, err := d.value(element(field, len(list)), depth+1)
		if err != nil {
			return nil, err
		}

		list = append(list, v)
	}

	if _, err := d.json.Token(); err != nil {
		return nil, fault.Invalid(field, "is not valid JSON")
	}

	return list, nil
}

func (d *treeDecoder) number(field string, n json.Number) error {
	f, err := n.Float64()
	if err != nil || d.exact && math.Abs(f) > maxSafeInteger {
		return fault.Invalid(field, "is a number that cannot be kept exactly; accepted are numbers up to 2^53-1; write it as a string")
	}

	return nil
}

// sortedKeys gives the keys of a map in order, so that the first error found
// is always the same one.
func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}

	slices.Sort(keys)

	return keys
}

// typeName is what a JSON value is called in messages.
func typeName(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case string:
		return "a string"
	case json.Number:
		return "a number"
	case bool:
		return "a boolean"
	case []any:
		return "a list"
	case map[string]any:
		return "an object"
	default:
		return fmt.Sprintf("%T", v)
	}
}
