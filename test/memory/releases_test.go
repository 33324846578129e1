//go:build unix

package memory

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"
)

// release is one release of a history: a moment and what was in it.
type release struct {
	Tag         string    `json:"tag"`
	Commit      string    `json:"commit"`
	CommittedAt time.Time `json:"committedAt"`

	services []released
}

// released is a service as it was in a release.
type released struct {
	name      string
	manifests string
	images    []object
}

// manifest is what is read of a Kubernetes object here.
type manifest struct {
	Kind     string `json:"kind"`
	Metadata struct {
		Name string `json:"name"`
	} `json:"metadata"`
	Spec struct {
		Selector json.RawMessage `json:"selector"`
		Template struct {
			Metadata struct {
				Labels map[string]string `json:"labels"`
			} `json:"metadata"`
			Spec struct {
				Containers     []container `json:"containers"`
				InitContainers []container `json:"initContainers"`
			} `json:"spec"`
		} `json:"template"`
	} `json:"spec"`

	text string
}

type container struct {
	Name  string `json:"name"`
	Image string `json:"image"`
}

// histories are the folders with release histories: the small one that is
// here, and the one of Online Boutique where it is at hand.
func histories(t *testing.T) map[string]string {
	t.Helper()

	found := map[string]string{"shop": filepath.Join("testdata", "shop")}

	given, ok := os.LookupEnv("SHIPLOG_TEST_DATA")
	if ok {
		found["given"] = given

		return found
	}

	beside := filepath.Join("..", "..", "..", "shared", "data", "online-boutique")

	switch _, err := os.Stat(beside); {
	case err == nil:
		found["online-boutique"] = beside
	case !errors.Is(err, fs.ErrNotExist):
		t.Fatal(err)
	}

	return found
}

// readHistory reads a folder: releases.json, and TAG.yaml for each of them.
func readHistory(t *testing.T, dir string) []release {
	t.Helper()

	raw, err := os.ReadFile(filepath.Join(dir, "releases.json"))
	if err != nil {
		t.Fatal(err)
	}

	var releases []release
	if err := json.Unmarshal(raw, &releases); err != nil {
		t.Fatal(err)
	}

	for i := range releases {
		text, err := os.ReadFile(filepath.Join(dir, releases[i].Tag+".yaml"))
		if err != nil {
			t.Fatal(err)
		}

		releases[i].services = servicesOf(t, string(text))
	}

	return releases
}

var separator = regexp.MustCompile(`(?m)^---.*$`)

// servicesOf gives every Deployment with the objects that belong to it: those
// of its name, and the Services that select its pods.
func servicesOf(t *testing.T, text string) (services []released) {
	t.Helper()

	var all []manifest

	for _, part := range separator.Split(text, -1) {
		var m manifest
		if err := yaml.Unmarshal([]byte(part), &m); err != nil {
			t.Fatal(err)
		}

		m.text = strings.TrimSpace(part) + "\n"
		if m.Kind != "" {
			all = append(all, m)
		}
	}

	for _, d := range all {
		if d.Kind != "Deployment" {
			continue
		}

		s := released{name: d.Metadata.Name, manifests: d.text}

		for _, c := range append(d.Spec.Template.Spec.Containers, d.Spec.Template.Spec.InitContainers...) {
			s.images = append(s.images, object{"name": c.Name, "reference": c.Image})
		}

		for _, m := range all {
			if m.Kind != "Deployment" && (m.Metadata.Name == s.name || selects(t, m, d.Spec.Template.Metadata.Labels)) {
				s.manifests += "---\n" + m.text
			}
		}

		services = append(services, s)
	}

	return services
}

func selects(t *testing.T, m manifest, labels map[string]string) bool {
	t.Helper()

	if m.Kind != "Service" || len(m.Spec.Selector) == 0 {
		return false
	}

	var selector map[string]string
	if err := json.Unmarshal(m.Spec.Selector, &selector); err != nil {
		t.Fatal(err)
	}

	for key, want := range selector {
		if labels[key] != want {
			return false
		}
	}

	return true
}

// stage is an environment of the history and how long after the commit a
// release came there.
type stage struct {
	name  string
	rank  int
	delay time.Duration
}

func stages() []stage {
	const day = 24 * time.Hour

	return []stage{{"testing", 1, 0}, {"staging", 2, day}, {"production", 3, 3 * day}}
}

// arrival is a service's version coming to an environment.
type arrival struct {
	service, environment, version string
	at                            time.Time
}

// arrivals gives all of a history in the order of their dates.
func arrivals(releases []release) (all []arrival) {
	for _, r := range releases {
		for _, st := range stages() {
			for _, s := range r.services {
				all = append(all, arrival{s.name, st.name, r.Tag, r.CommittedAt.Add(st.delay)})
			}
		}
	}

	slices.SortStableFunc(all, func(a, b arrival) int { return a.at.Compare(b.at) })

	return all
}

// place is a service in an environment.
type place struct{ service, environment string }

// standing gives what was where at a moment, straight from the dates: the
// last arrival up to then.
func standing(all []arrival, at time.Time) map[place]string {
	there := map[place]string{}

	for _, a := range all {
		if !a.at.After(at) {
			there[place{a.service, a.environment}] = a.version
		}
	}

	return there
}
