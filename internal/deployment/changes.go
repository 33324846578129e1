package deployment

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/shiplog/shiplog/ent/db"
	"github.com/shiplog/shiplog/ent/db/placement"
	"github.com/shiplog/shiplog/internal/fault"
	"github.com/shiplog/shiplog/internal/journal"
	"github.com/shiplog/shiplog/internal/page"
	"github.com/shiplog/shiplog/internal/store"
)

// ScopeChangeKind is what a change in a scope is about.
type ScopeChangeKind string

// Drift is told by observations, every other kind by the journal.
const (
	kindDrift ScopeChangeKind = "DRIFT"
	kindOther ScopeChangeKind = "OTHER"
)

// changeKinds say which types of the journal's entries are of which kind: the
// first one that fits. What none fits is OTHER, so that nothing is missing.
var changeKinds = []struct { //nolint:gochecknoglobals // a constant
	kind  ScopeChangeKind
	types []string // of a whole type, or all that begin so
}{
	{"DEPLOYMENT", []string{"deployment.*"}},
	{"CONFIGURATION", []string{"configuration.*"}},
	{"HOLD", []string{"hold.*"}},
	{"LOCK", []string{"environment.locked", "environment.unlocked"}},
	{"BLOCK", []string{"version.blocked", "version.unblocked"}},
	{"RULE", []string{"rule.*"}},
	{"ENVIRONMENT", []string{"environment.*"}},
	{"SERVICE", []string{"service.*"}},
	{"VERSION", []string{"version.*"}},
}

// notChanges are the types of entries that change nothing anywhere: parts of a
// deployment, and what was found or decided.
const notChanges = `'deployment.step', 'decision.taken', 'version.resolved', 'check.reported'`

func kindOf(eventType string) ScopeChangeKind {
	for _, k := range changeKinds {
		for _, t := range k.types {
			if prefix, ok := strings.CutSuffix(t, "*"); t == eventType || ok && strings.HasPrefix(eventType, prefix) {
				return k.kind
			}
		}
	}

	return kindOther
}

// ScopeChange is something that changed.
type ScopeChange struct {
	Kind    ScopeChangeKind
	Type    string
	Time    time.Time
	Message string
	Actor   *journal.Actor
	Drift   *placement.Drift
	// What it concerns; nil is every one of the scope.
	ServiceID, EnvironmentID *string
	// SubjectID is the object, EventID the journal's entry.
	SubjectID string
	EventID   *string
	// place is where it stands among changes of the same moment: e or o for its
	// source, and its number there.
	place string
}

// ChangesArgs say what is listed.
type ChangesArgs struct {
	Scope   *Scope
	Between TimeRange
	Kinds   []ScopeChangeKind
}

// Changes lists what changed in a scope, oldest first: two statements, one of
// the journal and one of what was observed. Errors: NOT_FOUND, INVALID_INPUT.
func (e *Engine) Changes(ctx context.Context, client *db.Client, in ChangesArgs, args page.Args) (*page.Page[*ScopeChange], error) {
	if err := in.Between.ordered("between"); err != nil {
		return nil, err
	}

	scope, err := in.Scope.resolve(ctx, client)
	if err != nil {
		return nil, err
	}

	q := &changed{store: e.store, scope: scope, between: TimeRange{utc(in.Between.From), utc(in.Between.To)}, kinds: in.Kinds}
	order := page.Order[*ScopeChange]{
		Name: "changes", Columns: []string{"time", "place"},
		Key: func(c *ScopeChange) []any { return []any{c.Time, c.place} },
	}

	p, err := order.LoadRaw(args, in, func(restrict page.Restriction, limit int) ([]*ScopeChange, error) {
		return q.load(ctx, client, restrict, limit)
	})
	if err != nil {
		return nil, err
	}

	p.Count = func(ctx context.Context) (n int, err error) { return q.count(ctx, client) }

	return p, nil
}

// changed builds the queries for changes.
type changed struct {
	store   *store.Store
	scope   scoped
	between TimeRange
	kinds   []ScopeChangeKind
}

// source is one of the two places that changes are told by.
type source struct {
	letter string
	query  func(selection string) *store.Query
	scan   func(rows *sql.Rows) (*ScopeChange, error)
}

const (
	eventColumns = `x.seq, x.time, x.id, x.type, x.message, x.subject, x.service_id, x.environment_id, x.actor_kind, x.actor_issuer, x.actor_subject, x.actor_display`
	driftColumns = `x.seq, x.time, x.placement_id, x.service_id, x.environment_id, x.drift`
)

