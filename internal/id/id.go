// Package id makes and reads the identifiers of Shiplog: TypeIDs, which are a
// type prefix, an underscore and a UUIDv7 in 26 characters of Crockford's
// base 32 (https://github.com/jetify-com/typeid, version 0.3). They are made
// before the write, sort by the time of their making within a type, and are
// what the API shows and the tables hold.
package id

import (
	"encoding/base32"
	"fmt"
	"strings"

	"github.com/google/uuid"
)

// Kind is the type prefix of an identifier.
type Kind string

// The kinds of identifiers. A placement's is made by PlacementID.
const (
	Service       Kind = "service"
	Version       Kind = "version"
	Environment   Kind = "environment"
	Target        Kind = "target"
	Configuration Kind = "configuration"
	Snapshot      Kind = "snapshot"
	Deployment    Kind = "deployment"
	Step          Kind = "step"
	Check         Kind = "check"
	Rule          Kind = "rule"
	Decision      Kind = "decision"
	Hold          Kind = "hold"
	Event         Kind = "event"
	Placement     Kind = "placement"
)

const suffixLen = 26

var crockford = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding) //nolint:gochecknoglobals // a constant, safe for concurrent use

// New makes an identifier of the kind.
func New(kind Kind) (string, error) {
	u, err := uuid.NewV7()
	if err != nil {
		return "", fmt.Errorf("make a %s id: %w", kind, err)
	}

	return string(kind) + "_" + encode(u), nil
}

// encode writes the 128 bits as 26 characters, two zero bits first.
func encode(u uuid.UUID) string {
	// 130 bits are needed for 26 characters: shift the value right by two
	// bits into 17 bytes (136 bits), of which the first 130 are encoded.
	var b [17]byte
	for i, v := range u {
		b[i] |= v >> 2
		b[i+1] |= v << 6
	}

	return crockford.EncodeToString(b[:])[:suffixLen]
}

// Parse checks that s is a well-formed identifier and gives its kind.
func Parse(s string) (Kind, error) {
	kind, suffix, ok := strings.Cut(s, "_")
	if !ok || len(suffix) < suffixLen {
		return "", fmt.Errorf("%q is not an id", s)
	}

	if Kind(kind) == Placement {
		if _, _, err := PlacementParts(s); err != nil {
			return "", err
		}

		return Placement, nil
	}

	if !wellFormed(suffix) {
		return "", fmt.Errorf("%q is not an id", s)
	}

	return Kind(kind), nil
}

// IsOf reports whether s is a well-formed identifier of the kind.
func IsOf(s string, kind Kind) bool {
	k, err := Parse(s)

	return err == nil && k == kind
}

func wellFormed(suffix string) bool {
	if len(suffix) != suffixLen || suffix[0] > '7' {
		return false
	}

	return strings.Trim(suffix, "0123456789abcdefghjkmnpqrstvwxyz") == ""
}

// PlacementID makes the identifier of a placement out of its service's and its
// environment's identifiers.
func PlacementID(service, environment string) string {
	return string(Placement) + "_" + strings.TrimPrefix(service, string(Service)+"_") +
		strings.TrimPrefix(environment, string(Environment)+"_")
}

// PlacementParts gives the service's and the environment's identifiers.
func PlacementParts(placement string) (service, environment string, err error) {
	suffix, ok := strings.CutPrefix(placement, string(Placement)+"_")
	if !ok || len(suffix) != 2*suffixLen || !wellFormed(suffix[:suffixLen]) || !wellFormed(suffix[suffixLen:]) {
		return "", "", fmt.Errorf("%q is not a placement's id", placement)
	}

	return string(Service) + "_" + suffix[:suffixLen], string(Environment) + "_" + suffix[suffixLen:], nil
}
