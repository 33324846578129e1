package spec

import (
	"github.com/shiplog/shiplog/internal/fault"
)

// IsEmpty reports whether there is nothing to run: such a version can be
// recorded, and not be deployed by Shiplog.
func (w Workload) IsEmpty() bool { return len(w.Score) == 0 && w.Manifests == "" }

// ParseWorkload checks the form of a workload at registration. The score is
// YAML or JSON text, or decoded JSON; nil means none. It is stored as
// canonical JSON (RFC 8785), manifests are stored as they are. Neither is
// fine, both are refused. Errors are fault.InvalidInput with a path below
// field ("workload.score.containers.main.image").
func ParseWorkload(field string, score any, manifests string) (Workload, error) {
	if score != nil && manifests != "" {
		return Workload{}, fault.Invalid(field, "has both score and manifests; accepted is one of them, or neither")
	}

	if manifests != "" {
		if _, err := parseManifests(child(field, "manifests"), manifests); err != nil {
			return Workload{}, err
		}

		return Workload{Manifests: manifests}, nil
	}

	if score == nil {
		return Workload{}, nil
	}

	data, err := parseScore(child(field, "score"), score)
	if err != nil {
		return Workload{}, err
	}

	return Workload{Score: data}, nil
}
