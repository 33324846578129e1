package spec

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	score "github.com/score-spec/score-go/types"

	"github.com/shiplog/shiplog/internal/fault"
)

// processKind is the kind of the one object for a process target.
const processKind = "Process"

// renderProcess makes the one object of a process target out of a Score
// document.
func renderProcess(in RenderInput) (map[string]json.RawMessage, error) {
	switch {
	case in.Workload.Manifests != "":
		return nil, fault.Invalid("workload.manifests", "are Kubernetes manifests, and a process target runs commands; accepted is a Score document whose containers have a command")
	case len(in.Workload.Score) == 0:
		return nil, fault.Invalid("workload.score", "is required to deploy: the version has no workload; accepted is a Score document whose containers have a command")
	}

	workload, err := scoreOf("workload.score", in.Workload.Score)
	if err != nil {
		return nil, err
	}

	process, err := processOf(in, workload)
	if err != nil {
		return nil, err
	}

	data, err := json.Marshal(process)
	if err != nil {
		return nil, fmt.Errorf("write the process object: %w", err)
	}

	key := processKind + "/" + in.Service
	objects := map[string]json.RawMessage{key: data}

	if len(in.Configuration.Patches) == 0 {
		return objects, nil
	}

	if err := applyPatches(objects, in.Configuration.Patches, patching{merge: mergePlain}); err != nil {
		return nil, err
	}

	if objects[key], err = checkPatched(in.Service, objects[key]); err != nil {
		return nil, err
	}

	return objects, nil
}

func processOf(in RenderInput, workload *score.Workload) (*Process, error) {
	startup, err := startupOf("workload.score", workload)
	if err != nil {
		return nil, err
	}

	ports, err := processPorts(workload)
	if err != nil {
		return nil, err
	}

	process := &Process{
		Kind:           processKind,
		Name:           in.Service,
		Replicas:       1,
		Containers:     make(map[string]ProcessContainer, len(workload.Containers)),
		Ports:          ports,
		StartupSeconds: int((startup + time.Second - 1) / time.Second),
	}

	if in.Configuration.Replicas != nil {
		process.Replicas = *in.Configuration.Replicas
	}

	for _, name := range sortedKeys(workload.Containers) {
		if process.Containers[name], err = processContainer(name, in.Configuration, workload, ports); err != nil {
			return nil, err
		}
	}

	return process, nil
}

// processPorts gives what clients dial. Two names for one port would have to
// be answered by one listener.
func processPorts(workload *score.Workload) (map[string]ProcessPort, error) {
	ports := map[string]ProcessPort{}
	owner := map[int]string{}

	if workload.Service == nil {
		return ports, nil
	}

	for _, name := range sortedKeys(workload.Service.Ports) {
		port := workload.Service.Ports[name]
		field := child("workload.score.service.ports", name)

		if port.Protocol != nil && *port.Protocol != score.ServicePortProtocolTCP {
			return nil, fault.Invalid(child(field, "protocol"), "is %s, which a process target does not forward; accepted is TCP", *port.Protocol)
		}

		if other, taken := owner[port.Port]; taken {
			return nil, fault.Invalid(child(field, "port"), "is %d, as that of %s; accepted is one name a port on a process target", port.Port, other)
		}

		owner[port.Port] = name
		p := ProcessPort{Port: port.Port, TargetPort: port.Port}

		if port.TargetPort != nil {
			p.TargetPort = *port.TargetPort
		}

		ports[name] = p
	}

	return ports, nil
}

func processContainer(name string, c Configuration, workload *score.Workload, ports map[string]ProcessPort) (ProcessContainer, error) {
	container := workload.Containers[name]
	field := child("workload.score.containers", name)

	if len(container.Command) == 0 {
		return ProcessContainer{}, fault.Invalid(child(field, "command"), "is required on a process target: container %s has only an image, and an image without a command cannot be run as a process; accepted is a program and its arguments", name)
	}

	if err := refuseUnsupported(field, name, container, c); err != nil {
		return ProcessContainer{}, err
	}

	variables, err := processVariables(child(field, "variables"), container.Variables, c, workload)
	if err != nil {
		return ProcessContainer{}, err
	}

	process := ProcessContainer{Command: container.Command, Args: container.Args, Variables: variables}

	if container.ReadinessProbe != nil {
		process.Readiness, err = processReadiness(child(field, "readinessProbe"), *container.ReadinessProbe, ports)
	}

	return process, err
}

