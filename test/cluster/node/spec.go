package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Spec says what a node is.
type Spec struct {
	// Dir holds what the node keeps while it runs: its lock, sockets, logs.
	Dir string
	// Name is its host name.
	Name string
	// Address is its own, with the length of its net: 10.99.0.1/24.
	Address string
	// Routes are further nets that lie behind its own device.
	Routes []string
	// Cgroup is the name of its cgroup in every hierarchy.
	Cgroup string
	// Forwards bring ports of the machine's loopback to ports inside.
	Forwards []Forward
	// Components run until the node ends.
	Components []Component
}

// Forward brings a port of the machine's loopback to an address inside.
type Forward struct {
	Name string
	Port int
	To   string
}

// Component is a program that runs in a node.
type Component struct {
	Name    string
	Command []string
	// After are the components that have to be ready before it starts.
	After []string
	// Ready tells when it is; nothing set: when it has started.
	Ready Ready
	// Once: it is ready when it has ended with code 0.
	Once bool
}

// Ready is a sign of life: an answer 200 of a URL, or a socket that takes a
// connection.
type Ready struct {
	URL    string
	CA     string // file with the authority that signed the URL's certificate
	Socket string
}

// maxSocket is how long the path of a unix socket may be.
const maxSocket = 107

// Validate tells everything that is wrong with a spec.
func (s Spec) Validate() error {
	var wrong []error

	for _, forward := range s.Forwards {
		if path := s.socket(forward.Name); len(path) > maxSocket {
			wrong = append(wrong, fmt.Errorf("%s is longer than a socket's path may be (%d): choose a shorter folder", path, maxSocket))
		}
	}

	known := map[string]bool{}
	for _, c := range s.Components {
		for _, after := range c.After {
			if !known[after] {
				wrong = append(wrong, fmt.Errorf("%s waits for %s, which does not stand before it", c.Name, after))
			}
		}

		known[c.Name] = true
	}

	return errors.Join(wrong...)
}

// Write leaves the spec in its folder, for the stages to read.
func (s Spec) Write() error {
	if err := s.Validate(); err != nil {
		return err
	}

	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}

	return os.WriteFile(filepath.Join(s.Dir, "node.json"), text, 0o600)
}

// Read reads the spec of a folder.
func Read(dir string) (Spec, error) {
	var s Spec

	text, err := os.ReadFile(filepath.Join(dir, "node.json"))
	if err != nil {
		return s, err
	}

	if err := json.Unmarshal(text, &s); err != nil {
		return s, fmt.Errorf("%s/node.json: %w", dir, err)
	}

	return s, nil
}

func (s Spec) socket(name string) string { return filepath.Join(s.Dir, name+".sock") }

func (s Spec) log(name string) string { return filepath.Join(s.Dir, name+".log") }