func (q *changed) sources() (all []source) {
	if q.kinds == nil || slices.ContainsFunc(q.kinds, func(k ScopeChangeKind) bool { return k != kindDrift }) {
		all = append(all, source{"e", q.events, scanEvent})
	}

	if q.kinds == nil || slices.Contains(q.kinds, kindDrift) {
		all = append(all, source{"o", q.drifts, scanDrift})
	}

	return all
}

// load reads a page out of both sources, each already in its order.
func (q *changed) load(ctx context.Context, client *db.Client, restrict page.Restriction, limit int) ([]*ScopeChange, error) {
	var all []*ScopeChange

	for _, s := range q.sources() {
		columns := eventColumns
		if s.letter == "o" {
			columns = driftColumns
		}

		query := s.query(columns)

		for _, bound := range []struct {
			key             []any
			field, operator string
		}{{restrict.After, "after", ">"}, {restrict.Before, "before", "<"}} {
			if bound.key == nil {
				continue
			}

			number, err := s.place(bound.field, bound.key[1])
			if err != nil {
				return nil, err
			}

			query.Add(" AND (x.time, x.seq) "+bound.operator+" (?, ?)", bound.key[0], number)
		}

		direction := ""
		if restrict.Backwards {
			direction = " DESC"
		}

		query.Add(" ORDER BY x.time" + direction + ", x.seq" + direction + " LIMIT " + strconv.Itoa(limit))

		err := query.Rows(ctx, client, func(rows *sql.Rows) error {
			c, err := s.scan(rows)
			all = append(all, c)

			return err
		})
		if err != nil {
			return nil, err
		}
	}

	slices.SortFunc(all, func(a, b *ScopeChange) int {
		c := cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.place, b.place))
		if restrict.Backwards {
			return -c
		}

		return c
	})

	return all[:min(limit, len(all))], nil
}

// place is the number that a key's place has in this source: at one moment all
// entries of the journal come before all observations.
func (s source) place(field string, key any) (int64, error) {
	text, _ := key.(string)
	if len(text) < 2 {
		return 0, fault.Invalid(field, "this is not a cursor of this list")
	}

	number, err := strconv.ParseInt(text[1:], 10, 64)

	switch {
	case err != nil || number < 0 || text[0] != 'e' && text[0] != 'o':
		return 0, fault.Invalid(field, "this is not a cursor of this list")
	case text[:1] == s.letter:
		return number, nil
	case s.letter == "e":
		return 1<<62 - 1, nil
	default:
		return -1, nil
	}
}

func (q *changed) count(ctx context.Context, client *db.Client) (total int, err error) {
	for _, s := range q.sources() {
		err = s.query("COUNT(*)").Rows(ctx, client, func(rows *sql.Rows) error {
			var n int

			err := rows.Scan(&n)
			total += n

			return err
		})
		if err != nil {
			return 0, err
		}
	}

	return total, nil
}

// during restricts a column to the span.
func (q *changed) during(query *store.Query, column string) {
	if q.between.From != nil {
		query.Add(" AND "+column+" >= ?", *q.between.From)
	}

	if q.between.To != nil {
		query.Add(" AND "+column+" < ?", *q.between.To)
	}
}

