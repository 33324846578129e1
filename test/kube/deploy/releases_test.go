package deploy

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shiplog/shiplog/internal/spec"
)

// release is what was released under a tag: all its objects as one version.
type release struct {
	tag      string
	workload spec.Workload
}

// releasesOf reads a folder with released manifests, in the order of their
// release.
func releasesOf(t *testing.T, dir string) (all []release) {
	t.Helper()

	raw, err := os.ReadFile(filepath.Join(dir, "releases.json"))
	if err != nil {
		t.Fatal(err)
	}

	var tags []struct{ Tag string }
	if err := json.Unmarshal(raw, &tags); err != nil || len(tags) == 0 {
		t.Fatalf("no releases: %v", err)
	}

	for _, r := range tags {
		text, err := os.ReadFile(filepath.Join(dir, r.Tag+".yaml"))
		if err != nil {
			t.Fatal(err)
		}

		w, err := spec.ParseWorkload("workload", nil, string(text))
		if err != nil {
			t.Fatalf("%s: %v", r.Tag, err)
		}

		all = append(all, release{r.Tag, w})
	}

	return all
}

// render makes the release's snapshot with digests that are made up: nothing is
// pulled. asleep: the environment's configuration asks for no pods, so that the
// rollout comes to its end.
func (r release) render(asleep bool) (*spec.Snapshot, error) {
	in := spec.RenderInput{Target: spec.TargetKubernetes, Service: "hello", Workload: r.workload}

	open, err := spec.UnpinnedImages(in)
	if err != nil {
		return nil, err
	}

	in.Images = map[string]spec.Image{}

	for _, reference := range open {
		sum := sha256.Sum256([]byte(reference))
		in.Images["resolved "+reference] = spec.Image{Reference: reference, Digest: "sha256:" + hex.EncodeToString(sum[:])}
	}

	shot, err := spec.Render(in)
	if err != nil || !asleep {
		return shot, err
	}

	for _, key := range slices.Sorted(maps.Keys(shot.Objects)) {
		if strings.Contains(key, "/Deployment/") {
			in.Configuration.Patches = append(in.Configuration.Patches, spec.ObjectPatch{Object: key, Merge: json.RawMessage(`{"spec":{"replicas":0}}`)})
		}
	}

	return spec.Render(in)
}

// TestReleasesInOrder deploys released manifests, one release after the other:
// the small ones of ours, and Online Boutique's (Google LLC, Apache-2.0) where
// they are at hand, in the folder that SHIPLOG_TEST_DATA names or beside the
// repository.
func TestReleasesInOrder(t *testing.T) {
	t.Parallel()

	t.Run("shop", func(t *testing.T) {
		t.Parallel()
		deployAll(t, releasesOf(t, filepath.Join("..", "..", "memory", "testdata", "shop")))
	})

	dir, given := os.LookupEnv("SHIPLOG_TEST_DATA")
	if !given {
		dir = filepath.Join("..", "..", "..", "..", "shared", "data", "online-boutique")

		if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
			return
		}
	}

	t.Run(filepath.Base(dir), func(t *testing.T) {
		t.Parallel()
		deployAll(t, releasesOf(t, dir))
	})
}

// deployAll deploys the releases in their order, each twice; then the last one
// with its pods, and the first one again.
func deployAll(t *testing.T, all []release) {
	t.Helper()

	s := newStage(t)
	served := strings.Fields(s.kubectl(t, "api-versions"))

	var deployed []release

	for _, r := range bounds(all) {
		shot, err := r.render(true)
		if err != nil {
			// Some were released with images that are no references.
			t.Logf("%s cannot be rendered: %.150s…", r.tag, err)

			continue
		}

		if unknown := notServed(t, shot, served); unknown != "" {
			_, err := s.Apply(t.Context(), s.actOf(t, "deployment-of-"+r.tag, r.tag, shot))
			if err == nil || !strings.Contains(err.Error(), unknown) {
				t.Errorf("%s: got %v, want a refusal that names %s", r.tag, err, unknown)
			}

			t.Logf("%s is refused: %v", r.tag, err)

			continue
		}

		s.deployTwice(t, r.tag, shot)

		deployed = append(deployed, r)
	}

	if len(deployed) < 3 {
		t.Fatalf("%d releases were deployed, want three at least", len(deployed))
	}

	s.deployAwake(t, deployed[len(deployed)-1])

	shot, err := deployed[0].render(true)
	if err != nil {
		t.Fatal(err)
	}

	s.deployTwice(t, deployed[0].tag, shot)
}

// bounds gives the first and the last release of every series (v0.3.0, v0.3.9):
// three seconds each are too many for all of them.
func bounds(all []release) (some []release) {
	series := func(i int) string {
		if i < 0 || i >= len(all) {
			return ""
		}

		return all[i].tag[:strings.LastIndex(all[i].tag, ".")]
	}

	for i, r := range all {
		if series(i) != series(i-1) || series(i) != series(i+1) {
			some = append(some, r)
		}
	}

	return some
}

// deployTwice deploys a release to its end, and sees that all of it is there
// and nothing else; then the same again, and sees that nothing is written but
// the anchor.
func (s *stage) deployTwice(t *testing.T, tag string, shot *spec.Snapshot) {
	t.Helper()

	began := time.Now()
	first := s.actOf(t, "deployment-of-"+tag, tag, shot)
	applied := s.ready(t, first)

	want, err := spec.Place(shot, first.Binding)
	if err != nil {
		t.Fatal(err)
	}

	var wanted []string
	for _, p := range want {
		wanted = append(wanted, p.Kind+"/"+p.Name+" of "+spec.VersionLabel(tag))
	}

	slices.Sort(wanted)

	if there := s.deployed(t); !slices.Equal(there, wanted) {
		t.Fatalf("%s: there are\n%s\nwant\n%s", tag, strings.Join(there, "\n"), strings.Join(wanted, "\n"))
	}

	before := s.atRest(t)

	again := s.ready(t, s.actOf(t, "again-of-"+tag, tag, shot))
	if !again.Unchanged {
		t.Errorf("%s again: %+v", tag, again)
	}

	s.onlyTheAnchor(t, tag, before)
	t.Logf("%s: %d objects are there, %d were written; of %d objects in the namespace the second time wrote the anchor alone; %s",
		tag, len(wanted), len(applied.Changes), len(before), time.Since(began).Round(time.Millisecond))
}

