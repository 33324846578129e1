// Package repository holds what is true of the repository's files: what is
// generated is marked, the contract is described, lock files name no host.
package repository

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// root is the repository, from this folder.
const root = "../.."

// generated is the line by which Go's tools know generated files.
var generated = regexp.MustCompile(`(?m)^// Code generated .* DO NOT EDIT\.$`)

// git runs git in the repository and gives what it prints.
func git(t *testing.T, input string, args ...string) string {
	t.Helper()

	command := exec.CommandContext(t.Context(), "git", args...)
	command.Dir, command.Stdin = root, strings.NewReader(input)

	out, err := command.Output()
	if err != nil {
		t.Fatalf("git %s: %v", strings.Join(args, " "), err)
	}

	return string(out)
}

// tracked gives the tracked files that exist.
func tracked(t *testing.T, patterns ...string) []string {
	t.Helper()

	var found []string

	for file := range strings.SplitSeq(git(t, "", append([]string{"ls-files", "-z", "--"}, patterns...)...), "\x00") {
		if _, err := os.Stat(filepath.Join(root, file)); file != "" && err == nil {
			found = append(found, file)
		}
	}

	return found
}

// TestGeneratedFilesAreMarked asks git itself: a pattern that matches nothing
// would look just as good.
func TestGeneratedFilesAreMarked(t *testing.T) {
	t.Parallel()

	files := tracked(t, "*.go", "*/atlas.sum")
	marked := map[string]bool{}

	// PATH NUL linguist-generated NUL VALUE NUL
	fields := strings.Split(git(t, strings.Join(files, "\x00")+"\x00", "check-attr", "--stdin", "-z", "linguist-generated"), "\x00")
	for i := 0; i+2 < len(fields); i += 3 {
		marked[fields[i]] = fields[i+2] == "set" || fields[i+2] == "true"
	}

	count := 0

	for _, file := range files {
		content, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			t.Fatal(err)
		}

		is := strings.HasSuffix(file, "atlas.sum") || generated.Match(content)
		if is {
			count++
		}

		if is != marked[file] {
			t.Errorf("%s: generated %t, marked linguist-generated %t", file, is, marked[file])
		}
	}

	if count < 100 {
		t.Errorf("%d generated files were found: the database client alone has more", count)
	}
}

// TestLockFilesNameNoHost: whoever installs takes their own registry.
func TestLockFilesNameNoHost(t *testing.T) {
	t.Parallel()

	locks := tracked(t, "*package-lock.json")
	if len(locks) == 0 {
		t.Fatal("no lock file was found")
	}

	for _, file := range locks {
		content, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			t.Fatal(err)
		}

		if bytes.Contains(content, []byte(`"resolved": "http`)) {
			t.Errorf("%s names where packages were downloaded: install with omit-lockfile-registry-resolved=true", file)
		}
	}
}
