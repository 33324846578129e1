//go:build unix

package memory

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestRealHistory tells a server a release history as CI would have, asks it
// what was where, and compares with what the files say.
func TestRealHistory(t *testing.T) {
	t.Parallel()

	for name, dir := range histories(t) {
		t.Run(name, func(t *testing.T) {
			releases := readHistory(t, dir)
			all := arrivals(releases)

			each(t, func(t *testing.T, a *api) {
				for _, st := range stages() {
					a.environment(st.name, st.rank)
				}

				first := tell(a, releases, all)
				before := a.position()
				second := tell(a, releases, all)

				for _, told := range []told{first, second} {
					t.Log(told)
				}

				if want := (counts{versions: len(all) / len(stages()), deployments: len(all)}); first.created != want {
					t.Errorf("the first time made %+v, want %+v", first.created, want)
				}

				if second.created != (counts{}) || second.ignored != 0 {
					t.Errorf("telling it again made %+v and ignored %d fields, want nothing", second.created, second.ignored)
				}

				if after := a.position(); after != before {
					t.Errorf("telling it again moved the journal from %s to %s", before, after)
				}

				compareStandings(t, a, all)
				compareJourneys(t, a, all)
			})
		})
	}
}

// counts are how many of what.
type counts struct{ versions, deployments int }

// told is what telling a history did.
type told struct {
	services, sent map[string]int
	created        counts
	ignored        int
	took           time.Duration
}

func (d told) String() string {
	return fmt.Sprintf("%d services, %d registerVersion, %d recordDeployment; new: %d versions, %d deployments; %s",
		len(d.services), d.sent["registerVersion"], d.sent["recordDeployment"], d.created.versions, d.created.deployments, d.took.Round(time.Millisecond))
}

func tell(a *api, releases []release, all []arrival) told {
	a.t.Helper()

	var lock sync.Mutex

	begin := time.Now()
	done := told{services: map[string]int{}, sent: map[string]int{}}

	for _, r := range releases {
		together(r.services, func(s released) {
			registered := a.announce(r, s)

			lock.Lock()
			defer lock.Unlock()

			done.services[s.name]++
			done.sent["registerVersion"]++
			done.ignored += len(registered.IgnoredFields)

			if registered.Created {
				done.created.versions++
			}
		})
	}

	// What came at the same moment came in no order.
	for len(all) > 0 {
		n := 1
		for n < len(all) && all[n].at.Equal(all[0].at) {
			n++
		}

		together(all[:n], func(arrived arrival) {
			got := a.record(object{"service": arrived.service, "environment": arrived.environment, "version": arrived.version, "finishedAt": arrived.at})

			lock.Lock()
			defer lock.Unlock()

			done.sent["recordDeployment"]++

			if got.RecordDeployment.Created {
				done.created.deployments++
			}
		})

		all = all[n:]
	}

	done.took = time.Since(begin)

	return done
}

// registration is the answer of registerVersion.
type registration struct {
	Created       bool
	IgnoredFields []string
}

// announce does what the CI of a service does for a release.
func (a *api) announce(r release, s released) registration {
	ask[object](a, `mutation($i: CreateServiceInput!) { createService(input: $i) { service { id } } }`, object{"i": object{
		"name": s.name, "owner": "group:default/" + s.name, "idempotencyKey": "service " + s.name,
	}})

	return ask[struct{ RegisterVersion registration }](a, `mutation($i: RegisterVersionInput!) { registerVersion(input: $i) { created ignoredFields } }`, object{"i": object{
		"service": s.name, "version": r.Tag, "images": s.images, "commit": r.Commit, "builtAt": r.CommittedAt,
		"workload": object{"manifests": s.manifests}, "backfill": true,
	}}).RegisterVersion
}

// together does something with each, some at the same time, and waits for all:
// more would only wait for the one writer of a file.
func together[T any](all []T, do func(T)) {
	const atOnce = 8

	var group sync.WaitGroup

	slots := make(chan struct{}, atOnce)

	for _, v := range all {
		slots <- struct{}{}

		group.Go(func() {
			defer func() { <-slots }()

			do(v)
		})
	}

	group.Wait()
}

// named is a thing with a name.
type named struct{ Name string }

// found is a placement of an answer.
type found struct {
	Service, Environment named
	Recorded             *struct {
		Version named
	}
}

// compareStandings compares placements and matrix, now and at five moments:
// one before all, three in between, and one at the very moment of an arrival.
func compareStandings(t *testing.T, a *api, all []arrival) {
	t.Helper()

	moments := []time.Time{
		all[0].at.Add(-time.Microsecond), all[len(all)/4].at, all[len(all)/2].at.Add(36 * time.Hour), all[3*len(all)/4].at.Add(-time.Second), all[len(all)-1].at.Add(-time.Microsecond),
	}

	check := func(at *time.Time) {
		until := time.Now()
		if at != nil {
			until = *at
		}

		want := standing(all, until)

		if got := a.placements(at); !maps.Equal(got, want) {
			t.Errorf("placements at %s: %s", until, difference(got, want))
		}

		if got := a.matrix(at); !maps.Equal(got, want) {
			t.Errorf("matrix at %s: %s", until, difference(got, want))
		}
	}

	check(nil)

	for _, at := range moments {
		check(&at)
	}
}