// deployAwake applies a release as it is, without the configuration that asks
// for no pods, and sees that the cluster takes its pods, too. They wait for
// images that nobody has.
func (s *stage) deployAwake(t *testing.T, r release) {
	t.Helper()

	shot, err := r.render(false)
	if err != nil {
		t.Fatal(err)
	}

	if _, err := s.Apply(t.Context(), s.actOf(t, "awake-of-"+r.tag, r.tag, shot)); err != nil {
		t.Fatal(err)
	}

	deployments := strings.Fields(s.kubectl(t, "get", "deployments", "-n", s.namespace, "-o", "name"))
	for _, name := range deployments {
		s.kubectl(t, "wait", name, "-n", s.namespace, "--timeout=50s", "--for=jsonpath={.status.updatedReplicas}=1")
	}

	before := s.atRest(t)

	again, err := s.Apply(t.Context(), s.actOf(t, "awake-again-of-"+r.tag, r.tag, shot))
	if err != nil || !again.Unchanged {
		t.Errorf("%s awake again: %+v, %v", r.tag, again, err)
	}

	s.onlyTheAnchor(t, r.tag+" awake", before)
	t.Logf("%s: the cluster has taken pods of %d deployments", r.tag, len(deployments))
}

// notServed gives the first apiVersion that the cluster has not: the API of old
// releases is gone.
func notServed(t *testing.T, shot *spec.Snapshot, served []string) string {
	t.Helper()

	for _, key := range slices.Sorted(maps.Keys(shot.Objects)) {
		var o struct{ APIVersion string }
		if err := json.Unmarshal(shot.Objects[key], &o); err != nil {
			t.Fatal(err)
		}

		if !slices.Contains(served, o.APIVersion) {
			return o.APIVersion
		}
	}

	return ""
}

// held is an object of the namespace as kubectl gives it.
type held struct {
	Kind     string
	Metadata struct {
		Name, ResourceVersion string
		Labels                map[string]string
		OwnerReferences       []any
	}
}

// everything gives all objects of the namespace, of all kinds that the cluster
// has, but for pods, their addresses, and events, which go on by themselves.
func (s *stage) everything(t *testing.T) []held {
	t.Helper()

	kinds := strings.Fields(s.kubectl(t, "api-resources", "--namespaced", "--verbs=list", "-o", "name"))
	kinds = slices.DeleteFunc(kinds, func(kind string) bool {
		return slices.Contains([]string{"pods", "endpoints", "endpointslices.discovery.k8s.io", "events", "events.events.k8s.io"}, kind)
	})

	var list struct{ Items []held }
	if err := json.Unmarshal([]byte(s.kubectl(t, "get", strings.Join(kinds, ","), "-n", s.namespace, "-o", "json")), &list); err != nil {
		t.Fatal(err)
	}

	return list.Items
}

// deployed gives what Shiplog has made in the namespace, each with its version.
func (s *stage) deployed(t *testing.T) (all []string) {
	t.Helper()

	for _, o := range s.everything(t) {
		label := o.Metadata.Labels
		if label[spec.LabelService] != "hello" || label["shiplog.dev/anchor"] == "true" || len(o.Metadata.OwnerReferences) > 0 {
			continue
		}

		all = append(all, o.Kind+"/"+o.Metadata.Name+" of "+label[spec.LabelVersion])
	}

	slices.Sort(all)

	return all
}

// resourceVersions gives that of every object in the namespace.
func (s *stage) resourceVersions(t *testing.T) map[string]string {
	t.Helper()

	all := map[string]string{}
	for _, o := range s.everything(t) {
		all[o.Kind+"/"+o.Metadata.Name] = o.Metadata.ResourceVersion
	}

	return all
}

// atRest waits until the cluster's controllers have nothing more to write.
func (s *stage) atRest(t *testing.T) map[string]string {
	t.Helper()

	// On a busy machine a controller writes a status some time after what it
	// tells of.
	const calm = 1500 * time.Millisecond

	last, since := s.resourceVersions(t), time.Now()

	for end := time.Now().Add(time.Minute); time.Since(since) < calm; {
		if time.Now().After(end) {
			t.Fatal("the namespace does not come to rest")
		}

		if now := s.resourceVersions(t); !maps.Equal(now, last) {
			last, since = now, time.Now()
		}
	}

	return last
}

// onlyTheAnchor sees that nothing else has been written since.
func (s *stage) onlyTheAnchor(t *testing.T, what string, before map[string]string) {
	t.Helper()

	var written []string

	after := s.resourceVersions(t)
	for name := range maps.Keys(before) {
		if after[name] != before[name] {
			written = append(written, fmt.Sprintf("%s (%s, then %q)", name, before[name], after[name]))
		}
	}

	for name := range after {
		if before[name] == "" {
			written = append(written, name+" (new)")
		}
	}

	anchor := "ConfigMap/shiplog." + s.namespace + ".hello "
	if len(written) != 1 || !strings.HasPrefix(written[0], anchor) {
		t.Errorf("%s: the same again has written %q, want %salone", what, written, anchor)
	}
}