// refuseUnsupported names what a process target would otherwise silently not
// do. Requests are a wish to a scheduler and are passed over.
func refuseUnsupported(field, name string, container score.Container, c Configuration) error {
	limits := c.Limits[name]

	switch {
	case len(container.Files) > 0:
		return fault.Invalid(child(field, "files"), "cannot be mounted on a process target; accepted are variables and arguments")
	case len(container.Volumes) > 0:
		return fault.Invalid(child(field, "volumes"), "cannot be mounted on a process target; accepted are variables and arguments")
	case container.LivenessProbe != nil:
		return fault.Invalid(child(field, "livenessProbe"), "is not asked on a process target, which restarts a process when it ends; accepted is readinessProbe")
	case container.Resources != nil && container.Resources.Limits != nil:
		return fault.Invalid(child(child(field, "resources"), "limits"), "cannot be enforced on a process target; accepted is no limit here; set it in the configuration of the environments that can")
	case limits.CPU != "" || limits.Memory != "":
		return fault.Invalid(child("configuration.limits", name), "cannot be enforced on a process target; accepted is no limit here")
	}

	return nil
}

// processVariables gives the whole environment of a container: what the
// workload says with its placeholders filled in, then the configuration over
// it. What the configuration replaces or removes needs no resolving.
func processVariables(field string, own score.ContainerVariables, c Configuration, workload *score.Workload) (map[string]string, error) {
	variables := map[string]string{}

	for _, name := range sortedKeys(own) {
		if _, replaced := c.Variables[name]; replaced {
			continue
		}

		value, err := substitute(child(field, name), own[name], workload, c.output)
		if err != nil {
			return nil, err
		}

		variables[name] = value
	}

	for name, value := range c.Variables {
		if value != nil {
			variables[name] = *value
		}
	}

	return variables, nil
}

// output gives a resource's output for a target without a store of secrets.
func (c Configuration) output(resource, output, placeholder string) (string, error) {
	field := child("configuration.resources", resource)
	if output == "" {
		return "", fault.Invalid(field, "is asked for as a whole by the placeholder %s; accepted is one of its outputs (${resources.%s.OUTPUT})", placeholder, resource)
	}

	value, ok := c.Resources[resource][output]

	switch {
	case !ok:
		return "", fault.Invalid(child(field, output), "is required by the placeholder %s, and no layer of the configuration supplies it; accepted is {\"value\": …} in the service's or the environment's configuration", placeholder)
	case value.SecretRef != nil:
		return "", fault.Invalid(child(field, output), "is a reference to key %q of secret %q, and a process target has no store of secrets; accepted is {\"value\": …}", value.SecretRef.Key, value.SecretRef.Name)
	}

	return value.Value, nil
}

// checkPatched reads a Process object after its patches, and checks that it is
// still one.
func checkPatched(service string, data json.RawMessage) (json.RawMessage, error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()

	const field = "configuration.patches"

	var process Process
	if err := decoder.Decode(&process); err != nil {
		return nil, fault.Invalid(field, "leave something that is no Process object any more; accepted are changes to replicas, containers, ports and startupSeconds")
	}

	switch {
	case process.Kind != processKind || process.Name != service:
		return nil, fault.Invalid(field, "change kind or name of the Process object; accepted are changes to its content")
	case process.Replicas < 0 || process.Replicas > maxReplicas:
		return nil, fault.Invalid(field, "set replicas to %d; accepted are 0 to %d", process.Replicas, maxReplicas)
	case process.StartupSeconds < int(minStartup/time.Second) || process.StartupSeconds > int(maxStartup/time.Second):
		return nil, fault.Invalid(field, "set startupSeconds to %d; accepted are 1 to %d", process.StartupSeconds, int(maxStartup/time.Second))
	case len(process.Containers) == 0:
		return nil, fault.Invalid(field, "leave no container; accepted is at least one")
	}

	for _, name := range sortedKeys(process.Containers) {
		container := process.Containers[name]
		if len(container.Command) == 0 {
			return nil, fault.Invalid(field, "leave container %s without a command", shorten(name))
		}

		if r := container.Readiness; r != nil && !isPort(r.TargetPort) {
			return nil, fault.Invalid(field, "set the readiness port of container %s to %d; accepted are 1 to 65535", shorten(name), r.TargetPort)
		}
	}

	for _, name := range sortedKeys(process.Ports) {
		if p := process.Ports[name]; !isPort(p.Port) || !isPort(p.TargetPort) {
			return nil, fault.Invalid(field, "set port %s to %d and %d; accepted are 1 to 65535", shorten(name), p.Port, p.TargetPort)
		}
	}

	written, err := json.Marshal(process)
	if err != nil {
		return nil, fmt.Errorf("write the process object: %w", err)
	}

	return written, nil
}

func isPort(n int) bool { return n > 0 && n < 1<<16 }
