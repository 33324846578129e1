package spec

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strconv"
	"strings"

	score "github.com/score-spec/score-go/types"

	"github.com/shiplog/shiplog/internal/fault"
)

// contentNamed marks a ConfigMap that Place names after its content: pods keep
// the files that they were started with, whatever comes after them.
const contentNamed = "shiplog.dev/named-after-content"

var (
	notInKeys     = regexp.MustCompile(`[^A-Za-z0-9._-]+`)
	wholeResource = regexp.MustCompile(`^\$\{resources\.([A-Za-z0-9_-]+)\}$`)
)

// files gives the mounts of a container's files. Their content is in a
// ConfigMap of the container, or, when it is one key of a secret, there.
func (r *scoreRenderer) files(container, field string, files []score.ContainerFilesElem) ([]any, error) {
	var mounts []any

	content := map[string]any{"metadata": map[string]any{"annotations": map[string]any{contentNamed: "true"}}, "immutable": true}
	name := r.in.Service + "-" + container + "-files"
	volume := volumeName("files", container)
	targets := map[string]bool{}

	var items []any

	for i, file := range files {
		at := element(field, i)

		if targets[file.Target] {
			return nil, fault.Invalid(child(at, "target"), "is %q, as that of another file; accepted is every path once", shorten(file.Target))
		}

		targets[file.Target] = true

		key := fileKey(file.Target)
		item := map[string]any{"key": key, "path": key}

		if err := setMode(child(at, "mode"), item, file.Mode); err != nil {
			return nil, err
		}

		secret, whole, err := r.fileContent(at, file, key, content)
		if err != nil {
			return nil, err
		}

		from := volume

		if whole {
			from = volumeName("file", container+"-"+shortHash(file.Target))
			item["key"] = secret.Key
			r.volumes[from] = map[string]any{"name": from, "secret": map[string]any{"secretName": secret.Name, "items": []any{item}}}
		} else {
			items = append(items, item)
		}

		mounts = append(mounts, map[string]any{"name": from, "mountPath": file.Target, "subPath": key, "readOnly": true})
	}

	if len(items) > 0 {
		r.volumes[volume] = map[string]any{"name": volume, "configMap": map[string]any{"name": name, "items": items}}
		r.add("v1", "ConfigMap", name, content)
	}

	return mounts, nil
}

// fileContent puts a file's content under its key, or gives the secret that
// holds the whole of it.
func (r *scoreRenderer) fileContent(field string, file score.ContainerFilesElem, key string, content map[string]any) (secret SecretReference, whole bool, err error) {
	switch {
	case file.BinaryContent != nil:
		mapIn(content, "binaryData")[key] = *file.BinaryContent

		return secret, false, nil
	case file.Content == nil:
		return secret, false, fault.Invalid(field, "has no content; accepted are content and binaryContent")
	case file.NoExpand != nil && *file.NoExpand:
		mapIn(content, "data")[key] = *file.Content

		return secret, false, nil
	}

	all, err := r.pieces(child(field, "content"), *file.Content)
	if err != nil {
		return secret, false, err
	}

	if len(all) == 1 && all[0].secret != nil {
		return *all[0].secret, true, nil
	}

	var b strings.Builder

	for _, p := range all {
		if p.secret != nil {
			return secret, false, fault.Invalid(child(field, "content"), "has a secret in the middle of a file, and a ConfigMap would show it; accepted are a file that is one key of a secret, and variables")
		}

		b.WriteString(p.text)
	}

	mapIn(content, "data")[key] = b.String()

	return secret, false, nil
}

func setMode(field string, item map[string]any, mode *string) error {
	if mode == nil {
		return nil
	}

	n, err := strconv.ParseUint(*mode, 8, 9)
	if err != nil {
		return fault.Invalid(field, "is %q; accepted are the octal digits of permissions (\"0644\")", shorten(*mode))
	}

	item["mode"] = n

	return nil
}

// fileKey names a file in its ConfigMap after its path.
func fileKey(target string) string {
	key := notInKeys.ReplaceAllString(strings.Trim(target, "/"), "_")
	if "/"+strings.ReplaceAll(key, "_", "/") == target && len(key) <= 200 {
		return key
	}

	if len(key) > 200 {
		key = key[len(key)-200:]
	}

	return key + "-" + shortHash(target)
}

