package image_test

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/shiplog/shiplog/test/cluster/image"
)

func spec(t *testing.T, content, version string) image.Spec {
	t.Helper()

	program := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(program, []byte(content), 0o755); err != nil {
		t.Fatal(err)
	}

	return image.Spec{Files: map[string]string{"/app": program}, Entrypoint: []string{"/app"}, Env: map[string]string{"VERSION": version}}
}

func digest(t *testing.T, s image.Spec) string {
	t.Helper()

	made, err := image.New(s)
	if err != nil {
		t.Fatal(err)
	}

	return made.Digest
}

// TestDigestIsOfTheContents: where and when a program was built says nothing.
func TestDigestIsOfTheContents(t *testing.T) {
	t.Parallel()

	first := digest(t, spec(t, "a program", "1"))

	later := spec(t, "a program", "1")
	if err := os.Chtimes(later.Files["/app"], time.Now(), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}

	if again := digest(t, later); again != first {
		t.Errorf("equal contents: %s and %s", first, again)
	}

	for name, other := range map[string]image.Spec{"program": spec(t, "another", "1"), "variable": spec(t, "a program", "2")} {
		if digest(t, other) == first {
			t.Errorf("another %s has the same digest", name)
		}
	}
}

// TestArchiveHoldsProgram reads the archive as a container runtime does.
func TestArchiveHoldsProgram(t *testing.T) {
	t.Parallel()

	made, err := image.New(spec(t, "a program", "1"))
	if err != nil {
		t.Fatal(err)
	}

	var archive bytes.Buffer
	if err := made.Archive(&archive, "localhost/app:1"); err != nil {
		t.Fatal(err)
	}

	files := untar(t, &archive)

	var manifest []struct {
		Config           string
		RepoTags, Layers []string
	}
	if err := json.Unmarshal(files["manifest.json"].content, &manifest); err != nil {
		t.Fatal(err)
	}

	if got := manifest[0].RepoTags; len(got) != 1 || got[0] != "localhost/app:1" {
		t.Errorf("it is called %v", got)
	}

	if config := files[manifest[0].Config].content; !strings.Contains(string(config), `"VERSION=1"`) {
		t.Errorf("its configuration has not its variable: %s", config)
	}

	layer := untar(t, bytes.NewReader(files[manifest[0].Layers[0]].content))
	if app := layer["app"]; string(app.content) != "a program" || app.mode != 0o755 {
		t.Errorf("the program is %q with mode %o", app.content, app.mode)
	}
}

func TestRelativePathIsRefused(t *testing.T) {
	t.Parallel()

	s := spec(t, "a program", "1")
	s.Files = map[string]string{"app": s.Files["/app"]}

	if _, err := image.New(s); err == nil {
		t.Error("a file without an absolute path was taken")
	}
}

type file struct {
	content []byte
	mode    int64
}

func untar(t *testing.T, from io.Reader) map[string]file {
	t.Helper()

	files := map[string]file{}

	for in := tar.NewReader(from); ; {
		header, err := in.Next()
		if errors.Is(err, io.EOF) {
			return files
		}

		if err != nil {
			t.Fatal(err)
		}

		content, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}

		files[header.Name] = file{content, header.Mode}
	}
}
