package past

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/shiplog/shiplog/internal/store/storetest"
)

// identified is a thing with an id.
type identified struct{ ID string }

// story is a service on its way through three environments.
type story struct {
	*api

	database string
	began    time.Time
	ids      map[string]string
}

// tell plays it: 1.0.0 goes everywhere; 1.1.0 fails in testing, passes there
// later, reaches production, is found broken and is gone back from.
func tell(t *testing.T, dialect string) *story {
	t.Helper()

	database := storetest.URL(t, dialect)
	s := &story{api: serve(t, database), database: database, began: time.Now().UTC().Add(-100 * time.Hour).Truncate(time.Second), ids: map[string]string{}}

	for _, name := range []string{"checkout", "other"} {
		ask[object](s.api, `mutation ($n: String!) { createService(input: {name: $n, owner: "group:default/shop"}) { service { id } } }`, object{"n": name})
	}

	for i, e := range [][2]string{{"testing", "TESTING"}, {"staging", "STAGING"}, {"production", "PRODUCTION"}} {
		ask[object](s.api, `mutation ($i: CreateEnvironmentInput!) { createEnvironment(input: $i) { environment { id } } }`,
			object{"i": object{"name": e[0], "tier": e[1], "rank": i, "target": object{"kind": "EXTERNAL"}}})
	}

	for i, v := range []string{"1.0.0", "1.1.0"} {
		ask[object](s.api, `mutation ($v: String!, $at: Time) { registerVersion(input: {service: "checkout", version: $v, builtAt: $at, image: "registry.example/checkout:1"}) { created } }`,
			object{"v": v, "at": s.hour(i * 10)})
	}

	s.record("a", "1.0.0", "testing", 1, "SUCCEEDED")
	s.record("b", "1.0.0", "staging", 2, "SUCCEEDED")
	s.record("c", "1.0.0", "production", 3, "SUCCEEDED")
	s.record("d", "1.1.0", "testing", 11, "FAILED")
	s.check("testing", "FAILED")
	s.record("e", "1.1.0", "testing", 12, "SUCCEEDED")
	s.check("testing", "PASSED")
	s.record("f", "1.1.0", "staging", 14, "SUCCEEDED")
	s.check("staging", "PASSED")
	s.record("g", "1.1.0", "production", 20, "SUCCEEDED")
	s.check("production", "FAILED")
	s.record("h", "1.0.0", "production", 22, "SUCCEEDED")

	if t.Failed() {
		t.FailNow()
	}

	return s
}

func (s *story) hour(n int) time.Time { return s.began.Add(time.Duration(n) * time.Hour) }

func (s *story) record(name, version, environment string, hour int, status string) {
	s.t.Helper()

	s.ids[name] = ask[struct {
		RecordDeployment struct{ Deployment identified }
	}](s.api, `mutation ($i: RecordDeploymentInput!) { recordDeployment(input: $i) { deployment { id } } }`, object{"i": object{
		"service": "checkout", "version": version, "environment": environment, "startedAt": s.hour(hour), "finishedAt": s.hour(hour).Add(time.Minute), "status": status,
	}}).RecordDeployment.Deployment.ID
}

func (s *story) check(environment, result string) {
	s.t.Helper()
	ask[object](s.api, `mutation ($i: ReportCheckInput!) { reportCheck(input: $i) { check { id } } }`, object{"i": object{
		"service": "checkout", "version": "1.1.0", "environment": environment, "name": "e2e", "result": result,
	}})
}

