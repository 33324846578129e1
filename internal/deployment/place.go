package deployment

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/shiplog/shiplog/ent/db"
	"github.com/shiplog/shiplog/ent/db/deployment"
	"github.com/shiplog/shiplog/ent/db/environment"
	"github.com/shiplog/shiplog/ent/db/placement"
	"github.com/shiplog/shiplog/internal/catalog"
	"github.com/shiplog/shiplog/internal/fault"
	"github.com/shiplog/shiplog/internal/id"
	"github.com/shiplog/shiplog/internal/page"
	"github.com/shiplog/shiplog/internal/spec"
	"github.com/shiplog/shiplog/internal/store"
)

// Placement is a service in an environment, now or at a past moment.
type Placement struct {
	ID            string
	ServiceID     string
	EnvironmentID string
	RecordedID    *string
	AppliedID     *string
	// RecordedVersionID is the version of the recorded deployment.
	RecordedVersionID *string
	// Observed and Drift are what was seen last, up to then.
	Observed   json.RawMessage
	ObservedAt *time.Time
	Drift      *placement.Drift
	// Past: this is how it was at a past moment.
	Past bool
}

// PlacementFilter selects placements; what is given must all hold.
type PlacementFilter struct {
	Service     *string
	Version     *string
	Environment *string
	Tier        *environment.Tier
	Image       *string
	Digest      *string
	Commit      *string
	Drift       []placement.Drift
	Owner       *string
	Labels      map[string]string
	Archived    *bool
}

// placed builds the query for placements: now from their own rows, at a past
// moment from the deployments that were current and had acted then.
type placed struct {
	store    *store.Store
	at       *time.Time
	known    *time.Time // only what was known then; nil for all that is known now
	services []string   // ids; nil for all
	envs     []string
	versions []string // ids; nil for all
	filter   PlacementFilter
}

// Moment is a moment of the past to answer for: how it was, and how it was
// known. The zero Moment is now.
type Moment struct {
	// At is the moment that is asked about; AsKnownAt when left out.
	At *time.Time
	// AsKnownAt leaves out what Shiplog learnt later: what was recorded after
	// that moment, and what became of deployments after it.
	AsKnownAt *time.Time
}

// resolve gives the moments as the database holds them.
func (m Moment) resolve() (at, known *time.Time) {
	at, known = utc(m.At), utc(m.AsKnownAt)
	if at == nil {
		at = known
	}

	return at, known
}

// resolve finds what the filter refers to by name.
func (f PlacementFilter) resolve(ctx context.Context, s *store.Store, client *db.Client, moment Moment) (*placed, error) {
	p := &placed{store: s, filter: f}
	p.at, p.known = moment.resolve()

	if err := spec.ValidateLabels("filter.labels", f.Labels); err != nil {
		return nil, err
	}

	if err := cmp.Or(store.Sought("filter.image", f.Image), store.Sought("filter.digest", f.Digest), store.Sought("filter.owner", f.Owner)); err != nil {
		return nil, err
	}

	serviceID := ""

	if f.Service != nil {
		row, err := catalog.FindService(ctx, client, "filter.service", *f.Service)
		if err != nil {
			return nil, err
		}

		serviceID = row.ID
		p.services = []string{row.ID}
	}

	if f.Environment != nil {
		row, err := catalog.FindEnvironment(ctx, client, "filter.environment", *f.Environment)
		if err != nil {
			return nil, err
		}

		p.envs = []string{row.ID}
	}

	if f.Commit != nil && (len(*f.Commit) < 7 || len(*f.Commit) > 64 || strings.Trim(*f.Commit, "0123456789abcdefABCDEF") != "") {
		return nil, fault.Invalid("filter.commit", "want at least 7 characters of a commit, in hex")
	}

	if f.Version != nil {
		ids, err := versionIDs(ctx, client, serviceID, *f.Version)
		if err != nil {
			return nil, err
		}

		p.versions = append([]string{}, ids...)
	}

	return p, nil
}

