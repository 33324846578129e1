//go:build unix

package process

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/shiplog/shiplog/deployer"
	"github.com/shiplog/shiplog/internal/spec"
)

// nameBytes of randomness make a generation's name: it has to be unique among
// those of one unit.
const nameBytes = 4

// newGeneration names the instances of a new content and reserves its ports.
// Ports of the service that are wished for by a generation that is there stay
// what they are.
func (d *Deployer) newGeneration(a *anchor, act deployer.Act, p spec.Process) (g generation, err error) {
	b := make([]byte, nameBytes)
	if _, err := rand.Read(b); err != nil {
		return g, fmt.Errorf("name a generation: %w", err)
	}

	g = generation{
		Name: hex.EncodeToString(b), Deployment: act.Deployment, Version: act.Version,
		VersionName: act.VersionName, Digest: act.Digest, Images: act.Snapshot.Images,
		Process: p, Ports: map[string]servicePort{},
	}

	var taken []int
	defer func() {
		if err != nil {
			err = joinRelease(err, d.releaseAll(taken, nil))
		}
	}()

	for name, port := range p.Ports {
		listen, ok := a.listens(name, port.Port)
		if !ok {
			if listen, err = d.wishedPort(port.Port); err != nil {
				return g, err
			}

			taken = append(taken, listen)
		}

		g.Ports[name] = servicePort{Wanted: port.Port, Listen: listen}
	}

	for i := range p.Replicas {
		in := instance{Name: g.Name + "-" + strconv.Itoa(i), Ports: map[string]int{}}

		for name := range p.Ports {
			port, err := d.anyPort()
			if err != nil {
				return g, err
			}

			taken = append(taken, port)
			in.Ports[name] = port
		}

		g.Instances = append(g.Instances, in)
	}

	return g, nil
}

func joinRelease(err, release error) error {
	if release == nil {
		return err
	}

	return fmt.Errorf("%w (and %w)", err, release)
}

// listens gives the port on which clients reach the name, if a generation that
// stays wishes for the same.
func (a *anchor) listens(name string, wanted int) (int, bool) {
	for _, g := range a.Generations {
		if p, ok := g.Ports[name]; ok && p.Wanted == wanted {
			return p.Listen, true
		}
	}

	return 0, false
}

func (g *generation) endpoints() map[string]string {
	all := make(map[string]string, len(g.Ports))
	for name, p := range g.Ports {
		all[name] = "http://" + address(p.Listen)
	}

	return all
}

// shown is the name of an instance as people see it: "hello-7f3a9c01/0".
func shown(service, instance string) string {
	name, index, _ := strings.Cut(instance, "-")

	return service + "-" + name + "/" + index
}

// runSpec says what the shim of a run has to do.
func (d *Deployer) runSpec(u deployer.Unit, g generation, r generationRun) runSpec {
	c := g.Process.Containers[r.container]

	variables := maps.Clone(c.Variables)
	if variables == nil {
		variables = map[string]string{}
	}

	names := slices.Sorted(maps.Keys(r.instance.Ports))
	for i, name := range names {
		port := strconv.Itoa(r.instance.Ports[name])
		if i == 0 {
			variables["PORT"] = port
		}

		variables["PORT_"+variableName(name)] = port
	}

	return runSpec{
		Key:        u.Environment + "/" + u.Service + "/" + r.instance.Name + "/" + r.container,
		Deployment: g.Deployment, Instance: shown(u.Service, r.instance.Name), Container: r.container,
		Argv: append(slices.Clone(c.Command), c.Args...), Variables: variables,
		WorkDir: d.config.WorkDir, Probe: probeOf(g.Process, c, r.instance),
		Grace: d.config.Grace, BackoffFirst: d.config.BackoffFirst, BackoffMax: d.config.BackoffMax,
		SegmentBytes: d.config.SegmentBytes, Segments: d.config.Segments,
	}
}

func variableName(port string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return r
		default:
			return '_'
		}
	}, port)
}

// probeOf turns a readiness probe, which speaks of the workload's own ports,
// into one that asks this instance.
func probeOf(p spec.Process, c spec.ProcessContainer, in instance) probe {
	if c.Readiness == nil {
		var all probe
		for _, name := range slices.Sorted(maps.Keys(in.Ports)) {
			all.Addresses = append(all.Addresses, address(in.Ports[name]))
		}

		return all
	}

	// A port that is no port of the service is the process' own.
	port := c.Readiness.TargetPort
	for _, name := range slices.Sorted(maps.Keys(in.Ports)) {
		if p.Ports[name].TargetPort == c.Readiness.TargetPort {
			port = in.Ports[name]

			break
		}
	}

	if c.Readiness.Path == "" {
		return probe{Addresses: []string{address(port)}}
	}

	return probe{
		URL:     "http://" + address(port) + "/" + strings.TrimPrefix(c.Readiness.Path, "/"),
		Headers: c.Readiness.Headers,
	}
}
