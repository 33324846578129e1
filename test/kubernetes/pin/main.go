// Pin makes go.mod follow a version of Kubernetes:
//
//	go run ./pin v1.37.2
//
// k8s.io/kubernetes is not made to be required: it names its own parts at
// version v0.0.0, which stands nowhere but in its repository. Every module that
// builds it replaces each of them by the release that belongs to it.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

const kubernetes = "k8s.io/kubernetes"

// modfile is what "go mod edit -json" tells.
type modfile struct {
	Require []struct{ Path, Version string }
	Replace []struct{ Old struct{ Path string } }
}

func main() {
	if err := pin(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "pin:", err)
		os.Exit(1)
	}
}

func pin(args []string) error {
	if len(args) != 1 || !strings.HasPrefix(args[0], "v1.") {
		return errors.New("usage: go run ./pin v1.MINOR.PATCH")
	}

	version := args[0]
	parts := "v0." + strings.TrimPrefix(version, "v1.")

	var downloaded struct{ GoMod string }
	if err := goJSON(&downloaded, "mod", "download", "-json", kubernetes+"@"+version); err != nil {
		return err
	}

	var theirs, ours modfile
	if err := errors.Join(goJSON(&theirs, "mod", "edit", "-json", downloaded.GoMod), goJSON(&ours, "mod", "edit", "-json")); err != nil {
		return err
	}

	edit := []string{"mod", "edit", "-require=" + kubernetes + "@" + version}
	replaced := map[string]bool{}

	for _, r := range theirs.Require {
		if strings.HasPrefix(r.Path, "k8s.io/") && r.Version == "v0.0.0" {
			edit = append(edit, "-replace="+r.Path+"="+r.Path+"@"+parts)
			replaced[r.Path] = true
		}
	}

	for _, r := range ours.Replace {
		if !replaced[r.Old.Path] {
			edit = append(edit, "-dropreplace="+r.Old.Path)
		}
	}

	// A requirement of ours of one of the parts means nothing beside its
	// replacement, and must not ask for a release that is not this one's.
	for _, r := range ours.Require {
		if replaced[r.Path] {
			edit = append(edit, "-require="+r.Path+"@v0.0.0")
		}
	}

	if err := run(edit...); err != nil {
		return err
	}

	return run("mod", "tidy")
}

func goJSON(into any, args ...string) error {
	out, err := exec.Command("go", args...).Output()
	if err != nil {
		return fmt.Errorf("go %s: %w", strings.Join(args, " "), err)
	}

	return json.Unmarshal(out, into)
}

func run(args ...string) error {
	command := exec.Command("go", args...)
	command.Stdout, command.Stderr = os.Stdout, os.Stderr

	if err := command.Run(); err != nil {
		return fmt.Errorf("go %s: %w", strings.Join(args, " "), err)
	}

	return nil
}
