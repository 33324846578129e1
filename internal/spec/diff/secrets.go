package diff

import (
	"encoding/json"
	"maps"
	"strings"
)

// maskText stands for what is not shown.
const maskText = "(masked)"

const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

// secrets knows what is not shown.
type secrets struct {
	// variables are the names of those that refer to a secret on either side.
	variables map[string]bool
}

func secretsOf(documents ...any) secrets {
	s := secrets{variables: map[string]bool{}}
	for _, d := range documents {
		s.gather(d)
	}

	return s
}

// gather finds the variables that refer to secrets, wherever they stand.
func (s secrets) gather(value any) {
	switch v := value.(type) {
	case map[string]any:
		name, _ := v["name"].(string)
		source, _ := v["valueFrom"].(map[string]any)

		if _, refers := source["secretKeyRef"]; refers && name != "" {
			s.variables[name] = true
		}

		for _, member := range v {
			s.gather(member)
		}
	case []any:
		for _, e := range v {
			s.gather(e)
		}
	}
}

// hides reports whether a member of two objects that stand for the same thing
// is not shown: it is literal in one and a reference to a secret in the other.
func (s secrets) hides(name string, before, after map[string]any) bool {
	return name == "value" && (s.isSecret(before) || s.isSecret(after))
}

// isSecret reports whether the object is a variable or an output that refers
// to a secret, or a variable that does so on the other side.
func (s secrets) isSecret(object map[string]any) bool {
	if _, refers := object["secretRef"]; refers {
		return true
	}

	name, _ := object["name"].(string)

	return s.variables[name]
}

// value gives the member, hidden if need be.
func (s secrets) value(name string, v *Value, before, after map[string]any) *Value {
	if v != nil && s.hides(name, before, after) {
		return &Value{JSON: v.JSON, Masked: true}
	}

	return v
}

// show writes a value without what is secret in it, and says whether there was
// any. Tokens are where it stands.
func (s secrets) show(tokens []string, v *Value) (json.RawMessage, bool) {
	if v == nil {
		return nil, false
	}

	if v.Masked || s.secretAt(tokens) {
		return nil, true
	}

	shown, masked := s.redact(lastOf(tokens), v.JSON)

	return encode(shown), masked
}

func lastOf(tokens []string) string {
	if len(tokens) == 0 {
		return ""
	}

	return tokens[len(tokens)-1]
}

// secretAt reports whether the place itself is a secret one.
func (s secrets) secretAt(tokens []string) bool {
	n := len(tokens)

	switch {
	case n == 0:
		return false
	case tokens[n-1] == lastApplied:
		return true
	case n > 3 && tokens[0] == "objects" && strings.HasPrefix(tokens[1], "v1/Secret/"):
		return tokens[2] == "data" || tokens[2] == "stringData"
	case n > 1 && tokens[n-2] == "variables":
		return s.variables[tokens[n-1]]
	}

	return false
}

// redact gives the value without what is secret in it. name is the member
// that it is of.
func (s secrets) redact(name string, value any) (any, bool) {
	switch v := value.(type) {
	case map[string]any:
		return s.redactMap(name, v)
	case []any:
		shown, some := make([]any, len(v)), false

		for i, e := range v {
			var masked bool
			shown[i], masked = s.redact("", e)
			some = some || masked
		}

		return shown, some
	}

	return value, false
}

func (s secrets) redactMap(name string, object map[string]any) (any, bool) {
	shown, some := maps.Clone(object), false
	hide := func(key string, in map[string]any) {
		in[key], some = maskText, true
	}

	for _, key := range names(object, nil) {
		text, isText := object[key].(string)

		switch {
		case key == lastApplied,
			isText && text != "" && name == "variables" && s.variables[key],
			isText && key == "value" && s.isSecret(object):
			hide(key, shown)

			continue
		case (key == "data" || key == "stringData") && object["kind"] == "Secret" && object["apiVersion"] == "v1":
			if content, ok := object[key].(map[string]any); ok && len(content) > 0 {
				hidden := maps.Clone(content)
				for k := range hidden {
					hide(k, hidden)
				}

				shown[key] = hidden
			}

			continue
		}

		var masked bool
		shown[key], masked = s.redact(key, object[key])
		some = some || masked
	}

	return shown, some
}
