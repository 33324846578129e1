package observe

import (
	"github.com/shiplog/shiplog/deployer"
	"github.com/shiplog/shiplog/ent/db/placement"
)

// Applied is the last deployment of a unit that began to act.
type Applied struct {
	Deployment string
	// Version is the id of its version, Digest that of its snapshot.
	Version string
	Digest  string
	// Undeploy: it takes everything away.
	Undeploy bool
	// Final: it has reached its outcome.
	Final bool
}

// Verdict says how what runs differs from what was applied; nil for nothing.
// err is what asking the target gave. A version is known when the memory has
// it. An empty answer means that there is nothing to compare.
func Verdict(applied *Applied, seen deployer.Observation, err error, known func(version string) bool) placement.Drift {
	if err != nil {
		return placement.DriftUNREACHABLE
	}

	var same, sameVersion, other, foreign bool // what runs, by content

	ready, desired := 0, 0

	for _, c := range seen.Contents {
		switch {
		case applied != nil && !applied.Undeploy && c.Digest == applied.Digest:
			same = true
			ready, desired = ready+c.Ready, desired+c.Desired
		case !known(c.Version):
			foreign = true
		case applied != nil && c.Version == applied.Version:
			sameVersion = true
		default:
			other = true
		}
	}

	nothing := !same && !sameVersion && !other && !foreign

	switch {
	case applied == nil && nothing:
		return ""
	case applied != nil && !applied.Final:
		return placement.DriftROLLING
	case applied == nil, foreign && !same:
		return placement.DriftUNKNOWN_VERSION
	case applied.Undeploy && nothing:
		return placement.DriftIN_SYNC
	case nothing, same && ready == 0 && desired > 0 && !other && !sameVersion && !foreign:
		return placement.DriftMISSING
	case same && !other && !sameVersion && !foreign && ready >= desired:
		return placement.DriftIN_SYNC
	case same:
		// Some are not ready, or others are still there beside them.
		return placement.DriftROLLING
	case sameVersion && !other:
		return placement.DriftCONFIG_DIFFERS
	}

	return placement.DriftVERSION_DIFFERS
}
