package spec

import (
	"maps"

	"github.com/shiplog/shiplog/internal/fault"
)

// versionImages reads the references of a version's images.
func versionImages(images map[string]Image) (map[string]reference, error) {
	all := make(map[string]reference, len(images))

	for _, name := range sortedKeys(images) {
		r, err := referenceOf(child("images", name)+".reference", images[name])
		if err != nil {
			return nil, err
		}

		all[name] = r
	}

	return all, nil
}

// pinImages gives every container the version's image of its repository.
func pinImages(objects objectSet, images map[string]reference) {
	for _, key := range sortedKeys(objects) {
		eachImage(key, objects[key], func(_, written string, set func(string)) {
			if r, ok := parseReference(written); ok {
				if image, known := findImage(r, images); known {
					set(image.String())
				}
			}
		})
	}
}

// requireDigests gives images that still have no digest that of the version's
// image with the same tag, or the one that a registry gave, and names those
// for which there is none.
func requireDigests(field string, objects objectSet, images map[string]reference, digests map[string]string, missing *findings) {
	for _, key := range sortedKeys(objects) {
		eachImage(child(field, key), objects[key], func(at, written string, set func(string)) {
			r, ok := parseReference(written)

			switch {
			case !ok:
				missing.addf(at, "is %q; accepted is an image reference, such as registry.example/shop/checkout:1.4.2", shorten(written))

				return
			case r.digest != "":
				return
			}

			if image, known := findImage(r, images); known && image.sameImage(r) && image.digest != "" {
				set(image.String())

				return
			}

			if r.digest = digests[written]; r.digest != "" {
				set(r.String())

				return
			}

			missing.addf(at, "is %s, whose digest is not known, and what is deployed is a digest; accepted is an image of the version with reference and digest, or a reference with @sha256:…", shorten(written))
		})
	}
}

// UnpinnedImages gives the references of a workload's images that have a
// digest neither themselves nor by the version's images nor by Digests, in
// order, without doubles; none for targets that run no images. A caller that
// can ask registries gives their digests to Pin before it renders. Errors are
// those of Render.
func UnpinnedImages(in RenderInput) ([]string, error) {
	if in.Target != TargetKubernetes {
		return nil, nil
	}

	objects, err := kubernetesObjects(in, &findings{})
	if err != nil {
		return nil, err
	}

	images, err := versionImages(in.Images)
	if err != nil {
		return nil, err
	}

	pinImages(objects, images)

	if objects, err = patchKubernetes(objects, in.Configuration.Patches); err != nil {
		return nil, err
	}

	open := map[string]bool{}

	for _, key := range sortedKeys(objects) {
		eachImage(key, objects[key], func(_, written string, _ func(string)) {
			r, ok := parseReference(written)
			if !ok || r.digest != "" || in.Digests[written] != "" {
				return
			}

			if image, known := findImage(r, images); !known || !image.sameImage(r) || image.digest == "" {
				open[written] = true
			}
		})
	}

	return sortedKeys(open), nil
}

// Pin gives the input with digests of the references that UnpinnedImages gave:
// those of the version's own images stand at them, the others beside them.
func (in RenderInput) Pin(digests map[string]string) RenderInput {
	images, others := maps.Clone(in.Images), maps.Clone(in.Digests)
	if others == nil {
		others = map[string]string{}
	}

	for reference, digest := range digests {
		own := false

		for name, image := range images {
			if SameImage(image.Reference, reference) {
				own = true

				if image.Digest == "" {
					images[name] = Image{Reference: image.Reference, Digest: digest}
				}
			}
		}

		if !own {
			others[reference] = digest
		}
	}

	in.Images, in.Digests = images, others

	return in
}

// eachImage visits the image of every container in an object: of any list of
// containers at any depth, as kustomize does, because kinds that are not
// Kubernetes' own make pods, too; and the images that are mounted as volumes.
func eachImage(at string, value any, visit func(at, written string, set func(string))) {
	switch v := value.(type) {
	case []any:
		for i, e := range v {
			eachImage(element(at, i), e, visit)
		}
	case map[string]any:
		for _, name := range sortedKeys(v) {
			here := child(at, name)

			switch name {
			case "containers", "initContainers", "ephemeralContainers":
				for i, e := range listOf(v, name) {
					container, _ := e.(map[string]any)
					visitImage(element(here, i), container, "image", visit)
				}
			case "volumes":
				for i, e := range listOf(v, name) {
					volume, _ := e.(map[string]any)
					visitImage(child(element(here, i), "image"), mapOf(volume, "image"), "reference", visit)
				}
			default:
				eachImage(here, v[name], visit)
			}
		}
	}
}

func visitImage(at string, holder map[string]any, member string, visit func(at, written string, set func(string))) {
	if written := textOf(holder, member); written != "" {
		visit(child(at, member), written, func(s string) { holder[member] = s })
	}
}

// scoreImage gives the image of a Score container. "." means the version's
// own: the one with the container's name, or the main one.
func scoreImage(field, container, written string, images map[string]Image) (string, error) {
	if written != "." {
		return written, nil
	}

	for _, name := range []string{container, mainImage} {
		if image, ok := images[name]; ok {
			return image.Reference, nil
		}
	}

	if len(images) == 1 {
		for _, image := range images {
			return image.Reference, nil
		}
	}

	return "", fault.Invalid(field, "is \".\", the version's own image, and the version has none named %s or %s; accepted is a version registered with that image", container, mainImage)
}

// mainImage is the name of a version's image when nobody names it.
const mainImage = "main"
