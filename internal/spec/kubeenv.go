package spec

import (
	"maps"
	"strconv"
	"strings"

	score "github.com/score-spec/score-go/types"
)

// piece is a part of a text: literal, or kept as it is for later (a
// placeholder of Place), or a key of a secret.
type piece struct {
	text   string
	raw    bool
	secret *SecretReference
}

// pieces fills the placeholders of a text in and keeps references to secrets
// apart. An output that no layer supplies is added to the missing ones.
func (r *scoreRenderer) pieces(field, written string) ([]piece, error) {
	var later []piece

	// NUL is in no text that is accepted: it marks what is filled in later.
	keep := func(p piece) string {
		later = append(later, p)

		return "\x00" + strconv.Itoa(len(later)-1) + "\x00"
	}

	filled, err := substitute(field, written, r.workload, func(resource, output, placeholder string) (string, error) {
		value, ok := r.in.Configuration.Resources[resource][output]

		switch at := child("configuration.resources", resource); {
		case output == "":
			r.missing.addf(at, "is asked for as a whole by the placeholder %s; accepted is one of its outputs (${resources.%s.OUTPUT})", placeholder, resource)
		case ok && value.SecretRef != nil:
			return keep(piece{secret: value.SecretRef}), nil
		case ok:
			return value.Value, nil
		case output == "host" && r.workload.Resources[resource].Type == "dns":
			return keep(piece{text: placeOfHost, raw: true}), nil
		default:
			r.missing.addf(child(at, output), "is required by the placeholder %s, and no layer of the configuration supplies it; accepted is {\"value\": …} or {\"secretRef\": {\"name\": …, \"key\": …}} in the service's or the environment's configuration", placeholder)
		}

		return "", nil
	})
	if err != nil {
		return nil, err
	}

	var all []piece

	for i, part := range strings.Split(filled, "\x00") {
		switch {
		case i%2 == 0 && part != "":
			all = append(all, piece{text: part})
		case i%2 == 1:
			n, err := strconv.Atoi(part)
			if err != nil || n >= len(later) {
				continue
			}

			all = append(all, later[n])
		}
	}

	return all, nil
}

// variables gives the environment of a container by name. A variable that is
// one key of a secret refers to it; one that holds it in the middle of a text
// takes it from a variable of its own, which stands before it.
func (r *scoreRenderer) variables(field string, own score.ContainerVariables) ([]any, error) {
	values := map[string]any{}
	secrets := map[string]any{}

	maps.Copy(values, r.portVariables())

	for _, name := range sortedKeys(own) {
		if _, replaced := r.in.Configuration.Variables[name]; replaced {
			continue
		}

		all, err := r.pieces(child(field, name), own[name])
		if err != nil {
			return nil, err
		}

		values[name] = variable(name, all, secrets)
	}

	for name, value := range r.in.Configuration.Variables {
		if value == nil {
			delete(values, name)
		} else {
			values[name] = map[string]any{"name": name, "value": literal(*value)}
		}
	}

	env := make([]any, 0, len(values)+len(secrets))
	for _, name := range sortedKeys(secrets) {
		env = append(env, secrets[name])
	}

	for _, name := range sortedKeys(values) {
		env = append(env, values[name])
	}

	return env, nil
}

func variable(name string, all []piece, secrets map[string]any) map[string]any {
	if len(all) == 1 && all[0].secret != nil {
		return fromSecret(name, *all[0].secret)
	}

	var b strings.Builder

	for _, p := range all {
		switch {
		case p.secret != nil:
			helper := "SHIPLOG_SECRET_" + shortHash(p.secret.Name+"/"+p.secret.Key)
			secrets[helper] = fromSecret(helper, *p.secret)
			b.WriteString("$(" + helper + ")")
		case p.raw:
			b.WriteString(p.text)
		default:
			b.WriteString(literal(p.text))
		}
	}

	return map[string]any{"name": name, "value": b.String()}
}

func fromSecret(name string, ref SecretReference) map[string]any {
	return map[string]any{"name": name, "valueFrom": map[string]any{"secretKeyRef": map[string]any{"name": ref.Name, "key": ref.Key}}}
}

// portVariables tells a container the ports of the service as a process
// target does: PORT is the first by name, PORT_<NAME> each.
func (r *scoreRenderer) portVariables() map[string]any {
	all := map[string]any{}

	if r.workload.Service == nil {
		return all
	}

	for i, name := range sortedKeys(r.workload.Service.Ports) {
		value := strconv.Itoa(targetPort(r.workload.Service.Ports[name]))

		if i == 0 {
			all["PORT"] = map[string]any{"name": "PORT", "value": value}
		}

		upper := "PORT_" + strings.ReplaceAll(strings.ToUpper(name), "-", "_")
		all[upper] = map[string]any{"name": upper, "value": value}
	}

	return all
}

// literal writes a text so that the kubelet gives it to the container as it
// is: it expands $(NAME), and takes $$ for one dollar sign.
func literal(s string) string {
	if !strings.Contains(s, "$(") && !strings.Contains(s, "$$") {
		return s
	}

	return strings.ReplaceAll(s, "$", "$$")
}

func literals(list []string) []any {
	all := make([]any, len(list))
	for i, s := range list {
		all[i] = literal(s)
	}

	return all
}
