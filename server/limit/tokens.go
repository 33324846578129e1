package limit

import (
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/lexer"
)

// maxNesting is how deep brackets of any kind may nest. It is below the
// parser's own 1,000 so that the refusal has the code of a limit, and far
// above what Depth and input objects need.
const maxNesting = 500

// CheckTokens reads the document with the lexer alone and gives the number of its
// tokens. It stops at the first one over the limit. A text that the lexer
// cannot read is left to the parser, which says where and why.
func (c Config) CheckTokens(query string) (int, error) {
	lex := lexer.New(&ast.Source{Input: query})
	nesting := 0

	for n := 0; ; n++ {
		token, err := lex.ReadToken()
		if err != nil || token.Kind == lexer.EOF {
			return n, nil //nolint:nilerr // the parser reports it with its place
		}

		if n >= c.Tokens {
			return n, over("tokens", n+1, c.Tokens)
		}

		switch token.Kind {
		case lexer.BraceL, lexer.BracketL, lexer.ParenL:
			nesting++
		case lexer.BraceR, lexer.BracketR, lexer.ParenR:
			nesting--
		default: // the others do not nest
		}

		if nesting > maxNesting {
			return n, tooComplex("the request nests deeper than %d brackets", maxNesting)
		}
	}
}
