package faults

import (
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"testing"
	"time"
)

func TestTheSameVersionAgain(t *testing.T) {
	t.Parallel()

	w := shop(t, 1, works)
	ctx := t.Context()

	var (
		last   deployment
		before map[string][]string
		files  map[string]string
	)

	for i := range 3 {
		d, err := w.deploy(ctx, "shop", "1.0.0", nil)
		if err != nil {
			t.Fatal(err)
		}

		if d, err = w.await(ctx, d.ID, 20*time.Second, is("SUCCEEDED")); err != nil {
			t.Fatal(err)
		}

		w.checkRunning(t, "shop")

		if i > 0 {
			w.checkUnchanged(t, d, last, before, files)
		} else if files = w.unitFiles(t, "shop"); len(files) == 0 {
			t.Fatal("the target has no files")
		}

		last, before = d, w.pids(t)
	}

	w.checkRecord(t)
}

// checkUnchanged: a deployment of what is there already is recorded as one that
// changed nothing, and has touched nothing but the anchor.
func (w *world) checkUnchanged(t *testing.T, d, last deployment, before map[string][]string, files map[string]string) {
	t.Helper()

	if now := w.pids(t); fmt.Sprint(now) != fmt.Sprint(before) || len(now) != 1 {
		t.Errorf("processes %v run, before it was %v", now, before)
	}

	if now := w.unitFiles(t, "shop"); !maps.Equal(now, files) {
		t.Errorf("the target's files are %v, before they were %v", now, files)
	}

	if s := d.step("APPLY"); s.Message != "no change: the target has exactly this already" {
		t.Errorf("the step says %q", s.Message)
	}

	var answer struct {
		Deployment struct{ Base *struct{ ID string } }
		Placements struct {
			Nodes []struct{ Recorded struct{ ID string } }
		}
	}
	if err := w.read(t.Context(), `query($id: ID!) { deployment(id: $id) { base { id } } placements(filter: {service: "shop"}) { nodes { recorded { id } } } }`,
		map[string]any{"id": d.ID}, &answer); err != nil {
		t.Fatal(err)
	}

	if base := answer.Deployment.Base; base == nil || base.ID != last.ID {
		t.Errorf("its base is %v, want %s", base, last.ID)
	}

	if nodes := answer.Placements.Nodes; len(nodes) != 1 || nodes[0].Recorded.ID != d.ID {
		t.Errorf("recorded is %v, want %s", nodes, d.ID)
	}
}

// unitFiles gives the files of a service at the target, but its anchor, with
// when they were changed and how large they are.
func (w *world) unitFiles(t *testing.T, service string) map[string]string {
	t.Helper()

	files := map[string]string{}

	err := filepath.WalkDir(filepath.Join(w.data, "process", "units", place, service), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == "anchor.json" {
			return err
		}

		info, err := d.Info()
		if err != nil {
			return err
		}

		files[path] = fmt.Sprint(info.Size(), " ", info.ModTime())

		return nil
	})
	if err != nil {
		t.Fatal(err)
	}

	return files
}