// placements gives what is recorded where, over all pages.
func (a *api) placements(at *time.Time) map[place]string {
	a.t.Helper()

	all, after := map[place]string{}, (*string)(nil)

	for {
		page := ask[struct {
			Placements struct {
				Nodes      []found
				TotalCount int
				PageInfo   struct {
					HasNextPage bool
					EndCursor   *string
				}
			}
		}](a, `query($at: Time, $after: Cursor) { placements(at: $at, first: 7, after: $after) {
			nodes { service { name } environment { name } recorded { version { name } } } totalCount pageInfo { hasNextPage endCursor } } }`,
			object{"at": at, "after": after}).Placements

		for _, p := range page.Nodes {
			all[place{p.Service.Name, p.Environment.Name}] = recordedVersion(p)
		}

		if !page.PageInfo.HasNextPage {
			if page.TotalCount != len(all) {
				a.t.Errorf("placements at %v: totalCount %d of %d", at, page.TotalCount, len(all))
			}

			return all
		}

		after = page.PageInfo.EndCursor
	}
}

func recordedVersion(p found) string {
	if p.Recorded == nil {
		return ""
	}

	return p.Recorded.Version.Name
}

// matrix gives the same from the matrix.
func (a *api) matrix(at *time.Time) map[place]string {
	a.t.Helper()

	m := ask[struct {
		Matrix struct {
			Environments []named
			Rows         []struct {
				Service    named
				Placements []*found
			}
		}
	}](a, `query($at: Time) { matrix(at: $at, first: 100) { environments { name } rows { service { name } placements { service { name } environment { name } recorded { version { name } } } } } }`,
		object{"at": at}).Matrix

	all := map[place]string{}

	for _, row := range m.Rows {
		for i, p := range row.Placements {
			if p == nil {
				continue
			}

			if p.Service != row.Service || p.Environment != m.Environments[i] {
				a.t.Errorf("%s in %s stands in the row of %s and the column of %s", p.Service.Name, p.Environment.Name, row.Service.Name, m.Environments[i].Name)
			}

			all[place{row.Service.Name, m.Environments[i].Name}] = recordedVersion(*p)
		}
	}

	return all
}

func difference(got, want map[place]string) string {
	var text strings.Builder

	for _, p := range slices.SortedFunc(maps.Keys(want), func(a, b place) int {
		return slices.Compare([]string{a.service, a.environment}, []string{b.service, b.environment})
	}) {
		if got[p] != want[p] {
			fmt.Fprintf(&text, "\n%s in %s is %q, want %q", p.service, p.environment, got[p], want[p])
		}
	}

	for p := range got {
		if _, ok := want[p]; !ok {
			fmt.Fprintf(&text, "\n%s in %s is %q, want nothing", p.service, p.environment, got[p])
		}
	}

	return text.String()
}

// stop is a stop of a journey.
type stop struct {
	Environment                                 named
	FirstDeployedAt, CurrentSince, CurrentUntil *time.Time
	IsCurrent                                   bool
	Deployments                                 []struct{ Status string }
}

// compareJourneys compares the journeys of one service's first, middle and
// last version.
func compareJourneys(t *testing.T, a *api, all []arrival) {
	t.Helper()

	service := all[0].service

	var versions []string

	for _, arrived := range all {
		if arrived.service == service && !slices.Contains(versions, arrived.version) {
			versions = append(versions, arrived.version)
		}
	}

	for _, version := range []string{versions[0], versions[len(versions)/2], versions[len(versions)-1]} {
		got := ask[struct{ Version struct{ Journey []stop } }](a, `query($service: ID!, $name: ID!) { version(service: $service, name: $name) { journey {
			environment { name } firstDeployedAt currentSince currentUntil isCurrent deployments { status } } } }`,
			object{"service": service, "name": version}).Version.Journey

		for i, st := range stages() {
			var came, went *time.Time

			for _, arrived := range all {
				switch {
				case arrived.service != service || arrived.environment != st.name:
				case arrived.version == version:
					came = &arrived.at
				case came != nil && went == nil:
					went = &arrived.at
				}
			}

			s := got[i]
			if s.Environment.Name != st.name || !same(s.FirstDeployedAt, came) || !same(s.CurrentSince, came) || !same(s.CurrentUntil, went) ||
				s.IsCurrent != (went == nil) || len(s.Deployments) != 1 || s.Deployments[0].Status != "SUCCEEDED" {
				t.Errorf("journey of %s %s, stop %d is %+v, want %s from %v to %v", service, version, i, s, st.name, came, went)
			}
		}

		if len(got) != len(stages()) {
			t.Errorf("journey of %s %s has %d stops, want %d", service, version, len(got), len(stages()))
		}
	}
}

func same(a, b *time.Time) bool {
	return a == nil && b == nil || a != nil && b != nil && a.Equal(*b)
}
