package observe

import (
	"maps"
	"slices"

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

// Recorded is the deployment that is in place.
type Recorded struct {
	Deployment string
	Digest     string
	// Endpoints where the memory says that clients reach it.
	Endpoints map[string]string
}

// Moved reports whether clients reach it elsewhere: its content is there, and
// alone, so that what the target says of clients is of it.
func (r *Recorded) Moved(seen deployer.Observation) bool {
	return r != nil && len(seen.Contents) == 1 && seen.Contents[0].Digest == r.Digest &&
		len(seen.Endpoints) > 0 && !maps.Equal(seen.Endpoints, r.Endpoints)
}

// Verdict says how what runs differs from what was applied; nil for nothing.
// err is what asking the target gave. A version is known when the memory has
// it. An empty answer means that there is nothing to compare.
func Verdict(applied *Applied, seen deployer.Observation, err error, known func(version string) bool) placement.Drift {
	drift := instances(applied, seen, err, known)
	if drift != placement.DriftIN_SYNC || len(seen.Strayed) == 0 {
		return drift
	}

	if slices.ContainsFunc(seen.Strayed, func(s deployer.Stray) bool { return s.Missing }) {
		return placement.DriftMISSING
	}

	return placement.DriftCONFIG_DIFFERS
}

// instances is the verdict on what runs.
func instances(applied *Applied, seen deployer.Observation, err error, known func(version string) bool) placement.Drift {
	if err != nil {
		return placement.DriftUNREACHABLE
	}

	is := compare(applied, seen, known)

	switch {
	case applied == nil && is.nothing():
		return ""
	case applied != nil && !applied.Final:
		return placement.DriftROLLING
	case applied == nil, is.foreign && !is.same:
		return placement.DriftUNKNOWN_VERSION
	case applied.Undeploy && is.nothing():
		return placement.DriftIN_SYNC
	case is.nothing(), is.alone() && is.ready == 0 && is.desired > 0:
		return placement.DriftMISSING
	case is.alone() && is.ready >= is.desired:
		return placement.DriftIN_SYNC
	case is.same:
		// Some are not ready, or others are still there beside them.
		return placement.DriftROLLING
	case is.sameVersion && !is.other:
		return placement.DriftCONFIG_DIFFERS
	}

	return placement.DriftVERSION_DIFFERS
}

// comparison is what runs, beside what was applied.
type comparison struct {
	same, sameVersion, other, foreign bool
	// Of what is the same.
	ready, desired int
}

func (c comparison) nothing() bool { return !c.same && !c.beside() }

// beside reports whether something else than what was applied runs.
func (c comparison) beside() bool { return c.sameVersion || c.other || c.foreign }

// alone reports whether what was applied runs, and nothing else.
func (c comparison) alone() bool { return c.same && !c.beside() }

func compare(applied *Applied, seen deployer.Observation, known func(version string) bool) (is comparison) {
	for _, c := range seen.Contents {
		switch {
		case applied != nil && !applied.Undeploy && c.Digest == applied.Digest:
			is.same = true
			is.ready, is.desired = is.ready+c.Ready, is.desired+c.Desired
		case !known(c.Version):
			is.foreign = true
		case applied != nil && c.Version == applied.Version:
			is.sameVersion = true
		default:
			is.other = true
		}
	}

	return is
}
