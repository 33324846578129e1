package spec

import (
	"maps"
	"strings"
	"time"

	score "github.com/score-spec/score-go/types"

	"github.com/shiplog/shiplog/internal/fault"
)

// probes writes the probes of a container. One that is asked whether it lives
// gets the document's start-up time before that: a slow start is no crash.
func (r *scoreRenderer) probes(container map[string]any, from score.Container) error {
	field := child("workload.score.containers", textOf(container, "name"))

	if from.ReadinessProbe != nil {
		handler, err := probeHandler(child(field, "readinessProbe"), *from.ReadinessProbe)
		if err != nil {
			return err
		}

		container["readinessProbe"] = handler
	}

	if from.LivenessProbe == nil {
		return nil
	}

	alive, err := probeHandler(child(field, "livenessProbe"), *from.LivenessProbe)
	if err != nil {
		return err
	}

	startup, err := startupOf("workload.score", r.workload)
	if err != nil {
		return err
	}

	container["livenessProbe"] = alive
	container["startupProbe"] = merged(alive, map[string]any{"periodSeconds": 1, "failureThreshold": seconds(max(startup, time.Second))})

	return nil
}

// askByDefault asks whether a port of the service can be connected to, as on a
// process target, where no container says how to ask: a pod without a probe
// counts as ready before it listens, and a rollout would lose requests. The
// containers of a pod share its ports, so that it does not matter which has the
// probe.
func (r *scoreRenderer) askByDefault(containers []any) {
	for _, container := range r.workload.Containers {
		if container.ReadinessProbe != nil {
			return
		}
	}

	for _, port := range r.ports() {
		port, ok := port.(map[string]any)
		if !ok || port["protocol"] != "TCP" {
			continue
		}

		if first, ok := containers[0].(map[string]any); ok {
			first["readinessProbe"] = map[string]any{"tcpSocket": map[string]any{"port": port["targetPort"]}, "periodSeconds": 1, "failureThreshold": 10}
		}

		return
	}
}

// probeHandler says how to ask. Kubernetes takes one way a probe.
func probeHandler(field string, probe score.ContainerProbe) (map[string]any, error) {
	switch {
	case probe.HttpGet != nil && probe.Exec != nil:
		return nil, fault.Invalid(field, "has both httpGet and exec; accepted on a Kubernetes target is one of them")
	case probe.Exec != nil:
		return map[string]any{"exec": map[string]any{"command": texts(probe.Exec.Command)}}, nil
	case probe.HttpGet == nil:
		return nil, fault.Invalid(field, "has neither httpGet nor exec; accepted is one of them")
	}

	get := probe.HttpGet
	action := map[string]any{"path": get.Path, "port": get.Port}

	if !strings.HasPrefix(get.Path, "/") {
		action["path"] = "/" + get.Path
	}

	if get.Scheme != nil {
		action["scheme"] = string(*get.Scheme)
	}

	headers := make([]any, 0, len(get.HttpHeaders))
	hosts := 0

	for _, header := range get.HttpHeaders {
		if strings.EqualFold(header.Name, "Host") {
			hosts++
		}

		headers = append(headers, map[string]any{"name": header.Name, "value": header.Value})
	}

	// The name that is asked for, as on a process target. As Kubernetes' own
	// host it would send the kubelet to another machine than the pod's.
	if get.Host != nil && hosts == 0 {
		headers = append(headers, map[string]any{"name": "Host", "value": *get.Host})
	}

	setList(action, "httpHeaders", headers)

	return map[string]any{"httpGet": action}, nil
}

func texts(list []string) []any {
	all := make([]any, len(list))
	for i, s := range list {
		all[i] = s
	}

	return all
}

// merged gives a new object with the members of all; the later win.
func merged(objects ...map[string]any) map[string]any {
	all := map[string]any{}

	for _, object := range objects {
		maps.Copy(all, object)
	}

	return all
}