// TestJourney compares one query of a release's way with the entries of the
// journal that it is made of.
func TestJourney(t *testing.T) {
	t.Parallel()

	each(t, false, func(t *testing.T, dialect string) {
		s := tell(t, dialect)

		type deployed struct{ ID, Status string }

		type stop struct {
			Environment struct{ Name string }
			SoakSeconds int64
			Verdict     string
			IsCurrent   bool
			Stays       []struct {
				Since      time.Time
				Until      *time.Time
				Deployment deployed
				EndedBy    *struct {
					ID      string
					Version struct{ Name string }
				}
			}
			Deployments []deployed
			Checks      []struct{ ID, Result string }
		}

		journey := ask[struct{ Version struct{ Journey []stop } }](s.api, `{ version(service: "checkout", name: "1.1.0") { journey { environment { name } soakSeconds verdict isCurrent
			stays { since until deployment { id status } endedBy { id version { name } } } deployments { id status actor { display } } checks { id result actor { display } } } } }`, nil).Version.Journey
		if len(journey) != 3 {
			t.Fatalf("%d stops, want 3: %+v", len(journey), journey)
		}

		for i, want := range []struct {
			name, verdict string
			current       bool
			deployments   []deployed
		}{
			{"testing", "PASSED", true, []deployed{{s.ids["d"], "FAILED"}, {s.ids["e"], "SUCCEEDED"}}},
			{"staging", "PASSED", true, []deployed{{s.ids["f"], "SUCCEEDED"}}},
			{"production", "FAILED", false, []deployed{{s.ids["g"], "SUCCEEDED"}}},
		} {
			got := journey[i]
			if got.Environment.Name != want.name || got.Verdict != want.verdict || got.IsCurrent != want.current || !reflect.DeepEqual(got.Deployments, want.deployments) || len(got.Stays) != 1 {
				t.Errorf("stop %d is %+v, want %+v", i, got, want)
			}
		}

		stay := journey[2].Stays[0]
		if stay.EndedBy == nil || stay.EndedBy.ID != s.ids["h"] || stay.EndedBy.Version.Name != "1.0.0" || journey[2].SoakSeconds != 2*60*60 {
			t.Errorf("in production: %+v for %d s, want two hours until 1.0.0 came back", stay, journey[2].SoakSeconds)
		}

		// What the journal says of this version.
		var told, shown []string

		versionID := ask[struct{ Version identified }](s.api, `{ version(service: "checkout", name: "1.1.0") { id } }`, nil).Version.ID

		for _, e := range ask[struct {
			Events struct {
				Nodes []struct {
					Subject string
					Payload struct {
						Version string `json:"version_id"`
					}
				}
			}
		}](s.api, `{ events(first: 100, filter: {service: "checkout", types: ["deployment.recorded", "check.reported"]}) { nodes { subject payload } } }`, nil).Events.Nodes {
			if e.Payload.Version == versionID {
				told = append(told, e.Subject)
			}
		}

		for _, one := range journey {
			for _, d := range one.Deployments {
				shown = append(shown, d.ID)
			}

			for _, c := range one.Checks {
				shown = append(shown, c.ID)
			}
		}

		slices.Sort(told)
		slices.Sort(shown)

		if len(told) != 8 || !slices.Equal(told, shown) {
			t.Errorf("the journey shows %v, the journal tells %v", shown, told)
		}
	})
}

// TestChanges asks what changed in scopes, page by page from both ends.
func TestChanges(t *testing.T) {
	t.Parallel()

	each(t, false, func(t *testing.T, dialect string) {
		s := tell(t, dialect)
		from := time.Now().UTC()

		configure := func(input object) {
			input["content"] = object{"variables": object{"A": "b"}}
			ask[object](s.api, `mutation ($i: SetConfigurationInput!) { setConfiguration(input: $i) { changed } }`, object{"i": input})
		}

		configure(object{"service": "checkout"})
		configure(object{"environment": "production"})
		configure(object{"service": "checkout", "environment": "staging"})
		configure(object{"service": "checkout", "environment": "production"})
		configure(object{"service": "other"})
		s.record("late", "1.1.0", "production", 30, "SUCCEEDED")
		ask[object](s.api, `mutation { updateEnvironment(input: {environment: "production", title: "Live"}) { changed } }`, nil)
		ask[object](s.api, `mutation { putRule(input: {name: "live", trigger: VERSION_REGISTERED, targetEnvironment: "staging", enabled: false}) { changed } }`, nil)
		s.drift()

		to := time.Now().UTC().Add(time.Second)

		const (
			own, environment, staging, production, other = "CONFIGURATION checkout -", "CONFIGURATION - production", "CONFIGURATION checkout staging", "CONFIGURATION checkout production", "CONFIGURATION other -"
			recorded, changed, rule                      = "DEPLOYMENT checkout production", "ENVIRONMENT - production", "RULE - staging"
			drifted                                      = "DRIFT checkout production"
		)

		for name, c := range map[string]struct {
			scope object
			kinds []string
			want  []string
		}{
			"everything":      {nil, nil, []string{own, environment, staging, production, other, recorded, changed, rule, drifted}},
			"an environment":  {object{"environment": "production"}, nil, []string{own, environment, production, recorded, changed, drifted}},
			"a tier":          {object{"tier": "STAGING"}, nil, []string{own, staging, rule}},
			"a service":       {object{"service": "other"}, nil, []string{other}},
			"both":            {object{"service": "checkout", "environment": "staging"}, nil, []string{own, staging, rule}},
			"an owner":        {object{"owner": "group:default/shop"}, []string{"CONFIGURATION"}, []string{own, environment, staging, production, other}},
			"another owner":   {object{"owner": "group:default/else"}, nil, nil},
			"drift":           {object{"environment": "production"}, []string{"DRIFT"}, []string{drifted}},
			"all but drift":   {object{"tier": "PRODUCTION"}, []string{"DEPLOYMENT", "ENVIRONMENT"}, []string{recorded, changed}},
			"nothing of that": {object{"tier": "PRODUCTION"}, []string{"HOLD", "OTHER"}, nil},
		} {
			variables := object{"scope": c.scope, "kinds": c.kinds, "between": object{"from": from, "to": to}}

			if got := s.changes("first", "after", 2, variables); !slices.Equal(got, c.want) {
				t.Errorf("%s, from the beginning: %q, want %q", name, got, c.want)
			}

			if got := s.changes("last", "before", 3, variables); !slices.Equal(got, c.want) {
				t.Errorf("%s, from the end: %q, want %q", name, got, c.want)
			}
		}

		if got := s.changes("first", "after", 50, object{"between": object{"from": to}}); len(got) > 0 {
			t.Error("in the time to come:", got)
		}
	})
}

