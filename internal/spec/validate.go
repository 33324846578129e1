package spec

import (
	"net/url"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/shiplog/shiplog/internal/fault"
)

// Bounds of names and addresses.
const (
	maxLabels     = 64
	maxLabelValue = 256
	maxURL        = 2048
	maxPrefix     = 253
)

var (
	dnsLabel    = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	dnsDomain   = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$`)
	versionName = regexp.MustCompile(`^[A-Za-z0-9_+][A-Za-z0-9._+-]{0,127}$`)
	imageDigest = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
	labelName   = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$`)
	entityKind  = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9]{0,62}$`)
	entityName  = regexp.MustCompile(`^[A-Za-z0-9]+([._-][A-Za-z0-9]+)*$`)
)

// ValidateName accepts a DNS label, as services and environments are named.
func ValidateName(field, s string) error {
	if !dnsLabel.MatchString(s) {
		return fault.Invalid(field, "is %q; accepted is a DNS label: 1 to 63 lower-case letters, digits and -, not beginning or ending with -", shorten(s))
	}

	return nil
}

// ValidateVersionName accepts what fits into a tag, a path and a file name.
func ValidateVersionName(field, s string) error {
	if !versionName.MatchString(s) {
		return fault.Invalid(field, "is %q; accepted are 1 to 128 letters, digits and . _ + -, not beginning with . or -", shorten(s))
	}

	return nil
}

// ValidateImageDigest accepts "sha256:" and 64 lower-case hex digits.
func ValidateImageDigest(field, s string) error {
	if !imageDigest.MatchString(s) {
		return fault.Invalid(field, "is %q; accepted is sha256: and 64 lower-case hex digits", shorten(s))
	}

	return nil
}

// ValidateLabels accepts at most 64 labels whose keys are qualified names as
// Kubernetes has them, with one line of text each.
func ValidateLabels(field string, labels map[string]string) error {
	if len(labels) > maxLabels {
		return fault.Invalid(field, "has %d labels; accepted are at most %d", len(labels), maxLabels)
	}

	for _, key := range sortedKeys(labels) {
		prefix, name, prefixed := strings.Cut(key, "/")
		if !prefixed {
			prefix, name = "", key
		}

		if !labelName.MatchString(name) || prefixed && (len(prefix) > maxPrefix || !dnsDomain.MatchString(prefix)) {
			return fault.Invalid(child(field, key), "is not a label's key; accepted are 1 to 63 letters, digits and . _ -, beginning and ending with a letter or digit, after an optional DNS name and / (\"example.com/team\")")
		}

		if err := ValidateLine(child(field, key), labels[key], maxLabelValue); err != nil {
			return err
		}
	}

	return nil
}

// ValidateEntityRef accepts a full Backstage entity ref, kind:namespace/name.
func ValidateEntityRef(field, s string) error {
	kind, rest, hasKind := strings.Cut(s, ":")
	namespace, name, hasNamespace := strings.Cut(rest, "/")

	if !hasKind || !hasNamespace || len(name) > 63 ||
		!entityKind.MatchString(kind) || !dnsLabel.MatchString(strings.ToLower(namespace)) || !entityName.MatchString(name) {
		return fault.Invalid(field, "is %q; accepted is an entity ref, kind:namespace/name (\"group:default/payments\")", shorten(s))
	}

	return nil
}

// ValidateText accepts at most most characters of UTF-8 text of any number of
// lines, without control characters (line breaks and tabs are fine) and
// without the characters that turn the direction of writing.
func ValidateText(field, s string, most int) error {
	return validateText(field, s, most, "\n\r\t")
}

// ValidateLine accepts what ValidateText does, on one line and without tabs.
func ValidateLine(field, s string, most int) error {
	return validateText(field, s, most, "")
}

func validateText(field, s string, most int, allowed string) error {
	if !utf8.ValidString(s) {
		return fault.Invalid(field, "is not valid UTF-8; accepted is UTF-8 text")
	}

	if n := utf8.RuneCountInString(s); n > most {
		return fault.Invalid(field, "has %d characters; accepted are at most %d", n, most)
	}

	for at, r := range s {
		kind := ""

		switch {
		case r == 0:
			kind = "a NUL character"
		case (r < 0x20 || r >= 0x7f && r <= 0x9f) && !strings.ContainsRune(allowed, r):
			kind = "a control character"
		case r == 0x2028 || r == 0x2029:
			if allowed == "" {
				kind = "a line separator"
			}
		case isBidi(r):
			kind = "a character that turns the direction of writing"
		}

		if kind != "" {
			return fault.Invalid(field, "contains %s (%U at byte %d); accepted is text without it", kind, r, at)
		}
	}

	return nil
}

// isBidi reports whether r is a bidirectional control: text that reads
// otherwise than it is stored.
func isBidi(r rune) bool {
	return r == 0x061c || r == 0x200e || r == 0x200f || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069
}

// ValidateURL accepts an absolute http or https address without a password.
func ValidateURL(field, s string) error {
	if len(s) > maxURL {
		return fault.Invalid(field, "has %d bytes; accepted is an http or https address of at most %d", len(s), maxURL)
	}

	if err := ValidateLine(field, s, maxURL); err != nil {
		return err
	}

	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || strings.ContainsAny(s, " \"<>\\`") {
		return fault.Invalid(field, "is not an address; accepted is an absolute http or https URL")
	}

	if u.User != nil {
		return fault.Invalid(field, "contains a user name or password, which Shiplog does not store; accepted is an address without")
	}

	return nil
}