// mounts gives the mounts of a container's volumes. What a volume is, the
// configuration says by one output of its resource.
func (r *scoreRenderer) mounts(field string, volumes []score.ContainerVolumesElem) ([]any, error) {
	mounts := make([]any, 0, len(volumes))

	for i, volume := range volumes {
		at := element(field, i)
		resource := volume.Source

		if match := wholeResource.FindStringSubmatch(resource); match != nil {
			resource = match[1]
		}

		if _, declared := r.workload.Resources[resource]; !declared {
			return nil, fault.Invalid(child(at, "source"), "is %q, which is no resource of the document; accepted is ${resources.NAME} of: %s",
				shorten(volume.Source), listed(sortedKeys(r.workload.Resources)))
		}

		readOnly := volume.ReadOnly != nil && *volume.ReadOnly
		name := volumeName("volume", resource)
		mount := map[string]any{"name": name, "mountPath": volume.Target}

		if readOnly {
			mount["readOnly"] = true
		}

		if path := text0(volume.Path); path != "" {
			mount["subPath"] = strings.TrimPrefix(path, "/")
		}

		source, err := r.volumeSource(resource, readOnly)
		if err != nil {
			return nil, err
		}

		r.volumes[name] = merged(source, map[string]any{"name": name})
		mounts = append(mounts, mount)
	}

	return mounts, nil
}

// volumeSource gives what the configuration supplies for a volume.
func (r *scoreRenderer) volumeSource(resource string, readOnly bool) (map[string]any, error) {
	field := child("configuration.resources", resource)
	outputs := r.in.Configuration.Resources[resource]

	const accepted = "accepted is one of the outputs claim (the name of a PersistentVolumeClaim), emptyDir (\"\" or the size at most), configMap and secret (a name), each as {\"value\": …}"

	var (
		source map[string]any
		found  int
	)

	for _, output := range []string{"claim", "emptyDir", "configMap", "secret"} {
		value, ok := outputs[output]

		switch {
		case !ok:
			continue
		case value.SecretRef != nil:
			return nil, fault.Invalid(child(field, output), "is a reference to a secret, and a volume is named openly; %s", accepted)
		case output != "emptyDir" && !secretName.MatchString(value.Value):
			return nil, fault.Invalid(child(field, output), "is %q, which is no name; %s", shorten(value.Value), accepted)
		case output == "emptyDir" && value.Value != "" && !quantity.MatchString(value.Value):
			return nil, fault.Invalid(child(field, output), "is %q, which is no size; %s", shorten(value.Value), accepted)
		}

		found++

		switch output {
		case "claim":
			source = map[string]any{"persistentVolumeClaim": map[string]any{"claimName": value.Value}}
			r.exclusive = r.exclusive || !readOnly
		case "emptyDir":
			size := map[string]any{}
			if value.Value != "" {
				size["sizeLimit"] = value.Value
			}

			source = map[string]any{"emptyDir": size}
		case "configMap":
			source = map[string]any{"configMap": map[string]any{"name": value.Value}}
		case "secret":
			source = map[string]any{"secret": map[string]any{"secretName": value.Value}}
		}
	}

	switch {
	case found == 0:
		r.missing.addf(field, "is required by a volume of the document, and no layer of the configuration says what it is; %s", accepted)
	case found > 1:
		return nil, fault.Invalid(field, "is %d kinds of volume at once; %s", found, accepted)
	}

	return source, nil
}

// volumeName makes the name of a volume, which is a DNS label.
func volumeName(prefix, of string) string {
	name := prefix + "-" + strings.ToLower(notInLabels.ReplaceAllString(of, "-"))
	if name == prefix+"-"+of && dnsLabel.MatchString(name) {
		return name
	}

	if len(name) > 50 {
		name = name[:50]
	}

	return strings.TrimRight(name, "-") + "-" + shortHash(of)
}

var notInLabels = regexp.MustCompile(`[^A-Za-z0-9-]+`)

// shortHash tells names apart that would otherwise be shortened to one.
func shortHash(s string) string {
	sum := sha256.Sum256([]byte(s))

	return hex.EncodeToString(sum[:5])
}
