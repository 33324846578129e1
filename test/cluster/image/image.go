// Package image makes container images from files and pushes them, with the
// standard library alone: no Docker, no base image, no root. Equal contents give
// equal digests.
package image

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"runtime"
	"slices"
	"strings"
	"time"
)

// Media types of what is pushed. The layer is not compressed: loopback carries
// it faster than a processor packs it.
const (
	manifestType = "application/vnd.oci.image.manifest.v1+json"
	configType   = "application/vnd.oci.image.config.v1+json"
	layerType    = "application/vnd.oci.image.layer.v1.tar"
)

// Spec says what an image holds and how it runs.
type Spec struct {
	// Files by their absolute path in the image: each is the path of a file on
	// this machine, taken with its mode.
	Files map[string]string
	// Entrypoint is the command with its arguments.
	Entrypoint []string
	// Env are the variables that a container has unless it is told others.
	Env map[string]string
	// Labels of the image.
	Labels map[string]string
}

// Image is an image of one layer.
type Image struct {
	// Digest is that of its manifest, by which it is pulled.
	Digest string

	manifest, config, layer []byte
}

// New makes an image.
func New(spec Spec) (*Image, error) {
	layer, err := pack(spec.Files)
	if err != nil {
		return nil, err
	}

	config, err := json.Marshal(map[string]any{
		"architecture": runtime.GOARCH, "os": "linux", "created": epoch().Format(time.RFC3339),
		"config": map[string]any{"Entrypoint": spec.Entrypoint, "Env": environment(spec.Env), "Labels": spec.Labels},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{digest(layer)}},
	})
	if err != nil {
		return nil, err
	}

	manifest, err := json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": manifestType,
		"config": descriptor(configType, config),
		"layers": []any{descriptor(layerType, layer)},
	})
	if err != nil {
		return nil, err
	}

	return &Image{Digest: digest(manifest), manifest: manifest, config: config, layer: layer}, nil
}

// Archive writes the image under a name as the archive that "ctr images import"
// and "docker load" read: for images that have to be there before any registry.
func (i *Image) Archive(w io.Writer, name string) error {
	config := strings.TrimPrefix(digest(i.config), "sha256:") + ".json"

	manifest, err := json.Marshal([]map[string]any{{"Config": config, "RepoTags": []string{name}, "Layers": []string{"layer.tar"}}})
	if err != nil {
		return err
	}

	out := tar.NewWriter(w)
	for _, f := range []struct {
		name    string
		content []byte
	}{{"manifest.json", manifest}, {config, i.config}, {"layer.tar", i.layer}} {
		if err := put(out, tar.Header{Name: f.name, Mode: 0o644}, f.content); err != nil {
			return err
		}
	}

	return out.Close()
}

// pack makes the layer: a few folders that programs expect, users, the files.
func pack(files map[string]string) ([]byte, error) {
	var layer bytes.Buffer

	out := tar.NewWriter(&layer)

	for _, dir := range []string{"dev/", "etc/", "proc/", "sys/", "tmp/"} {
		mode := int64(0o755)
		if dir == "tmp/" {
			mode = 0o1777
		}

		if err := put(out, tar.Header{Name: dir, Typeflag: tar.TypeDir, Mode: mode}, nil); err != nil {
			return nil, err
		}
	}

	users := "root:x:0:0:root:/:/\nnobody:x:65534:65534:nobody:/:/\n"
	if err := put(out, tar.Header{Name: "etc/passwd", Mode: 0o644}, []byte(users)); err != nil {
		return nil, err
	}

	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := putFile(out, name, files[name]); err != nil {
			return nil, err
		}
	}

	if err := out.Close(); err != nil {
		return nil, err
	}

	return layer.Bytes(), nil
}

func putFile(out *tar.Writer, name, source string) error {
	if !path.IsAbs(name) {
		return fmt.Errorf("image: %q is no absolute path", name)
	}

	info, err := os.Stat(source)
	if err != nil {
		return err
	}

	content, err := os.ReadFile(source)
	if err != nil {
		return err
	}

	return put(out, tar.Header{Name: strings.TrimPrefix(name, "/"), Mode: int64(info.Mode().Perm())}, content)
}

func put(out *tar.Writer, header tar.Header, content []byte) error {
	header.ModTime, header.Size = epoch(), int64(len(content))

	if err := out.WriteHeader(&header); err != nil {
		return err
	}

	_, err := out.Write(content)

	return err
}

// epoch is every image's time, so that its digest is that of its contents.
func epoch() time.Time { return time.Unix(0, 0).UTC() }

func environment(env map[string]string) []string {
	all := []string{"PATH=/usr/local/bin:/usr/bin:/bin"}
	for _, name := range slices.Sorted(maps.Keys(env)) {
		all = append(all, name+"="+env[name])
	}

	return all
}

func digest(content []byte) string {
	sum := sha256.Sum256(content)

	return "sha256:" + hex.EncodeToString(sum[:])
}

func descriptor(mediaType string, content []byte) map[string]any {
	return map[string]any{"mediaType": mediaType, "digest": digest(content), "size": len(content)}
}