// events begins the query of the journal. Which environment an entry concerns
// its subject tells; where the program knows no better, the payload does.
func (q *changed) events(selection string) *store.Query {
	payload := "json_extract(p.content, '$.environment_id')"
	if !q.store.Embedded() {
		payload = "(p.content::jsonb ->> 'environment_id')"
	}

	query := q.store.NewQuery("SELECT " + selection + ` FROM (SELECT e.id, e.seq, e.time, e.type, e.message, e.subject, e.service_id, e.actor_kind, e.actor_issuer, e.actor_subject, e.actor_display, CASE
		WHEN e.type LIKE 'deployment.%' THEN (SELECT d.environment_id FROM deployments d WHERE d.id = e.subject)
		WHEN e.type LIKE 'configuration.%' THEN (SELECT c.environment_id FROM configurations c WHERE c.id = e.subject)
		WHEN e.type LIKE 'hold.%' THEN (SELECT h.environment_id FROM holds h WHERE h.id = e.subject)
		WHEN e.type LIKE 'rule.%' THEN (SELECT r.target_environment_id FROM rules r WHERE r.id = e.subject)
		WHEN e.type LIKE 'environment.%' THEN e.subject
		WHEN e.type LIKE 'service.%' OR e.type LIKE 'version.%' THEN NULL
		ELSE (SELECT ` + payload + ` FROM payloads p WHERE p.id = e.id) END AS environment_id
	FROM events e WHERE e.type NOT IN (` + notChanges + `)`)

	q.during(query, "e.time")
	q.ofKinds(query)
	query.Add(") x WHERE 1 = 1")

	if q.scope.ofEnvironments() {
		// Of a whole service only what takes effect where it is placed.
		query.Add(" AND ((x.environment_id IS NOT NULL")
		q.scope.environments(query, "x.environment_id")
		query.Add(`) OR (x.environment_id IS NULL AND x.type NOT LIKE 'service.%' AND x.type <> 'version.registered'
			AND EXISTS (SELECT 1 FROM placements w WHERE w.service_id = x.service_id`)
		q.scope.environments(query, "w.environment_id")
		query.Add(")))")
	}

	if q.scope.ofServices() {
		query.Add(" AND ((x.service_id IS NOT NULL")
		q.scope.services(query, "x.service_id")
		query.Add(") OR (x.service_id IS NULL AND EXISTS (SELECT 1 FROM placements w WHERE w.environment_id = x.environment_id")
		q.scope.services(query, "w.service_id")
		query.Add(")))")
	}

	return query
}

// ofKinds restricts the journal to kinds.
func (q *changed) ofKinds(query *store.Query) {
	if q.kinds == nil {
		return
	}

	// The kind as kindOf finds it.
	query.Add(" AND ").In(kindColumn(), strings.Fields(fmt.Sprintln(q.names()...)))
}

func (q *changed) names() (names []any) {
	for _, k := range q.kinds {
		names = append(names, string(k))
	}

	return names
}

// kindColumn is the kind of an event e in SQL.
func kindColumn() string {
	var text strings.Builder

	text.WriteString("(CASE")

	for _, k := range changeKinds {
		for _, t := range k.types {
			fmt.Fprintf(&text, " WHEN e.type LIKE '%s' THEN '%s'", strings.Replace(t, "*", "%", 1), k.kind)
		}
	}

	text.WriteString(" ELSE '" + string(kindOther) + "' END)")

	return text.String()
}

// drifts begins the query of what was observed: where the drift is another one
// than that of the observation before.
func (q *changed) drifts(selection string) *store.Query {
	query := q.store.NewQuery("SELECT " + selection + ` FROM (SELECT o.id AS seq, o.at AS time, o.placement_id, w.service_id, w.environment_id, o.drift
	FROM placements w JOIN observations o ON o.placement_id = w.id
	WHERE COALESCE(o.drift, '') <> COALESCE((SELECT b.drift FROM observations b
		WHERE b.placement_id = o.placement_id AND (b.at, b.id) < (o.at, o.id) ORDER BY b.at DESC, b.id DESC LIMIT 1), '')`)

	q.during(query, "o.at")
	q.scope.environments(query, "w.environment_id")
	q.scope.services(query, "w.service_id")

	return query.Add(") x WHERE 1 = 1")
}

func scanEvent(rows *sql.Rows) (*ScopeChange, error) {
	var (
		c     ScopeChange
		seq   int64
		at    store.NullTime
		actor journal.Actor
	)

	err := rows.Scan(&seq, &at, &c.EventID, &c.Type, &c.Message, &c.SubjectID, &c.ServiceID, &c.EnvironmentID, &actor.Kind, &actor.Issuer, &actor.Subject, &actor.Display)
	if err != nil {
		return nil, fmt.Errorf("read a change: %w", err)
	}

	c.Time, c.Actor, c.Kind, c.place = *at.Time, &actor, kindOf(c.Type), fmt.Sprintf("e%020d", seq)

	return &c, nil
}

func scanDrift(rows *sql.Rows) (*ScopeChange, error) {
	var (
		c     = ScopeChange{Kind: kindDrift, Type: "placement.observed"}
		seq   int64
		at    store.NullTime
		drift *string
	)

	if err := rows.Scan(&seq, &at, &c.SubjectID, &c.ServiceID, &c.EnvironmentID, &drift); err != nil {
		return nil, fmt.Errorf("read a change: %w", err)
	}

	c.Time, c.place, c.Message = *at.Time, fmt.Sprintf("o%020d", seq), "nobody can look"

	if drift != nil {
		c.Drift, c.Message = new(placement.Drift(*drift)), "what runs: "+*drift
	}

	return &c, nil
}
