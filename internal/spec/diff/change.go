package diff

import (
	"encoding/json"
	"strconv"
)

// Kind says how something changed.
type Kind string

// The kinds of changes.
const (
	Added    Kind = "ADDED"
	Removed  Kind = "REMOVED"
	Modified Kind = "MODIFIED"
)

// Category says what a change is about.
type Category string

// The categories of changes.
const (
	Image    Category = "IMAGE"
	Config   Category = "CONFIG"
	Secret   Category = "SECRET"
	Scale    Category = "SCALE"
	Resource Category = "RESOURCE"
	Workload Category = "WORKLOAD"
	Metadata Category = "METADATA"
)

// Origin says why the sides differ.
type Origin string

// The origins of changes.
const (
	// Substance: it differs wherever the two are deployed to.
	Substance Origin = "SUBSTANCE"
	// Environment: it differs only because the environments do (their binding,
	// their layers of configuration).
	Environment Origin = "ENVIRONMENT"
)

// Change is one difference.
type Change struct {
	Path     string
	Kind     Kind
	Category Category
	Origin   Origin
	// Object is the key of the rendered object, nil for what is in none.
	Object *string
	// Before and After are JSON; nil where there is nothing, or nothing to
	// show.
	Before, After json.RawMessage
	// Masked: a secret is left out of Before or After.
	Masked bool
}

// walker finds the changes between two documents.
type walker struct {
	secrets secrets
	changes []Change
}

func (w *walker) walk(path string, from, to any) {
	if equal(from, to) {
		return
	}

	if before, ok := from.(map[string]any); ok {
		if after, ok := to.(map[string]any); ok {
			w.maps(path, before, after)

			return
		}
	}

	if before, after, ok := ordered(from, to); ok {
		w.lists(path, before, after)

		return
	}

	w.change(path, there(from), there(to))
}

func (w *walker) maps(path string, before, after map[string]any) {
	for _, name := range names(before, after) {
		at := join(path, name)
		old, now := member(before, name), member(after, name)

		switch {
		case old == nil || now == nil:
			w.change(at, w.secrets.value(name, old, before, after), w.secrets.value(name, now, before, after))
		case w.secrets.hides(name, before, after):
			if !equal(old.JSON, now.JSON) {
				w.change(at, &Value{JSON: old.JSON, Masked: true}, &Value{JSON: now.JSON, Masked: true})
			}
		default:
			w.walk(at, old.JSON, now.JSON)
		}
	}
}

// ordered gives the elements of two lists whose elements have names and whose
// common elements stand in the same order.
func ordered(from, to any) (before, after []any, ok bool) {
	before, isList := from.([]any)
	after, both := to.([]any)

	if !isList || !both || len(before) == 0 || len(after) == 0 {
		return nil, nil, false
	}

	_, first := placesOf(before)
	inAfter, second := placesOf(after)

	if !first || !second {
		return nil, nil, false
	}

	last := -1

	for _, e := range before {
		if place, common := inAfter[nameOf(e)]; common {
			if place < last {
				return nil, nil, false
			}

			last = place
		}
	}

	return before, after, true
}

func nameOf(element any) string {
	object, _ := element.(map[string]any)
	name, _ := object["name"].(string)

	return name
}

// placesOf gives the places of a list's elements by name; false when one has
// none, or two have the same.
func placesOf(list []any) (map[string]int, bool) {
	places := make(map[string]int, len(list))

	for i, e := range list {
		name := nameOf(e)
		if _, twice := places[name]; twice || name == "" {
			return nil, false
		}

		places[name] = i
	}

	return places, true
}

func (w *walker) lists(path string, before, after []any) {
	inBefore, _ := placesOf(before)
	inAfter, _ := placesOf(after)

	for i, e := range before {
		if _, stays := inAfter[nameOf(e)]; !stays {
			w.change(join(path, strconv.Itoa(i)), there(e), nil)
		}
	}

	for i, e := range after {
		at := join(path, strconv.Itoa(i))

		if place, was := inBefore[nameOf(e)]; was {
			w.walk(at, before[place], e)
		} else {
			w.change(at, nil, there(e))
		}
	}
}

func (w *walker) change(path string, before, after *Value) {
	kind := Modified

	switch {
	case before == nil:
		kind = Added
	case after == nil:
		kind = Removed
	}

	tokens := split(path)
	c := Change{Path: path, Kind: kind, Origin: Substance}

	if len(tokens) > 1 && tokens[0] == "objects" {
		c.Object = &tokens[1]
	}

	c.Category = categoryOf(tokens, before, after)

	var hidden, masked bool

	c.Before, hidden = w.secrets.show(tokens, before)
	c.After, masked = w.secrets.show(tokens, after)
	c.Masked = hidden || masked

	w.changes = append(w.changes, c)
}
