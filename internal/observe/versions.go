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

// Versions reads the observed side of a placement.
func Versions(observed json.RawMessage) ([]Version, error) {
	var versions []Version
	if len(observed) == 0 {
		return versions, nil
	}

	err := json.Unmarshal(observed, &versions)

	return versions, err
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
