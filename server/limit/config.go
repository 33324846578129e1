package limit

import (
	"fmt"

	"github.com/shiplog/shiplog/internal/fault"
)

// Config holds the limits of one request. Counts are of the operation with
// its fragments expanded, and, apart from Depth and Introspection, also of
// everything written in the document, since all of it is validated.
type Config struct {
	// Tokens is the most lexical tokens a document may have. The largest
	// document that GraphiQL, Relay or the console send has about 1,500.
	Tokens int
	// Depth is the deepest field, counted from 1. The introspection query of
	// GraphiQL goes 16 deep.
	Depth int
	// Fields is the most selected fields. It also bounds validation, whose
	// cost grows with the square of the fields of one name: some 50 ms at
	// 1,000. A portal's page has up to 300.
	Fields int
	// Aliases is the most aliased fields.
	Aliases int
	// Directives is the most directives.
	Directives int
	// Spreads is the most fragment spreads, inline ones included.
	Spreads int
	// RootFields is the most fields at the root of an operation.
	RootFields int
	// Introspection is how many of the lists fields, inputFields, interfaces
	// and possibleTypes may nest below __schema or __type. Clients need 1.
	Introspection int
	// Cost is the most objects an answer may hold, by the formula of the
	// package. 50,000 is a page of 10,000 log lines with two objects each,
	// and some.
	Cost int
	// PageSize is the size of a connection without `first` and `last`.
	PageSize int
	// ListSize is the size of a list that is not a connection and takes no
	// size argument.
	ListSize int
	// IntrospectionCost is what __schema and __type cost.
	IntrospectionCost int
}

// Default gives the limits that Shiplog starts with.
func Default() Config {
	return Config{
		Tokens:            8_000,
		Depth:             20,
		Fields:            1_000,
		Aliases:           200,
		Directives:        200,
		Spreads:           400,
		RootFields:        50,
		Introspection:     2,
		Cost:              50_000,
		PageSize:          50,
		ListSize:          10,
		IntrospectionCost: 1_000,
	}
}

// Validate reports every limit that is not positive.
func (c Config) Validate() error {
	for _, l := range []struct {
		name  string
		value int
	}{
		{"Tokens", c.Tokens},
		{"Depth", c.Depth},
		{"Fields", c.Fields},
		{"Aliases", c.Aliases},
		{"Directives", c.Directives},
		{"Spreads", c.Spreads},
		{"RootFields", c.RootFields},
		{"Introspection", c.Introspection},
		{"Cost", c.Cost},
		{"PageSize", c.PageSize},
		{"ListSize", c.ListSize},
		{"IntrospectionCost", c.IntrospectionCost},
	} {
		if l.value <= 0 {
			return fmt.Errorf("limit %s must be positive, not %d", l.name, l.value)
		}
	}

	return nil
}

// over refuses what is counted when it passes its limit.
func over(what string, got, most int) error {
	if got <= most {
		return nil
	}

	return tooComplex("the request has more than %d %s", most, what)
}

func tooComplex(format string, args ...any) error {
	return fault.New(fault.TooComplex, format, args...)
}