// columns are the recorded and the applied deployment of a placement p.
func (q *placed) columns(query *store.Query) {
	if q.at == nil {
		query.Add(`p.recorded_id, p.applied_id, p.recorded_version_id, p.observed, p.observed_at, p.drift`)

		return
	}

	// The latest by effective time, then commit order; both are read off the
	// end of a partial index.
	query.Add(`(SELECT d.id FROM deployments d WHERE d.service_id = p.service_id AND d.environment_id = p.environment_id
		AND d.became_current_at IS NOT NULL AND d.became_current_at <= ?`, *q.at)
	q.knew(query, deployment.FieldBecameCurrentAt)
	query.Add(` ORDER BY d.became_current_at DESC, d.current_order DESC LIMIT 1) AS recorded_id,
	(SELECT d.id FROM deployments d WHERE d.service_id = p.service_id AND d.environment_id = p.environment_id
		AND d.acted_at IS NOT NULL AND d.acted_at <= ?`, *q.at)
	q.knew(query, deployment.FieldActedAt)
	query.Add(` ORDER BY d.acted_at DESC, d.id DESC LIMIT 1) AS applied_id,
	(SELECT o.id FROM observations o WHERE o.placement_id = p.id AND o.at <= ? ORDER BY o.at DESC, o.id DESC LIMIT 1) AS observation_id`,
		*earlier(q.at, q.known))
}

// knew leaves out what was learnt later about a moment of a deployment d: what
// others deployed is known since its row was made, what Shiplog did since it
// happened.
func (q *placed) knew(query *store.Query, moment string) {
	if q.known != nil {
		query.Add(" AND d.created_at <= ? AND (d.kind = 'EXTERNAL' OR d."+moment+" <= ?)", *q.known, *q.known)
	}
}

// earlier is the earlier one of two moments; nil is never.
func earlier(a, b *time.Time) *time.Time {
	if a == nil || b != nil && b.Before(*a) {
		return b
	}

	return a
}

// from begins the query: the rows of placements under the filter.
func (q *placed) from(selection string) *store.Query {
	query := q.store.NewQuery("SELECT " + selection + " FROM (SELECT p.id, p.service_id, p.environment_id, ")
	q.columns(query)
	// What was current then is sought row by row of an owner's placements, which
	// are sorted before: else Postgres seeks it for all placements, of whatever
	// owner, that come before the end of the page.
	sorted := q.at != nil && q.filter.Owner != nil
	if sorted {
		query.Add(" FROM (SELECT p.id, p.service_id, p.environment_id FROM placements p")
	} else {
		query.Add(" FROM placements p")
	}

	// Joined only for what is asked of them; and on SQLite, which would read all
	// placements when both are lists, to begin with those named.
	unarchived := !value(q.filter.Archived)
	both := q.store.Embedded() && q.services != nil && q.envs != nil

	if both || unarchived || q.filter.Owner != nil || len(q.filter.Labels) > 0 {
		query.Add(" JOIN services s ON s.id = p.service_id")
	}

	if both || unarchived || q.filter.Tier != nil {
		query.Add(" JOIN environments e ON e.id = p.environment_id")
	}

	query.Add(" WHERE 1 = 1")

	if unarchived {
		query.Add(" AND s.archived_at IS NULL AND e.archived_at IS NULL")
	}

	if q.services != nil {
		query.Add(" AND ").In("p.service_id", q.services)
	}

	if q.envs != nil {
		query.Add(" AND ").In("p.environment_id", q.envs)
	}

	if q.filter.Tier != nil {
		query.Add(" AND e.tier = ?", string(*q.filter.Tier))
	}

	switch {
	case q.filter.Owner == nil:
	case sorted && !q.store.Embedded():
		// An array, so that the placements are found by their index.
		query.Add(" AND p.service_id = ANY (ARRAY(SELECT o.id FROM services o WHERE o.owner = ?))", *q.filter.Owner)
	default:
		query.Add(" AND s.owner = ?", *q.filter.Owner)
	}

	for key, v := range q.filter.Labels {
		query.Add(" AND ").Labels("s.labels", key, v)
	}

	if q.at == nil && q.versions != nil {
		query.Add(" AND ").In("p.recorded_version_id", q.versions)
	}

	if sorted {
		query.Add(" ORDER BY p.id) p")
	}

	query.Add(") x")

	if q.at != nil {
		query.Add(" LEFT JOIN observations y ON y.id = x.observation_id")
	}

	query.Add(" WHERE (x.recorded_id IS NOT NULL OR x.applied_id IS NOT NULL)")

	if len(q.filter.Drift) > 0 {
		drifts := make([]string, len(q.filter.Drift))
		for i, d := range q.filter.Drift {
			drifts[i] = string(d)
		}

		query.Add(" AND ").In(q.seen()+".drift", drifts)
	}

	q.content(query)

	return query
}

