package limit

import (
	"github.com/vektah/gqlparser/v2/ast"
)

// Cost is what an operation was found to cost, as told in extensions.cost.
type Cost struct {
	Requested int `json:"requested"`
	Maximum   int `json:"maximum"`
}

// CheckCost counts the objects that the answer to the operation may hold, by
// the formula of the package, and refuses more than the maximum. The document
// has been validated and has passed CheckShape; variables are coerced.
func (c Config) CheckCost(op *ast.OperationDefinition, variables map[string]any) (Cost, error) {
	m := meter{config: c, variables: variables}
	cost := Cost{Requested: m.set(op.SelectionSet, noPage), Maximum: c.Cost}

	if cost.Requested > c.Cost {
		return cost, tooComplex("the request may answer with more than %d objects: ask for smaller pages", c.Cost)
	}

	return cost, nil
}

type meter struct {
	config    Config
	variables map[string]any
}

// noPage says that there is no connection directly above.
const noPage = -1

// set costs a selection set; page is the size that the connection above hands
// to its edges and nodes, or noPage.
func (m meter) set(set ast.SelectionSet, page int) int {
	total := 0

	for _, selection := range set {
		switch s := selection.(type) {
		case *ast.Field:
			total += m.field(s, page)
		case *ast.InlineFragment:
			total += m.set(s.SelectionSet, page)
		case *ast.FragmentSpread:
			if s.Definition != nil {
				total += m.set(s.Definition.SelectionSet, page)
			}
		}

		total = min(total, most)
	}

	return total
}

func (m meter) field(f *ast.Field, page int) int {
	if f.Name == "__schema" || f.Name == "__type" {
		return m.config.IntrospectionCost
	}

	if len(f.SelectionSet) == 0 || f.Definition == nil {
		return 0
	}

	size, sized := m.size(f)

	if f.Definition.Type.Elem == nil {
		below := noPage
		if paged(f.Definition) {
			below = m.config.PageSize
			if sized {
				below = size
			}
		}

		return min(1+m.set(f.SelectionSet, below), most)
	}

	switch {
	case sized:
	case page != noPage && (f.Name == "edges" || f.Name == "nodes"):
		size = page
	default:
		size = m.config.ListSize
	}

	each := 1 + m.set(f.SelectionSet, noPage)
	if each > most/max(size, 1) {
		return most
	}

	return size * each
}

// size reads the largest size argument of the field, false without one.
func (m meter) size(f *ast.Field) (int, bool) {
	size, sized := 0, false

	for _, name := range [...]string{"first", "last", "limit", "ids"} {
		definition := f.Definition.Arguments.ForName(name)
		if definition == nil {
			continue
		}

		value, ok := m.argument(f, definition)
		if !ok {
			continue
		}

		if n, ok := count(value); ok {
			size, sized = max(size, n), true
		}
	}

	return size, sized
}

func (m meter) argument(f *ast.Field, definition *ast.ArgumentDefinition) (any, bool) {
	value := definition.DefaultValue

	if given := f.Arguments.ForName(definition.Name); given != nil {
		if given.Value.Kind != ast.Variable {
			value = given.Value
		} else if v, ok := m.variables[given.Value.Raw]; ok {
			return v, true
		}
	}

	if value == nil {
		return nil, false
	}

	v, err := value.Value(m.variables)

	return v, err == nil
}

// count gives the size that an argument's value stands for: a number, or the
// length of a list. Numbers below 0 are left to the resolver to refuse.
func count(value any) (int, bool) {
	switch v := value.(type) {
	case int:
		return bounded(int64(v)), true
	case int64:
		return bounded(v), true
	case float64:
		return bounded(int64(min(max(v, 0), most))), true
	case []any:
		return len(v), true
	default:
		return 0, false
	}
}

func bounded(n int64) int { return int(min(max(n, 0), most)) }

// paged reports whether the field is a connection: it takes first or last.
func paged(definition *ast.FieldDefinition) bool {
	return definition.Arguments.ForName("first") != nil || definition.Arguments.ForName("last") != nil
}
