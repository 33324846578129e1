package spec

import (
	"time"

	score "github.com/score-spec/score-go/types"
)

// Defaults of what a Score document cannot say.
const (
	// pullTime is what a rollout may take beyond the start of its instances,
	// without progress: scheduling and pulling of large images.
	pullTime = 5 * time.Minute
	// drainSeconds keeps an instance answering after it was told to end: so
	// long proxies may still send it requests.
	drainSeconds = 5
)

// scoreRenderer makes Kubernetes objects out of one Score document.
type scoreRenderer struct {
	in       RenderInput
	workload *score.Workload
	missing  *findings
	objects  objectSet
	// volumes of the pod by name.
	volumes map[string]map[string]any
	// exclusive is set when an instance holds what the next one needs.
	exclusive bool
}

// scoreObjects gives a Deployment, a Service when the document has ports, and
// a ConfigMap for the files of each container.
func scoreObjects(in RenderInput, workload *score.Workload, missing *findings) (objectSet, error) {
	r := &scoreRenderer{in: in, workload: workload, missing: missing, objects: objectSet{}, volumes: map[string]map[string]any{}}

	containers := make([]any, 0, len(workload.Containers))

	for _, name := range sortedKeys(workload.Containers) {
		container, err := r.container(name, workload.Containers[name])
		if err != nil {
			return nil, err
		}

		containers = append(containers, container)
	}

	r.askByDefault(containers)

	startup, err := startupOf("workload.score", workload)
	if err != nil {
		return nil, err
	}

	r.add("apps/v1", "Deployment", in.Service, map[string]any{"spec": r.deployment(containers, startup)})

	if ports := r.ports(); len(ports) > 0 {
		r.add("v1", "Service", in.Service, map[string]any{"spec": map[string]any{"selector": r.selector(), "ports": ports}})
	}

	return r.objects, nil
}

func (r *scoreRenderer) add(apiVersion, kind, name string, object map[string]any) {
	object["apiVersion"], object["kind"] = apiVersion, kind
	mapIn(object, "metadata")["name"] = name
	r.objects[objectKey(object)] = object
}

// selector finds the service's pods. It holds no version and no environment:
// a Deployment's selector can never be changed.
func (r *scoreRenderer) selector() map[string]any {
	return map[string]any{LabelService: r.in.Service}
}

func (r *scoreRenderer) deployment(containers []any, startup time.Duration) map[string]any {
	replicas := 1
	if r.in.Configuration.Replicas != nil {
		replicas = *r.in.Configuration.Replicas
	}

	// Nobody notices a rollout: the next instance is ready before one ends.
	strategy := map[string]any{"type": "RollingUpdate", "rollingUpdate": map[string]any{"maxSurge": "25%", "maxUnavailable": 0}}
	if r.exclusive {
		strategy = map[string]any{"type": "Recreate"}
	}

	// Links would bring variables of other services that nobody asked for.
	pod := map[string]any{"containers": containers, "enableServiceLinks": false}

	if len(r.volumes) > 0 {
		volumes := make([]any, 0, len(r.volumes))
		for _, name := range sortedKeys(r.volumes) {
			volumes = append(volumes, r.volumes[name])
		}

		pod["volumes"] = volumes
	}

	return map[string]any{
		"replicas":                replicas,
		"selector":                map[string]any{"matchLabels": r.selector()},
		"strategy":                strategy,
		"progressDeadlineSeconds": seconds(startup + pullTime),
		"template":                map[string]any{"spec": pod},
	}
}

// ports gives the ports of the Service. The protocol is written out, because a
// server-side apply finds a port by number and protocol.
func (r *scoreRenderer) ports() []any {
	if r.workload.Service == nil {
		return nil
	}

	ports := make([]any, 0, len(r.workload.Service.Ports))

	for _, name := range sortedKeys(r.workload.Service.Ports) {
		port := r.workload.Service.Ports[name]
		protocol := "TCP"

		if port.Protocol != nil {
			protocol = string(*port.Protocol)
		}

		ports = append(ports, map[string]any{"name": name, "port": port.Port, "targetPort": targetPort(port), "protocol": protocol})
	}

	return ports
}

func targetPort(port score.ServicePort) int {
	if port.TargetPort != nil {
		return *port.TargetPort
	}

	return port.Port
}

func (r *scoreRenderer) container(name string, from score.Container) (map[string]any, error) {
	field := child("workload.score.containers", name)

	image, err := scoreImage(child(field, "image"), name, from.Image, r.in.Images)
	if err != nil {
		return nil, err
	}

	env, err := r.variables(child(field, "variables"), from.Variables)
	if err != nil {
		return nil, err
	}

	files, err := r.files(name, child(field, "files"), from.Files)
	if err != nil {
		return nil, err
	}

	volumes, err := r.mounts(child(field, "volumes"), from.Volumes)
	if err != nil {
		return nil, err
	}

	container := map[string]any{"name": name, "image": image}

	setList(container, "command", literals(from.Command))
	setList(container, "args", literals(from.Args))
	setList(container, "env", env)
	setList(container, "volumeMounts", append(files, volumes...))

	if len(r.ports()) > 0 {
		container["lifecycle"] = map[string]any{"preStop": map[string]any{"sleep": map[string]any{"seconds": drainSeconds}}}
	}

	if err := r.probes(container, from); err != nil {
		return nil, err
	}

	if from.Resources != nil {
		scoreResources(container, "limits", from.Resources.Limits)
		scoreResources(container, "requests", from.Resources.Requests)
	}

	setLimits(container, r.in.Configuration.Limits[name])

	return container, nil
}

func setList(object map[string]any, name string, list []any) {
	if len(list) > 0 {
		object[name] = list
	}
}

func scoreResources(container map[string]any, kind string, from *score.ResourcesLimits) {
	if from == nil {
		return
	}

	setResource(container, kind, "cpu", text0(from.Cpu))
	setResource(container, kind, "memory", text0(from.Memory))
}

// setLimits puts what the configuration says over what the workload says.
func setLimits(container map[string]any, limits ResourceLimits) {
	setResource(container, "limits", "cpu", limits.CPU)
	setResource(container, "limits", "memory", limits.Memory)
	setResource(container, "requests", "cpu", limits.CPURequest)
	setResource(container, "requests", "memory", limits.MemoryRequest)
}

func setResource(container map[string]any, kind, resource, quantity string) {
	if quantity != "" {
		mapIn(mapIn(container, "resources"), kind)[resource] = quantity
	}
}

func text0(s *string) string {
	if s == nil {
		return ""
	}

	return *s
}

func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }
