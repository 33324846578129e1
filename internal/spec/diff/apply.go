package diff

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// The reasons for which an operation does not apply.
var (
	ErrMissing = errors.New("finds nothing at its path")
	ErrIndex   = errors.New("has an index outside the list")
	ErrTest    = errors.New("finds another value than the tested one")
	ErrForm    = errors.New("is no operation of RFC 6902")
	ErrLarge   = errors.New("makes the document too large")
)

// maxCopied bounds the values that the operations of one call copy, so that
// they cannot blow a document up.
const maxCopied = 100_000

// OperationError says which operation does not apply. It never holds a value.
type OperationError struct {
	Index int
	Op    string
	Path  string
	Err   error
}

func (e *OperationError) Error() string {
	return fmt.Sprintf("operation %d: %s %s %s", e.Index, e.Op, e.Path, e.Err)
}

func (e *OperationError) Unwrap() error { return e.Err }

// Apply applies the operations one after the other, as RFC 6902 says, and
// leaves the document as it is. Errors: *OperationError for the first one that
// does not apply; then nothing is applied.
func Apply(document any, operations []Operation) (any, error) {
	a := applying{document: clone(document), budget: maxCopied}

	for i, o := range operations {
		if err := a.apply(o); err != nil {
			return nil, &OperationError{Index: i, Op: o.Op, Path: o.Path, Err: err}
		}
	}

	return a.document, nil
}

type applying struct {
	document any
	budget   int
}

func (a *applying) apply(o Operation) error {
	if !isPointer(o.Path) || !isPointer(o.From) || o.Masked {
		return ErrForm
	}

	switch o.Op {
	case Add:
		return a.add(o.Path, clone(o.Value))
	case Remove:
		return a.remove(o.Path)
	case Replace:
		return a.replace(o.Path, clone(o.Value))
	case Test:
		found, err := a.get(o.Path)
		if err == nil && !equal(found, o.Value) {
			err = ErrTest
		}

		return err
	case Move:
		return a.move(o.From, o.Path)
	case Copy:
		found, err := a.get(o.From)
		if err != nil {
			return err
		}

		if a.budget -= size(found); a.budget < 0 {
			return ErrLarge
		}

		return a.add(o.Path, clone(found))
	}

	return ErrForm
}

// size counts the values in a value.
func size(value any) int {
	n := 1

	switch v := value.(type) {
	case map[string]any:
		for _, member := range v {
			n += size(member)
		}
	case []any:
		for _, e := range v {
			n += size(e)
		}
	}

	return n
}

func (a *applying) move(from, path string) error {
	if path != from && within(path, from) {
		return ErrForm // RFC 6902, section 4.4
	}

	found, err := a.get(from)
	if err != nil || path == from {
		return err
	}

	if err := a.remove(from); err != nil {
		return err
	}

	return a.add(path, found)
}

// index reads a place in a list of n. RFC 6901: digits without leading zeros.
func index(token string, n int) (int, error) {
	if token == "" || len(token) > 1 && token[0] == '0' || strings.Trim(token, "0123456789") != "" {
		return 0, ErrIndex
	}

	i, err := strconv.Atoi(token)
	if err != nil || i >= n {
		return 0, ErrIndex
	}

	return i, nil
}

func (a *applying) get(path string) (any, error) {
	value := a.document

	for _, token := range split(path) {
		switch v := value.(type) {
		case map[string]any:
			member, ok := v[token]
			if !ok {
				return nil, ErrMissing
			}

			value = member
		case []any:
			i, err := index(token, len(v))
			if err != nil {
				return nil, err
			}

			value = v[i]
		default:
			return nil, ErrMissing
		}
	}

	return value, nil
}

// in changes the value that holds the last token of the path.
func (a *applying) in(path string, object func(map[string]any, string) error, list func([]any, string) ([]any, error)) error {
	tokens := split(path)
	above, last := tokens[:len(tokens)-1], tokens[len(tokens)-1]

	holder := ""
	for _, token := range above {
		holder = join(holder, token)
	}

	found, err := a.get(holder)
	if err != nil {
		return err
	}

	switch v := found.(type) {
	case map[string]any:
		return object(v, last)
	case []any:
		changed, err := list(v, last)
		if err != nil {
			return err
		}

		return a.replace(holder, changed)
	}

	return ErrMissing
}

func (a *applying) add(path string, value any) error {
	if path == "" {
		a.document = value

		return nil
	}

	return a.in(path, func(object map[string]any, name string) error {
		object[name] = value

		return nil
	}, func(list []any, token string) ([]any, error) {
		i := len(list)

		if token != "-" {
			var err error
			if i, err = index(token, len(list)+1); err != nil {
				return nil, err
			}
		}

		return slices.Insert(list, i, value), nil
	})
}

func (a *applying) remove(path string) error {
	if path == "" {
		return ErrForm // there would be no document
	}

	return a.in(path, func(object map[string]any, name string) error {
		if _, ok := object[name]; !ok {
			return ErrMissing
		}

		delete(object, name)

		return nil
	}, func(list []any, token string) ([]any, error) {
		i, err := index(token, len(list))
		if err != nil {
			return nil, err
		}

		return slices.Delete(list, i, i+1), nil
	})
}

func (a *applying) replace(path string, value any) error {
	if path == "" {
		a.document = value

		return nil
	}

	return a.in(path, func(object map[string]any, name string) error {
		if _, ok := object[name]; !ok {
			return ErrMissing
		}

		object[name] = value

		return nil
	}, func(list []any, token string) ([]any, error) {
		i, err := index(token, len(list))
		if err != nil {
			return nil, err
		}

		list[i] = value

		return list, nil
	})
}