// drift writes two observations as an observer does, of which one tells news.
func (s *story) drift() {
	s.t.Helper()

	placement := ask[struct {
		Placements struct{ Nodes []identified }
	}](s.api, `{ placements(filter: {service: "checkout", environment: "production"}) { nodes { id } } }`, nil).Placements.Nodes[0].ID

	pool := open(s.t, s.database)
	defer pool.Close()

	for n := range 2 {
		if _, err := pool.ExecContext(s.t.Context(), fmt.Sprintf(`INSERT INTO observations (id, placement_id, at, observed, drift)
			SELECT %d, '%s', time, '{}', 'VERSION_DIFFERS' FROM events ORDER BY seq DESC LIMIT 1`, n+1, placement)); err != nil {
			s.t.Fatal(err)
		}
	}
}

// changes gives all changes, over pages of a size, from one end.
func (s *story) changes(size, cursor string, n int, variables object) (all []string) {
	s.t.Helper()

	var at *string

	for {
		variables["n"], variables["at"] = n, at

		page := ask[struct {
			Changes struct {
				Nodes []struct {
					Kind                 string
					Time                 time.Time
					Service, Environment *struct{ Name string }
					Subject              *identified
					Event                *identified
				}
				TotalCount int
				PageInfo   struct {
					HasNextPage, HasPreviousPage bool
					StartCursor, EndCursor       *string
				}
			}
		}](s.api, `query ($scope: Scope, $kinds: [ScopeChangeKind!], $between: TimeRange!, $n: Int, $at: Cursor) {
			changes(scope: $scope, kinds: $kinds, between: $between, `+size+`: $n, `+cursor+`: $at) {
				nodes { kind time service { name } environment { name } subject { id } event { id } actor { display } } totalCount pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }`, variables).Changes

		var rows []string

		for _, c := range page.Nodes {
			where := []string{"-", "-"}
			for i, one := range []*struct{ Name string }{c.Service, c.Environment} {
				if one != nil {
					where[i] = one.Name
				}
			}

			if c.Subject == nil || (c.Event == nil) != (c.Kind == "DRIFT") {
				s.t.Errorf("a change without its object: %+v", c)
			}

			rows = append(rows, c.Kind+" "+where[0]+" "+where[1])
		}

		more := page.PageInfo.HasNextPage

		if at = page.PageInfo.EndCursor; size == "last" {
			more, at = page.PageInfo.HasPreviousPage, page.PageInfo.StartCursor
			all = append(rows, all...)
		} else {
			all = append(all, rows...)
		}

		if !more {
			if page.TotalCount != len(all) {
				s.t.Errorf("%d counted, %d there", page.TotalCount, len(all))
			}

			return all
		}
	}
}

// TestDeliveryOfAStory asks for the figures of the story.
func TestDeliveryOfAStory(t *testing.T) {
	t.Parallel()

	each(t, false, func(t *testing.T, dialect string) {
		s := tell(t, dialect)

		type list struct{ Nodes []identified }

		m := ask[struct {
			DeliveryMetrics struct {
				DeploymentFrequency struct {
					Count       int
					Deployments list
				}
				LeadTime          struct{ Count, MedianSeconds int }
				ChangeFailureRate struct {
					Changes, Failures int
					Deployments       list
				}
				TimeToRestore struct {
					Count, Open, MedianSeconds int
					Deployments                list
				}
			}
		}](s.api, `query ($b: TimeRange!) { deliveryMetrics(scope: {service: "checkout", environment: "production"}, between: $b) {
			deploymentFrequency { count deployments { nodes { id } } } leadTime { count medianSeconds }
			changeFailureRate { changes failures deployments(first: 1) { nodes { id } } } timeToRestore { count open medianSeconds deployments { nodes { id } } } } }`,
			object{"b": object{"from": s.began, "to": s.hour(48)}}).DeliveryMetrics

		if m.DeploymentFrequency.Count != 2 || !reflect.DeepEqual(m.DeploymentFrequency.Deployments.Nodes, []identified{{s.ids["c"]}, {s.ids["g"]}}) ||
			m.LeadTime.Count != 2 || m.LeadTime.MedianSeconds != (3*3600+60+10*3600+60)/2 ||
			m.ChangeFailureRate.Changes != 2 || m.ChangeFailureRate.Failures != 1 || !reflect.DeepEqual(m.ChangeFailureRate.Deployments.Nodes, []identified{{s.ids["g"]}}) ||
			m.TimeToRestore.Count != 1 || m.TimeToRestore.MedianSeconds != 2*3600 || !reflect.DeepEqual(m.TimeToRestore.Deployments.Nodes, []identified{{s.ids["h"]}}) {
			t.Errorf("the figures are %+v of %v", m, s.ids)
		}
	})
}
