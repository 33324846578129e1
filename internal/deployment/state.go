package deployment

import (
	"slices"

	"github.com/shiplog/shiplog/ent/db/deployment"
)

// next are the statuses that may follow each status. A final status has none.
func next(s deployment.Status) []deployment.Status {
	switch s {
	case deployment.StatusQUEUED:
		return []deployment.Status{
			deployment.StatusWAITING, deployment.StatusRUNNING, deployment.StatusFAILED, deployment.StatusERRORED,
			deployment.StatusCANCELLED, deployment.StatusREJECTED, deployment.StatusSUPERSEDED,
		}
	case deployment.StatusWAITING:
		return []deployment.Status{
			deployment.StatusQUEUED, deployment.StatusRUNNING, deployment.StatusVERIFYING, deployment.StatusSUCCEEDED, deployment.StatusFAILED,
			deployment.StatusERRORED, deployment.StatusCANCELLED, deployment.StatusREJECTED, deployment.StatusSUPERSEDED,
		}
	case deployment.StatusRUNNING:
		return []deployment.Status{
			deployment.StatusWAITING, deployment.StatusVERIFYING, deployment.StatusSUCCEEDED, deployment.StatusFAILED,
			deployment.StatusERRORED, deployment.StatusCANCELLED,
		}
	case deployment.StatusVERIFYING:
		return []deployment.Status{
			deployment.StatusWAITING, deployment.StatusRUNNING, deployment.StatusSUCCEEDED, deployment.StatusFAILED,
			deployment.StatusERRORED, deployment.StatusCANCELLED,
		}
	default:
		return nil
	}
}

// Final reports whether nothing can follow the status.
func Final(s deployment.Status) bool { return len(next(s)) == 0 }

// CanBecome reports whether a deployment may go from one status to another.
func CanBecome(from, to deployment.Status) bool { return slices.Contains(next(from), to) }
