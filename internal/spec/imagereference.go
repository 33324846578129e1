package spec

import (
	"regexp"
	"strings"

	"github.com/shiplog/shiplog/internal/fault"
)

// MaxImageReference bounds the reference of an image, in characters.
const MaxImageReference = 500

var imageReference = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:/-]*(@sha256:[0-9a-f]{64})?$`)

// wholeReference is a reference as registries take it (the grammar of the OCI
// distribution specification): host and port, lower-case path, tag, digest.
var wholeReference = regexp.MustCompile(`^([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?/)?` +
	`[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*` +
	`(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(@sha256:[0-9a-f]{64})?$`)

// ValidateImageReference accepts the reference of an image, of at most 500
// characters.
func ValidateImageReference(field, s string) error {
	if err := ValidateLine(field, s, MaxImageReference); err != nil {
		return err
	}

	if !wholeReference.MatchString(s) {
		return fault.Invalid(field, "is %q; accepted is an image reference, such as registry.example/shop/checkout:1.4.2", shorten(s))
	}

	return nil
}

// reference is an image's reference in its parts.
type reference struct {
	// repository as it is written ("redis"), tag without colon, digest with
	// "sha256:"; both may be empty.
	repository, tag, digest string
}

func parseReference(s string) (reference, bool) {
	if !imageReference.MatchString(s) {
		return reference{}, false
	}

	var r reference

	r.repository, r.digest, _ = strings.Cut(s, "@")

	if at := strings.LastIndexByte(r.repository, ':'); at > strings.LastIndexByte(r.repository, '/') {
		r.repository, r.tag = r.repository[:at], r.repository[at+1:]
	}

	return r, r.repository != ""
}

// String gives the reference as it is written in objects: with the tag, which
// people read, and the digest, which decides.
func (r reference) String() string {
	s := r.repository
	if r.tag != "" {
		s += ":" + r.tag
	}

	if r.digest != "" {
		s += "@" + r.digest
	}

	return s
}

// canonicalRepository gives the repository as a registry knows it: "redis" is
// "docker.io/library/redis".
func (r reference) canonicalRepository() string {
	host, path, nested := strings.Cut(r.repository, "/")

	switch {
	case !nested:
		return "docker.io/library/" + r.repository
	case !strings.ContainsAny(host, ".:") && host != "localhost":
		return "docker.io/" + r.repository
	case host == "docker.io" && !strings.Contains(path, "/"):
		return "docker.io/library/" + path
	default:
		return r.repository
	}
}

// sameImage reports whether both name the same tag of the same repository.
func (r reference) sameImage(other reference) bool {
	return r.canonicalRepository() == other.canonicalRepository() && defaultTag(r.tag) == defaultTag(other.tag)
}

// SameImage reports whether both references name the same tag of the same
// repository, however they are written.
func SameImage(a, b string) bool {
	one, ok := parseReference(a)
	other, fine := parseReference(b)

	return ok && fine && one.sameImage(other)
}

func defaultTag(tag string) string {
	if tag == "" {
		return "latest"
	}

	return tag
}

// referenceOf gives the reference of a version's image with its digest.
func referenceOf(field string, image Image) (reference, error) {
	r, ok := parseReference(image.Reference)
	if !ok {
		return r, fault.Invalid(field, "is %q; accepted is an image reference, such as registry.example/shop/checkout:1.4.2", shorten(image.Reference))
	}

	if image.Digest != "" {
		r.digest = image.Digest
	}

	return r, nil
}

// findImage gives the image of the version that a reference in a workload
// means: the one with the same tag, or the only one of the same repository,
// whatever its tag. So a workload that is inherited from an older version runs
// this version's images.
func findImage(r reference, images map[string]reference) (reference, bool) {
	var (
		found reference
		count int
	)

	for _, name := range sortedKeys(images) {
		image := images[name]
		if image.canonicalRepository() != r.canonicalRepository() {
			continue
		}

		if image.sameImage(r) {
			return image, true
		}

		found = image
		count++
	}

	return found, count == 1
}