// content restricts to what is recorded: version, images and commit.
func (q *placed) content(query *store.Query) {
	const recorded = " AND EXISTS (SELECT 1 FROM deployments r JOIN versions v ON v.id = r.version_id WHERE r.id = x.recorded_id AND "

	if q.at != nil && q.versions != nil {
		query.Add(recorded).In("v.id", q.versions).Add(")")
	}

	if c := q.filter.Commit; c != nil {
		// The range of all commits that begin so: an index serves it.
		query.Add(recorded+"v.\"commit\" >= ? AND v.\"commit\" <= ?)", strings.ToLower(*c), strings.ToLower(*c)+"g")
	}

	for column, want := range map[string]*string{"reference": q.filter.Image, "digest": q.filter.Digest} {
		if want != nil {
			query.Add(recorded+"EXISTS (SELECT 1 FROM images i WHERE i.version_id = v.id AND i."+column+" = ?))", *want)
		}
	}
}

// selection is what is read of a placement. The row says which version it is
// now; at a past moment the deployment of then does.
func (q *placed) selection() string {
	columns := strings.ReplaceAll("x.id, x.service_id, x.environment_id, x.recorded_id, x.applied_id, ?.observed, ?.observed_at, ?.drift, ", "?", q.seen())

	if q.at == nil {
		return columns + "x.recorded_version_id"
	}

	return columns + "(SELECT r.version_id FROM deployments r WHERE r.id = x.recorded_id)"
}

// seen is where what was observed stands: in the placement's row, or in the
// history.
func (q *placed) seen() string {
	if q.at == nil {
		return "x"
	}

	return "y"
}

func (q *placed) read(ctx context.Context, client *db.Client, query *store.Query) ([]*Placement, error) {
	var found []*Placement

	err := query.Rows(ctx, client, func(rows *sql.Rows) error {
		var (
			p        = Placement{Past: q.at != nil}
			observed *string
			at       store.NullTime
			drift    *string
		)

		if err := rows.Scan(&p.ID, &p.ServiceID, &p.EnvironmentID, &p.RecordedID, &p.AppliedID, &observed, &at, &drift, &p.RecordedVersionID); err != nil {
			return fmt.Errorf("read placement: %w", err)
		}

		if observed != nil {
			p.Observed = json.RawMessage(*observed)
		}

		p.ObservedAt = at.Time

		if drift != nil {
			p.Drift = new(placement.Drift(*drift))
		}

		found = append(found, &p)

		return nil
	})

	return found, err
}

