package deployment

import (
	"slices"

	"github.com/shiplog/shiplog/ent/db/deployment"
)

// next are the statuses that may follow each status. A final status has none.
var next = map[deployment.Status][]deployment.Status{
	deployment.StatusQUEUED: {
		deployment.StatusWAITING, deployment.StatusRUNNING, deployment.StatusFAILED, deployment.StatusERRORED,
		deployment.StatusCANCELLED, deployment.StatusREJECTED, deployment.StatusSUPERSEDED,
	},
	deployment.StatusWAITING: {
		deployment.StatusQUEUED, deployment.StatusRUNNING, deployment.StatusVERIFYING, deployment.StatusSUCCEEDED, deployment.StatusFAILED,
		deployment.StatusERRORED, deployment.StatusCANCELLED, deployment.StatusREJECTED, deployment.StatusSUPERSEDED,
	},
	deployment.StatusRUNNING: {
		deployment.StatusWAITING, deployment.StatusVERIFYING, deployment.StatusSUCCEEDED, deployment.StatusFAILED,
		deployment.StatusERRORED, deployment.StatusCANCELLED,
	},
	deployment.StatusVERIFYING: {
		deployment.StatusWAITING, deployment.StatusRUNNING, deployment.StatusSUCCEEDED, deployment.StatusFAILED,
		deployment.StatusERRORED, deployment.StatusCANCELLED,
	},
}

// Final reports whether nothing can follow the status.
func Final(s deployment.Status) bool { return len(next[s]) == 0 }

// CanBecome reports whether a deployment may go from one status to another.
func CanBecome(from, to deployment.Status) bool { return slices.Contains(next[from], to) }
