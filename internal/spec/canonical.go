package spec

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"

	"github.com/gowebpki/jcs"
)

// canonicalJSON writes a value as RFC 8785.
func canonicalJSON(v any) (json.RawMessage, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("write JSON: %w", err)
	}

	data, err = jcs.Transform(data)
	if err != nil {
		return nil, fmt.Errorf("write canonical JSON: %w", err)
	}

	return data, nil
}

// Canonical gives the canonical form of the snapshot, as the package
// documentation describes it for other programs.
func (s *Snapshot) Canonical() ([]byte, error) {
	form, err := s.Form()
	if err != nil {
		return nil, err
	}

	return canonicalJSON(form)
}

// Form gives the canonical form before it is written: its values are those of
// encoding/json.
func (s *Snapshot) Form() (map[string]any, error) {
	workload, err := canonicalWorkload(s.Workload)
	if err != nil {
		return nil, err
	}

	objects := make(map[string]any, len(s.Objects))

	for _, key := range sortedKeys(s.Objects) {
		object, err := decodeStored(s.Objects[key])
		if err != nil {
			return nil, fmt.Errorf("read the object %s: %w", key, err)
		}

		objects[key] = canonicalise(object)
	}

	form := map[string]any{
		"renderer":      s.Renderer,
		"target":        s.Target,
		"workload":      workload,
		"configuration": s.Configuration,
		"objects":       objects,
	}

	if len(s.Images) > 0 {
		form["images"] = s.Images
	}

	return form, nil
}

// Digest gives "sha256:" and the SHA-256 of the canonical form in hex. Equal
// digests mean equal deployments.
func (s *Snapshot) Digest() (string, error) {
	data, err := s.Canonical()
	if err != nil {
		return "", err
	}

	return digestOf(data), nil
}

// ContentDigest identifies the content of a version: its images as they were
// registered, its workload and its commit. The same content again is the same
// version.
func ContentDigest(images map[string]Image, workload Workload, commit string) (string, error) {
	canonical, err := canonicalWorkload(workload)
	if err != nil {
		return "", err
	}

	if images == nil {
		images = map[string]Image{}
	}

	data, err := canonicalJSON(map[string]any{"images": images, "workload": canonical, "commit": commit})
	if err != nil {
		return "", err
	}

	return digestOf(data), nil
}

// TextDigest gives "sha256:" and the SHA-256 of a text in hex.
func TextDigest(text string) string { return digestOf([]byte(text)) }

func digestOf(data []byte) string {
	sum := sha256.Sum256(data)

	return "sha256:" + hex.EncodeToString(sum[:])
}

// decodeStored reads JSON that was checked when it came in.
func decodeStored(data json.RawMessage) (any, error) {
	return decodeChecked("", data, false)
}

func canonicalWorkload(w Workload) (map[string]any, error) {
	form := map[string]any{}

	if w.Manifests != "" {
		form["manifests"] = w.Manifests
	}

	if len(w.Score) == 0 {
		return form, nil
	}

	document, err := decodeStored(w.Score)
	if err != nil {
		return nil, fmt.Errorf("read the Score document: %w", err)
	}

	form["score"] = change(document, "containers", func(containers any) any {
		return changeEach(containers, canonicalScoreContainer)
	})

	return form, nil
}

func canonicalScoreContainer(container any) any {
	container = change(container, "files", keyedBy("target"))
	container = change(container, "volumes", keyedBy("target"))

	for _, probe := range []string{"livenessProbe", "readinessProbe"} {
		container = change(container, probe, func(probe any) any {
			return change(probe, "httpGet", func(get any) any {
				return change(get, "httpHeaders", keyedBy("name"))
			})
		})
	}

	return container
}

// change gives the object with one member changed; anything else, and an
// object without the member, is given as it is.
func change(v any, name string, to func(any) any) any {
	object, ok := v.(map[string]any)
	if !ok {
		return v
	}

	member, ok := object[name]
	if !ok {
		return v
	}

	object = maps.Clone(object)
	object[name] = to(member)

	return object
}

// changeEach changes every member of an object, or every element of a list.
func changeEach(v any, to func(any) any) any {
	switch v := v.(type) {
	case map[string]any:
		changed := make(map[string]any, len(v))
		for name, member := range v {
			changed[name] = to(member)
		}

		return changed
	case []any:
		changed := make([]any, len(v))
		for i, e := range v {
			changed[i] = to(e)
		}

		return changed
	default:
		return v
	}
}
