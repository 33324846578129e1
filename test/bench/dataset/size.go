// Package dataset fills a database with a large, made-up history: the same one
// for the same size, on every database. Everything in it is consistent: what
// is recorded is the last success, the order of what became current has no
// holes, and the journal's chain verifies.
package dataset

import "fmt"

// Size says how large the history is.
type Size struct {
	// Services, each with Versions versions and one placement in each of the
	// Environments.
	Services, Versions, Environments int
	// Deployments of a service in an environment.
	Deployments int
	// Events of the journal, at most one for each deployment.
	Events int
	// Logs is how many deployments have a log, of LogLines lines each.
	Logs, LogLines int
	// Eventful: not only releases that work or fail, but also rollbacks,
	// services that are taken away, acts that were cancelled, and what was
	// written down long after it happened (eventful.go).
	Eventful bool
}

// team is how many services have the same owner: the rows of one matrix.
const team = 50

// tested is the part of the environments, the first ones, in which a check is
// reported for every deployment.
func (s Size) tested() int { return s.Environments * 7 / 10 }

// Small is for development and for query plans: 100,000 deployments.
func Small() Size {
	return Size{Services: 200, Versions: 100, Environments: 20, Deployments: 25, Events: 20_000, Logs: 2_000, LogLines: 40}
}

// Full is 2,000,000 deployments with 1,400,000 checks.
func Full() Size {
	return Size{Services: 2_000, Versions: 100, Environments: 20, Deployments: 50, Events: 100_000, Logs: 2_000, LogLines: 40}
}

// Of is a history of about n deployments in which every answer is as large as
// in any other: only what is not asked for grows.
func Of(n int) Size {
	s := Size{Services: team, Versions: 100, Environments: 20, Deployments: 50, Events: 1_000, Logs: 100, LogLines: 40}
	if n < s.Total() {
		s.Deployments = max(1, n/(s.Services*s.Environments))
		s.Versions = 2 * s.Deployments
	} else {
		s.Services = n / (s.Environments * s.Deployments)
	}

	return s
}

// Total is the number of deployments.
func (s Size) Total() int { return s.Services * s.Environments * s.Deployments }

// Checks is the number of checks.
func (s Size) Checks() int { return s.Services * s.tested() * s.Deployments }

// Validate names what cannot be made.
func (s Size) Validate() error {
	switch {
	case s.Services < 1 || s.Versions < 1 || s.Environments < 1 || s.Deployments < 1:
		return fmt.Errorf("want at least one service, version, environment and deployment, not %+v", s)
	case s.Versions < s.Deployments:
		return fmt.Errorf("want at least %d versions for as many deployments, not %d", s.Deployments, s.Versions)
	case s.Logs > s.Total():
		return fmt.Errorf("want at most %d logs, not %d", s.Total(), s.Logs)
	}

	return nil
}

func (s Size) String() string {
	return fmt.Sprintf("%d services, %d versions, %d environments, %d deployments, %d checks",
		s.Services, s.Services*s.Versions, s.Environments, s.Total(), s.Checks())
}
