package limit

import (
	"github.com/vektah/gqlparser/v2/ast"
)

// most is where counting saturates: spreads of spreads grow exponentially.
const most = 1 << 40

// shape is what a selection set comes to.
type shape struct {
	depth, fields, aliases, directives, spreads int
	// lists is how many introspection lists nest along the worst path, and
	// introspection the same below __schema or __type only.
	lists, introspection int
}

// beside adds what stands in the same selection set.
func (s shape) beside(o shape) shape {
	return shape{
		depth:         max(s.depth, o.depth),
		fields:        min(s.fields+o.fields, most),
		aliases:       min(s.aliases+o.aliases, most),
		directives:    min(s.directives+o.directives, most),
		spreads:       min(s.spreads+o.spreads, most),
		lists:         max(s.lists, o.lists),
		introspection: max(s.introspection, o.introspection),
	}
}

// CheckShape walks the parsed, not yet validated document and refuses what
// passes the limits, and fragments that spread themselves. It takes time and
// memory linear in the document, however fragments multiply.
func (c Config) CheckShape(doc *ast.QueryDocument) error {
	w := walk{fragments: make(map[string]*fragment, len(doc.Fragments))}
	for _, f := range doc.Fragments {
		if _, twice := w.fragments[f.Name]; !twice {
			w.fragments[f.Name] = &fragment{set: f.SelectionSet}
		}

		w.written.directives += len(f.Directives)
	}

	for _, f := range doc.Fragments {
		if _, err := w.spread(f.Name); err != nil {
			return err
		}
	}

	for _, op := range doc.Operations {
		total, err := w.set(op.SelectionSet)
		if err != nil {
			return err
		}

		total.directives += len(op.Directives)
		w.written.directives += len(op.Directives)

		for _, v := range op.VariableDefinitions {
			total.directives += len(v.Directives)
			w.written.directives += len(v.Directives)
		}

		if err := c.check(total); err != nil {
			return err
		}

		if err := over("fields at the root", w.rootFields(op.SelectionSet, map[string]bool{}), c.RootFields); err != nil {
			return err
		}
	}

	return c.check(w.written)
}

func (c Config) check(s shape) error {
	for _, l := range []struct {
		what      string
		got, most int
	}{
		{"levels of fields", s.depth, c.Depth},
		{"fields", s.fields, c.Fields},
		{"aliases", s.aliases, c.Aliases},
		{"directives", s.directives, c.Directives},
		{"fragment spreads", s.spreads, c.Spreads},
		{"nested introspection lists", s.introspection, c.Introspection},
	} {
		if err := over(l.what, l.got, l.most); err != nil {
			return err
		}
	}

	return nil
}

// fragment is a named fragment, measured at most once.
type fragment struct {
	set     ast.SelectionSet
	shape   shape
	walking bool
	walked  bool
}

type walk struct {
	fragments map[string]*fragment
	// written counts every definition once, without expanding spreads.
	written shape
}

func (w *walk) set(set ast.SelectionSet) (shape, error) {
	var total shape

	for _, selection := range set {
		one, err := w.selection(selection)
		if err != nil {
			return shape{}, err
		}

		total = total.beside(one)
	}

	return total, nil
}

func (w *walk) selection(selection ast.Selection) (shape, error) {
	switch s := selection.(type) {
	case *ast.Field:
		return w.field(s)
	case *ast.InlineFragment:
		one, err := w.set(s.SelectionSet)
		if err != nil {
			return shape{}, err
		}

		return one.beside(w.write(shape{spreads: 1, directives: len(s.Directives)})), nil
	case *ast.FragmentSpread:
		one, err := w.spread(s.Name)
		if err != nil {
			return shape{}, err
		}

		return one.beside(w.write(shape{spreads: 1, directives: len(s.Directives)})), nil
	default:
		return shape{}, nil
	}
}

func (w *walk) field(f *ast.Field) (shape, error) {
	below, err := w.set(f.SelectionSet)
	if err != nil {
		return shape{}, err
	}

	own := shape{fields: 1, directives: len(f.Directives)}
	if f.Alias != f.Name {
		own.aliases = 1
	}

	total := below.beside(w.write(own))
	total.depth = min(below.depth+1, most)

	switch f.Name {
	case "fields", "inputFields", "interfaces", "possibleTypes":
		total.lists++
	case "__schema", "__type":
		total.introspection = max(total.introspection, total.lists)
	}

	return total, nil
}

// spread measures the named fragment; one that is not defined is left to
// validation.
func (w *walk) spread(name string) (shape, error) {
	f := w.fragments[name]

	switch {
	case f == nil:
		return shape{}, nil
	case f.walked:
		return f.shape, nil
	case f.walking:
		return shape{}, tooComplex("a fragment of the request spreads itself")
	}

	f.walking = true

	s, err := w.set(f.set)
	if err != nil {
		return shape{}, err
	}

	f.shape, f.walking, f.walked = s, false, true

	return s, nil
}

// write counts what stands in the document; every selection is met once,
// because fragments are measured once.
func (w *walk) write(own shape) shape {
	w.written = w.written.beside(own)

	return own
}

// rootFields counts the fields at the root, looking through fragments, each
// of which counts once however often it is spread.
func (w *walk) rootFields(set ast.SelectionSet, seen map[string]bool) int {
	n := 0

	for _, selection := range set {
		switch s := selection.(type) {
		case *ast.Field:
			n++
		case *ast.InlineFragment:
			n += w.rootFields(s.SelectionSet, seen)
		case *ast.FragmentSpread:
			if f := w.fragments[s.Name]; f != nil && !seen[s.Name] {
				seen[s.Name] = true
				n += w.rootFields(f.set, seen)
			}
		}
	}

	return n
}
