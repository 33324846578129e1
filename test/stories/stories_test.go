// Package stories runs the program as people and CI do: the built binary, a
// real server, real processes. Each story is a script in testdata and is told on
// both databases.
package stories

import (
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/shiplog/shiplog/internal/store/storetest"
)

// builds are the example service's versions and how they behave.
func builds() map[string]string {
	return map[string]string{"1.0.0": "good", "1.1.0": "good", "1.2.0": "crash", "1.3.0": "neverready"}
}

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

// buildAndRun puts the binaries in front of the PATH and runs the tests.
func buildAndRun(m *testing.M) (code int) {
	dir, err := os.MkdirTemp("", "shiplog-stories-")
	if err != nil {
		log.Print(err)

		return 1
	}

	defer func() {
		if err := os.RemoveAll(dir); err != nil {
			log.Print(err)

			code = 1
		}
	}()

	if err := build(dir); err != nil {
		log.Print(err)

		return 1
	}

	if err := os.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH")); err != nil {
		log.Print(err)

		return 1
	}

	return m.Run()
}

// build builds the program and the example service as `make build` lays them
// out.
func build(dir string) error {
	targets := [][]string{{"-o", filepath.Join(dir, "shiplog"), "../.."}}

	for version, behaviour := range builds() {
		targets = append(targets, []string{
			"-ldflags", "-X main.version=" + version + " -X main.behaviour=" + behaviour,
			"-o", filepath.Join(dir, "hello", "hello-"+version), "../../examples/hello",
		})
	}

	for _, args := range targets {
		if out, err := exec.Command("go", append([]string{"build"}, args...)...).CombinedOutput(); err != nil {
			return fmt.Errorf("go build %s: %w\n%s", strings.Join(args, " "), err, out)
		}
	}

	template, err := os.ReadFile("../../examples/hello/score.yaml")
	if err != nil {
		return err
	}

	return os.WriteFile(filepath.Join(dir, "hello", "score.yaml"), template, 0o600)
}

func TestStories(t *testing.T) {
	t.Parallel()

	scripts, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no stories: %v", err)
	}

	for _, dialect := range []string{"sqlite", "postgres"} {
		for _, script := range scripts {
			name := strings.TrimSuffix(filepath.Base(script), ".txtar")
			t.Run(dialect+"/"+name, func(t *testing.T) {
				// The demo comes back to the port that it had. Stories beside it
				// wish for the same one, and might have it by then.
				if name != "demo" {
					t.Parallel()
				}

				database := storetest.URL(t, dialect)
				testscript.Run(t, testscript.Params{
					Files: []string{script},
					Cmds:  commands(),
					Setup: func(env *testscript.Env) error {
						return setUp(env, database)
					},
				})
			})
		}
	}
}
