package spec

import (
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/shiplog/shiplog/internal/fault"
)

var update = flag.Bool("update", false, "write the golden files of this package")

// golden compares with testdata/name, or writes it with -update.
func golden(t *testing.T, name, got string) {
	t.Helper()

	path := filepath.Join("testdata", name)

	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}

		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}

	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}

	if got != string(want) {
		t.Errorf("%s differs (write it with -update):\n--- got\n%s\n--- want\n%s", path, got, want)
	}
}

// refusal is how an error is written in golden files: code, field, message.
func refusal(t *testing.T, err error) string {
	t.Helper()

	var refused *fault.Error
	if !errors.As(err, &refused) {
		t.Fatalf("error %v is no fault", err)
	}

	return string(refused.Code) + " " + refused.Field + " " + refused.Message
}

func read(t *testing.T, name string) string {
	t.Helper()

	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}

	return string(data)
}

func indent(t *testing.T, v any) string {
	t.Helper()

	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}

	return string(data) + "\n"
}
