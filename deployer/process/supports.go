//go:build unix

package process

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/shiplog/shiplog/internal/fault"
	"github.com/shiplog/shiplog/internal/spec"
)

// maxReplicas is more than a development machine should run of one service.
const maxReplicas = 64

// Supports names everything in the snapshot that a process target cannot do.
func (d *Deployer) Supports(snapshot *spec.Snapshot) error {
	if snapshot == nil {
		return nil // there is nothing to undeploy that it could not
	}

	_, err := plan(snapshot)

	return err
}

// plan gives the snapshot's process, or says why it cannot be one.
func plan(snapshot *spec.Snapshot) (spec.Process, error) {
	var (
		p        spec.Process
		problems []string
		found    int
	)

	for _, key := range slices.Sorted(maps.Keys(snapshot.Objects)) {
		if !strings.HasPrefix(key, "Process/") {
			problems = append(problems, "it does not know the object "+key)

			continue
		}

		found++
		if err := json.Unmarshal(snapshot.Objects[key], &p); err != nil {
			problems = append(problems, fmt.Sprintf("the object %s is not a process: %v", key, err))
		}
	}

	switch {
	case found == 0:
		problems = append(problems, "the workload has no process to run (it takes a Score document whose containers have a command)")
	case found > 1:
		problems = append(problems, "it runs one process object a service")
	default:
		problems = append(problems, processProblems(p)...)
	}

	problems = append(problems, configurationProblems(snapshot.Configuration)...)
	problems = append(problems, scoreProblems(snapshot.Workload.Score)...)

	if len(problems) > 0 {
		return p, fault.New(fault.InvalidInput, "a process target cannot run this: %s", strings.Join(problems, "; "))
	}

	return p, nil
}

func processProblems(p spec.Process) []string {
	var problems []string

	if len(p.Containers) == 0 {
		problems = append(problems, "there is no container")
	}

	for _, name := range slices.Sorted(maps.Keys(p.Containers)) {
		c := p.Containers[name]
		if !dnsLabel.MatchString(name) {
			problems = append(problems, fmt.Sprintf("the container's name %q is not a DNS label", name))
		}

		if len(c.Command) == 0 || c.Command[0] == "" {
			problems = append(problems, fmt.Sprintf(
				"container %s is an image without a command: a process target runs commands of this machine, so set containers.%s.command", name, name))
		}

		for variable, value := range c.Variables {
			if variable == "" || strings.ContainsAny(variable, "=\x00") || strings.Contains(value, "\x00") {
				problems = append(problems, fmt.Sprintf("container %s has the variable %q, which no environment can hold", name, variable))
			}
		}
	}

	for _, name := range slices.Sorted(maps.Keys(p.Ports)) {
		if port := p.Ports[name].Port; port < 0 || port > 65535 {
			problems = append(problems, fmt.Sprintf("the port %s is %d, which is no port number", name, port))
		}
	}

	if p.Replicas < 0 || p.Replicas > maxReplicas {
		problems = append(problems, fmt.Sprintf("it runs 0 to %d replicas, not %d", maxReplicas, p.Replicas))
	}

	return problems
}

func configurationProblems(c spec.Configuration) []string {
	var problems []string
	for _, name := range slices.Sorted(maps.Keys(c.Limits)) {
		problems = append(problems, fmt.Sprintf("resource limits (container %s) are not enforced here", name))
	}

	for _, resource := range slices.Sorted(maps.Keys(c.Resources)) {
		for _, output := range slices.Sorted(maps.Keys(c.Resources[resource])) {
			if c.Resources[resource][output].SecretRef != nil {
				problems = append(problems, fmt.Sprintf(
					"the resource %s takes %s from a secret, and there is no secret store here", resource, output))
			}
		}
	}

	return problems
}

// scoreProblems looks for the parts of a Score document that need a container.
func scoreProblems(document json.RawMessage) []string {
	if len(document) == 0 {
		return nil
	}

	var score struct {
		Containers map[string]struct {
			Files     json.RawMessage `json:"files"`
			Volumes   json.RawMessage `json:"volumes"`
			Resources struct {
				Limits   json.RawMessage `json:"limits"`
				Requests json.RawMessage `json:"requests"`
			} `json:"resources"`
		} `json:"containers"`
	}
	if err := json.Unmarshal(document, &score); err != nil {
		return []string{fmt.Sprintf("the Score document cannot be read: %v", err)}
	}

	var problems []string
	for _, name := range slices.Sorted(maps.Keys(score.Containers)) {
		c := score.Containers[name]
		for _, part := range []struct {
			what string
			raw  json.RawMessage
		}{
			{"files", c.Files},
			{"volumes", c.Volumes},
			{"resources.limits", c.Resources.Limits},
			{"resources.requests", c.Resources.Requests},
		} {
			if given(part.raw) {
				problems = append(problems, fmt.Sprintf("container %s has %s, which need a container runtime", name, part.what))
			}
		}
	}

	return problems
}

func given(raw json.RawMessage) bool {
	switch strings.TrimSpace(string(raw)) {
	case "", "null", "{}", "[]":
		return false
	default:
		return true
	}
}
