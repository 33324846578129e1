package cli

import (
	"crypto/rand"
	"encoding/json"
	"io"
	"os"
	"reflect"
	"strings"
	"time"
)

// input is the input of a mutation, a filter or variables; what is empty is
// left out.
type input map[string]any

// set puts a value in unless it is empty.
func (in input) set(name string, value any) {
	v := reflect.ValueOf(value)
	if !v.IsValid() || v.IsZero() {
		return
	}

	if (v.Kind() == reflect.Map || v.Kind() == reflect.Slice) && v.Len() == 0 {
		return
	}

	in[name] = value
}

// time puts in what the person wrote as a moment.
func (in input) time(name, written string, now time.Time) error {
	if written == "" {
		return nil
	}

	t, err := parseWhen(written, now)
	if err != nil {
		return err
	}

	in[name] = t.UTC().Format(time.RFC3339Nano)

	return nil
}

// moment puts in a moment to answer for.
func (in input) moment(at, asKnownAt string, now time.Time) error {
	if err := in.time("at", at, now); err != nil {
		return err
	}

	return in.time("asKnownAt", asKnownAt, now)
}

// enum writes a value of an enum as the contract has it: `deployment-succeeded`
// becomes DEPLOYMENT_SUCCEEDED.
func enum(value string) string { return strings.ToUpper(strings.ReplaceAll(value, "-", "_")) }

func enums(values []string) []string {
	out := make([]string, len(values))
	for i, value := range values {
		out[i] = enum(value)
	}

	return out
}

// keyed is part of every command that creates something.
type keyed struct {
	IdempotencyKey string `placeholder:"KEY" help:"The same key and input give the same object, however often they are sent. Without it every run has a key of its own, so that a lost answer can be asked for again."`
}

// key is the given key or a fresh one.
func (k keyed) key() string {
	if k.IdempotencyKey != "" {
		return k.IdempotencyKey
	}

	return "cli-" + strings.ToLower(rand.Text())
}

// readFile reads a file, or standard input for "-".
func (s *session) readFile(path string) (string, error) {
	var (
		content []byte
		err     error
	)

	if path == "-" {
		content, err = io.ReadAll(s.stdin)
	} else {
		content, err = os.ReadFile(path)
	}

	if err != nil {
		return "", usage("%v", err)
	}

	return string(content), nil
}

// jsonFile reads a JSON document.
func (s *session) jsonFile(path string) (json.RawMessage, error) {
	content, err := s.readFile(path)
	if err != nil {
		return nil, err
	}

	if !json.Valid([]byte(content)) {
		return nil, usage("%s is no JSON document", path)
	}

	return json.RawMessage(content), nil
}
