package diff

import "strings"

var (
	escapes   = strings.NewReplacer("~", "~0", "/", "~1") //nolint:gochecknoglobals // a constant: RFC 6901, section 3
	unescapes = strings.NewReplacer("~1", "/", "~0", "~") //nolint:gochecknoglobals // a constant: RFC 6901, section 4
)

// join gives the pointer of a member.
func join(path, name string) string { return path + "/" + escapes.Replace(name) }

// split gives the reference tokens of a pointer; none is the whole document.
func split(path string) []string {
	if path == "" {
		return nil
	}

	tokens := strings.Split(path[1:], "/")
	for i, token := range tokens {
		tokens[i] = unescapes.Replace(token)
	}

	return tokens
}

// isPointer reports whether the text is a JSON pointer.
func isPointer(path string) bool {
	if path != "" && path[0] != '/' {
		return false
	}

	for i := range len(path) {
		if path[i] == '~' && (i+1 == len(path) || path[i+1] != '0' && path[i+1] != '1') {
			return false
		}
	}

	return true
}

// within reports whether path is at or below another one.
func within(path, above string) bool {
	return path == above || strings.HasPrefix(path, above+"/")
}
