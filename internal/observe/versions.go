package observe

import (
	"cmp"
	"encoding/json"
	"slices"

	"github.com/shiplog/shiplog/deployer"
	"github.com/shiplog/shiplog/internal/spec"
)

// Version is what runs of one content: an element of a placement's observed
// side.
type Version struct {
	VersionID   string                `json:"versionId,omitempty"`
	VersionName string                `json:"versionName,omitempty"`
	Images      map[string]spec.Image `json:"images,omitempty"`
	// Digest of the snapshot.
	Digest  string `json:"digest,omitempty"`
	Ready   int    `json:"ready"`
	Desired int    `json:"desired"`
}

// Seen is the observed side of a placement, as its row and the history hold it.
type Seen struct {
	Versions []Version `json:"versions"`
	// Hands are those who changed an object behind our back.
	Hands []deployer.Hand `json:"hands,omitempty"`
}

// Read reads the observed side of a placement.
func Read(observed json.RawMessage) (seen Seen, err error) {
	switch {
	case len(observed) == 0:
	case observed[0] == '[': // as the first release wrote it
		err = json.Unmarshal(observed, &seen.Versions)
	default:
		err = json.Unmarshal(observed, &seen)
	}

	return seen, err
}

// seenOf is what is kept of an observation.
func seenOf(o deployer.Observation) Seen {
	hands := slices.Clone(o.Hands)
	slices.SortFunc(hands, func(a, b deployer.Hand) int {
		return cmp.Or(b.At.Compare(a.At), cmp.Compare(a.Object, b.Object), cmp.Compare(a.Manager, b.Manager))
	})

	return Seen{Versions: versionsOf(o), Hands: hands}
}

// versionsOf gives what was seen in an order that does not change by itself.
func versionsOf(seen deployer.Observation) []Version {
	versions := make([]Version, 0, len(seen.Contents))
	for _, c := range seen.Contents {
		versions = append(versions, Version{
			VersionID: c.Version, VersionName: c.VersionName, Images: c.Images, Digest: c.Digest, Ready: c.Ready, Desired: c.Desired,
		})
	}

	slices.SortStableFunc(versions, func(a, b Version) int {
		return cmp.Or(cmp.Compare(a.VersionName, b.VersionName), cmp.Compare(a.Digest, b.Digest))
	})

	return versions
}
