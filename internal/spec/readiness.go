package spec

import (
	"strings"

	score "github.com/score-spec/score-go/types"

	"github.com/shiplog/shiplog/internal/fault"
)

// processReadiness gives the probe of a container. Its
// port must be one that the service maps, because every instance of a process
// target listens on ports of its own.
func processReadiness(field string, probe score.ContainerProbe, ports map[string]ProcessPort) (*ReadinessProbe, error) {
	if probe.HttpGet == nil {
		return nil, fault.Invalid(field, "is not an HTTP probe; accepted on a process target is httpGet, or no probe (then a port that can be connected to is ready)")
	}

	get := probe.HttpGet
	field = child(field, "httpGet")

	if get.Scheme != nil && *get.Scheme != score.HttpProbeSchemeHTTP {
		return nil, fault.Invalid(child(field, "scheme"), "is %s; accepted on a process target is HTTP", *get.Scheme)
	}

	mapped := false
	for _, port := range ports {
		mapped = mapped || port.TargetPort == get.Port
	}

	if !mapped {
		return nil, fault.Invalid(child(field, "port"), "is %d, and no port of service.ports leads there; accepted is the targetPort of one of them", get.Port)
	}

	readiness := &ReadinessProbe{Path: get.Path, TargetPort: get.Port}
	if !strings.HasPrefix(readiness.Path, "/") {
		readiness.Path = "/" + readiness.Path
	}

	if get.Host != nil {
		put(&readiness.Headers, "Host", *get.Host)
	}

	for i, header := range get.HttpHeaders {
		if _, twice := readiness.Headers[header.Name]; twice {
			return nil, fault.Invalid(child(element(child(field, "httpHeaders"), i), "name"), "is %s, which is given twice; accepted is once", header.Name)
		}

		put(&readiness.Headers, header.Name, header.Value)
	}

	return readiness, nil
}
