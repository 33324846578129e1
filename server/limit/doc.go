// Package limit bounds what one GraphQL request may ask for. It works on any
// schema and knows nothing of transports; the transports apply it in this
// order, each step cheap enough to be the guard of the next:
//
//  1. [Config.CheckTokens] reads the text with the lexer alone and stops at the
//     limit, before anything is built from it.
//  2. [Config.CheckShape] walks the parsed document once, fragments included,
//     before validation, whose rule on overlapping fields grows with the
//     square of the fields.
//  3. [Config.CheckCost] multiplies list sizes on the validated document with the
//     coerced variables of one request.
//
// Every refusal is a [fault.Error] with the code TOO_COMPLEX that says which
// limit was passed and what it is.
//
// # Cost
//
//	cost(operation) = Σ cost(root field)
//	cost(scalar or enum field) = 0
//	cost(object field)         = 1 + Σ cost(its fields)
//	cost(list of objects)      = size × (1 + Σ cost(its fields))
//	cost(__schema), cost(__type) = IntrospectionCost
//
// The size of a list is the largest of the field's size arguments (`first`,
// `last`, `limit`: their value; `ids`: its length), read through variables
// and their defaults. A field with `first` or `last` that returns an object
// (a connection) hands its size to the lists `edges` and `nodes` below it.
// Without an argument a connection counts PageSize and any other list
// ListSize. Fields below fragments count wherever the fragment is spread;
// `@skip` and `@include` are not looked at, and alternatives of a union are
// summed: the cost is an upper bound of the objects in the answer.
package limit
