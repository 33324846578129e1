package cli

import (
	"embed"
	"fmt"
	"regexp"
	"strings"
)

// documents are the GraphQL operations that the commands send: one a file,
// named after it. fragmentNAME.graphql holds the fragment NAME.
//
//go:embed documents/*.graphql
var documents embed.FS

var spread = regexp.MustCompile(`\.\.\.\s*([A-Z]\w*)`)

// document gives an operation together with every fragment that it spreads,
// directly or through another one.
func document(name string) (string, error) {
	text, err := documents.ReadFile("documents/" + name + ".graphql")
	if err != nil {
		return "", fmt.Errorf("the document %s: %w", name, err)
	}

	var whole strings.Builder

	whole.Write(text)

	added := map[string]bool{}

	for waiting := []string{string(text)}; len(waiting) > 0; waiting = waiting[1:] {
		for _, found := range spread.FindAllStringSubmatch(waiting[0], -1) {
			if added[found[1]] {
				continue
			}

			fragment, err := documents.ReadFile("documents/fragment" + found[1] + ".graphql")
			if err != nil {
				return "", fmt.Errorf("the fragment %s of %s: %w", found[1], name, err)
			}

			added[found[1]] = true
			waiting = append(waiting, string(fragment))

			whole.Write(fragment)
		}
	}

	return whole.String(), nil
}
