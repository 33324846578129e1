package spec

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// histories are the folders with released manifests: the small one of ours,
// and Online Boutique (Google LLC, Apache-2.0) where it is at hand, in the
// folder that SHIPLOG_TEST_DATA names or beside the repository. That one is
// read where it is and not copied; its golden file holds hashes.
func histories(t *testing.T) map[string]string {
	t.Helper()

	found := map[string]string{"shop": filepath.Join("..", "..", "test", "memory", "testdata", "shop")}
	beside := filepath.Join("..", "..", "..", "shared", "data", "online-boutique")

	if given, ok := os.LookupEnv("SHIPLOG_TEST_DATA"); ok {
		found[filepath.Base(given)] = given
	} else if _, err := os.Stat(beside); err == nil {
		found[filepath.Base(beside)] = beside
	} else if !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}

	return found
}

// TestKubernetesReleases renders released manifests, all objects of a release
// as one version, and compares hashes of what comes of them.
func TestKubernetesReleases(t *testing.T) {
	t.Parallel()

	for name, dir := range histories(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			renderHistory(t, name, dir)
		})
	}
}

func renderHistory(t *testing.T, name, dir string) {
	t.Helper()

	raw, err := os.ReadFile(filepath.Join(dir, "releases.json"))
	if err != nil {
		t.Fatal(err)
	}

	var releases []struct {
		Tag string `json:"tag"`
	}
	if err := json.Unmarshal(raw, &releases); err != nil || len(releases) == 0 {
		t.Fatalf("no releases: %v", err)
	}

	var out strings.Builder

	for _, release := range releases {
		text, err := os.ReadFile(filepath.Join(dir, release.Tag+".yaml"))
		if err != nil {
			t.Fatal(err)
		}

		renderRelease(t, &out, release.Tag, string(text))
	}

	golden(t, "releases_"+name+".txt", out.String())
}

func renderRelease(t *testing.T, out *strings.Builder, tag, text string) {
	t.Helper()

	w, err := ParseWorkload("workload", nil, text)
	if err != nil {
		t.Fatalf("%s: %v", tag, err)
	}

	in, err := pinned(RenderInput{Target: TargetKubernetes, Service: "frontend", Workload: w})
	if err != nil {
		t.Fatalf("%s: %v", tag, err)
	}

	snapshot, err := Render(in)
	if err != nil {
		// v0.2.2 was released with images that are no references.
		fmt.Fprintf(out, "%s refused: %.120s…\n", tag, refusal(t, err))

		return
	}

	checkTypes(t, snapshot.Objects)
	samePlaces(t, snapshot, stored(t, snapshot), Binding{Namespace: "shop", Environment: "production", Version: tag})

	placed, err := Place(snapshot, Binding{Namespace: "shop", Environment: "production", Version: tag})
	if err != nil {
		t.Fatalf("%s: %v", tag, err)
	}

	var all strings.Builder

	for _, p := range placed {
		checkPlaced(t, p)
		all.Write(p.Object)
	}

	fmt.Fprintf(out, "%s %d objects %s, placed %s\n", tag, len(placed), digest(t, snapshot), shortHash(all.String()))
}