// Placements lists where what is, now or at a past moment, also as it was known
// at a moment.
func (e *Engine) Placements(ctx context.Context, client *db.Client, filter *PlacementFilter, moment Moment, args page.Args) (*page.Page[*Placement], error) {
	if filter == nil {
		filter = &PlacementFilter{}
	}

	q, err := filter.resolve(ctx, e.store, client, moment)
	if err != nil {
		return nil, err
	}

	order := page.Order[*Placement]{Name: "placements", Columns: []string{"id"}, Key: func(p *Placement) []any { return []any{p.ID} }}

	p, err := order.LoadRaw(args, []any{filter, moment}, func(restrict page.Restriction, limit int) ([]*Placement, error) {
		query := q.from(q.selection())
		if restrict.After != nil {
			query.Add(" AND x.id > ?", restrict.After...)
		}

		if restrict.Before != nil {
			query.Add(" AND x.id < ?", restrict.Before...)
		}

		query.Add(" ORDER BY x.id")

		if restrict.Backwards {
			query.Add(" DESC")
		}

		// A number in the text: a plan for any limit would be one for many rows.
		return q.read(ctx, client, query.Add(" LIMIT "+strconv.Itoa(limit)))
	})
	if err != nil {
		return nil, err
	}

	p.Count = func(ctx context.Context) (n int, err error) {
		err = q.from("COUNT(*)").Rows(ctx, client, func(rows *sql.Rows) error { return rows.Scan(&n) })

		return n, err
	}

	return p, nil
}

// PlacementsAmong gives those of the placements that fit the filter, by id. It
// refuses, also for none, what the filter refers to and is not there.
func (e *Engine) PlacementsAmong(ctx context.Context, client *db.Client, filter *PlacementFilter, ids []string) (map[string]*Placement, error) {
	if filter == nil {
		filter = &PlacementFilter{}
	}

	q, err := filter.resolve(ctx, e.store, client, Moment{})
	if err != nil || len(ids) == 0 {
		return nil, err
	}

	found, err := q.read(ctx, client, q.from(q.selection()).Add(" AND ").In("x.id", ids))
	if err != nil {
		return nil, err
	}

	byID := make(map[string]*Placement, len(found))
	for _, p := range found {
		byID[p.ID] = p
	}

	return byID, nil
}

// PlacementsOf gives all placements of services by the environments' rank,
// without paging: a service has no more than environments.
func (e *Engine) PlacementsOf(ctx context.Context, services []string, at *time.Time) ([]*Placement, error) {
	yes := true

	return e.byRank(ctx, &placed{store: e.store, at: utc(at), services: services, filter: PlacementFilter{Archived: &yes}})
}

// PlacementsOfVersions is the same for where versions are recorded now.
func (e *Engine) PlacementsOfVersions(ctx context.Context, versions []string) ([]*Placement, error) {
	yes := true

	return e.byRank(ctx, &placed{store: e.store, versions: versions, filter: PlacementFilter{Archived: &yes}})
}

func (e *Engine) byRank(ctx context.Context, q *placed) ([]*Placement, error) {
	return q.read(ctx, e.store.Read, q.from(q.selection()).Add(" ORDER BY (SELECT o.rank FROM environments o WHERE o.id = x.environment_id), x.id"))
}

// FindPlacement gives a placement by its id; nil when there is nothing.
func (e *Engine) FindPlacement(ctx context.Context, client *db.Client, placementID string) (*Placement, error) {
	serviceID, environmentID, err := id.PlacementParts(placementID)
	if err != nil {
		return nil, fault.Missing("id", "there is no placement %q", placementID)
	}

	yes := true
	q := &placed{store: e.store, services: []string{serviceID}, envs: []string{environmentID}, filter: PlacementFilter{Archived: &yes}}

	found, err := q.read(ctx, client, q.from(q.selection()))
	if err != nil {
		return nil, err
	}

	if len(found) == 0 {
		return nil, fault.Missing("id", "there is no placement %q", placementID)
	}

	return found[0], nil
}

func utc(at *time.Time) *time.Time {
	if at == nil {
		return nil
	}

	return new(at.UTC().Truncate(time.Microsecond))
}
