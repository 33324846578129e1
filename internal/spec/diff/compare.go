package diff

import (
	"strings"
)

// Diff is what two sides differ in.
type Diff struct {
	// Changes in the order of their paths.
	Changes []Change
	// Operations turn the inputs of from into those of to, Reverse back.
	Operations, Reverse []Operation
	// Objects are the texts of the rendered objects that differ, by key.
	Objects []ObjectText
}

// ObjectText is a rendered object that differs, as unified text.
type ObjectText struct {
	Object  string
	Kind    Kind
	Unified string
}

// Unified gives the text of all objects.
func (d *Diff) Unified() string {
	var out strings.Builder
	for _, o := range d.Objects {
		out.WriteString(o.Unified)
	}

	return out.String()
}

// Compare compares two sides. Neutral, when it is not nil, is from as it would
// be in the environment of to: what differs from it too differs in substance,
// the rest only because the environments do.
func Compare(from, to Side, neutral *Side) (*Diff, error) {
	before, err := from.compared()
	if err != nil {
		return nil, err
	}

	after, err := to.compared()
	if err != nil {
		return nil, err
	}

	w := walker{secrets: secretsOf(before.document["objects"], after.document["objects"])}
	w.maps("", before.document, after.document)

	var substance map[string]bool

	if neutral != nil {
		if substance, err = substanceOf(*neutral, after); err != nil {
			return nil, err
		}
	}

	for i, c := range w.changes {
		if within(c.Path, "/binding") || neutral != nil && !substance[c.Path] {
			w.changes[i].Origin = Environment
		}
	}

	d := &Diff{
		Changes:    w.changes,
		Operations: w.mask(Operations(before.inputs, after.inputs)),
		Reverse:    w.mask(Operations(after.inputs, before.inputs)),
	}
	d.Objects, err = w.secrets.texts(before.objects, after.objects)

	return d, err
}

// substanceOf gives the paths of what differs from the neutral side, and of
// what stands above and below: a value that came whole in one comparison may
// have been changed in parts in the other.
func substanceOf(neutral Side, to compared) (map[string]bool, error) {
	from, err := neutral.compared()
	if err != nil {
		return nil, err
	}

	w := walker{secrets: secretsOf()}
	w.maps("", from.document, to.document)

	differs := map[string]bool{}

	for _, c := range w.changes {
		for path := c.Path; path != ""; path = path[:strings.LastIndexByte(path, '/')] {
			differs[path] = true
		}

		below(differs, c.Path, from.document)
		below(differs, c.Path, to.document)
	}

	return differs, nil
}

// below marks every place below a path.
func below(all map[string]bool, path string, document any) {
	value, ok := at(document, path)
	if !ok {
		return
	}

	var mark func(path string, value any)

	mark = func(path string, value any) {
		all[path] = true

		object, _ := value.(map[string]any)
		for name, member := range object {
			mark(join(path, name), member)
		}
	}

	mark(path, value)
}

// mask takes the values from operations that would show a secret.
func (w *walker) mask(operations []Operation) []Operation {
	for i, o := range operations {
		if !o.hasValue() {
			continue
		}

		for _, c := range w.changes {
			if c.Masked && (within(c.Path, o.Path) || within(o.Path, c.Path)) {
				operations[i].Value, operations[i].Masked = nil, true

				break
			}
		}
	}

	return operations
}
