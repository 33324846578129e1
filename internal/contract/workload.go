package contract

import "encoding/json"

// Workload is what a version runs.
type Workload struct {
	Digest    string
	Score     json.RawMessage
	Manifests *string
}
