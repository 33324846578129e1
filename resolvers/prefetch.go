package resolvers

import (
	"context"
	"errors"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/shiplog/shiplog/ent/db"
	"github.com/shiplog/shiplog/graph/scalar"
	"github.com/shiplog/shiplog/internal/catalog"
	"github.com/shiplog/shiplog/internal/deployment"
	"github.com/shiplog/shiplog/internal/id"
	"github.com/shiplog/shiplog/internal/observe"
)

// Where a list is answered, what its entries are asked for is fetched for all
// of them: the number of statements follows the document, never the rows.

// want is what is asked for of objects of one type.
type want struct {
	ctx       context.Context //nolint:containedctx // it lives as long as the call that makes it
	oc        *graphql.OperationContext
	typeName  string
	selection ast.SelectionSet
}

// wanted is what the current field asks for of the type.
func wanted(ctx context.Context, typeName string) want {
	return want{ctx: ctx, oc: graphql.GetOperationContext(ctx), typeName: typeName, selection: graphql.GetFieldContext(ctx).Field.Selections}
}

// fields are the fields of this name, under any alias.
func (w want) fields(name string) (found []graphql.CollectedField) {
	for _, f := range graphql.CollectFields(w.oc, w.selection, []string{w.typeName, "Node"}) {
		if f.Name == name {
			found = append(found, f)
		}
	}

	return found
}

func (w want) has(name string) bool { return len(w.fields(name)) > 0 }

// at is what is asked for below a field.
func (w want) at(typeName, name string) want {
	below := want{ctx: w.ctx, oc: w.oc, typeName: typeName}
	for _, f := range w.fields(name) {
		below.selection = append(below.selection, f.Selections...)
	}

	return below
}

func (w want) empty() bool { return len(w.selection) == 0 }

// prefetchNodes prefetches for the entries of a connection.
func prefetchNodes[T any](ctx context.Context, nodes []T) error {
	below := func(typeName string) want {
		c := wanted(ctx, typeName+"Connection")
		nodes, edges := c.at(typeName, "nodes"), c.at(typeName+"Edge", "edges").at(typeName, "node")
		nodes.selection = append(nodes.selection, edges.selection...)

		return nodes
	}

	switch nodes := any(nodes).(type) {
	case []*db.Deployment:
		return below("Deployment").deployments(nodes)
	case []*deployment.Placement:
		return below("Placement").placements(nodes)
	case []*db.Version:
		return below("Version").versions(nodes)
	case []*db.Service:
		return below("Service").services(nodes)
	case []*db.Decision:
		return below("Decision").decisions(nodes)
	case []*db.Hold:
		return below("Hold").holds(nodes)
	case []*db.Event:
		return below("Event").events(nodes)
	case []*deployment.ScopeChange:
		return below("ScopeChange").changes(nodes)
	}

	return nil
}

// prefetchMatrix prefetches for all cells.
func prefetchMatrix(ctx context.Context, m *deployment.Matrix) error {
	var cells []*deployment.Placement

	for _, e := range m.Environments {
		load(ctx).environment.keep(e.ID, e)
	}

	for _, row := range m.Rows {
		load(ctx).service.keep(row.Service.ID, row.Service)

		for _, p := range row.Placements {
			if p != nil {
				cells = append(cells, p)
			}
		}
	}

	return wanted(ctx, "Matrix").at("MatrixRow", "rows").at("Placement", "placements").placements(cells)
}

// keysOf gives a key for each entry; "" is none.
func keysOf[T any](rows []T, key func(T) string) []string {
	keys := make([]string, len(rows))
	for i, row := range rows {
		keys[i] = key(row)
	}

	return keys
}

// loaded gives the entries behind the keys out of what was prefetched.
func loaded[T comparable](ctx context.Context, l loader[T], keys []string) ([]T, error) {
	var (
		none  T
		found []T
	)

	for _, key := range keys {
		if key == "" {
			continue
		}

		v, err := orNone(l.Load(ctx, key))
		if err != nil {
			return nil, err
		}

		if v != none {
			found = append(found, v)
		}
	}

	return found, nil
}

// follow prefetches what a field refers to, and what is asked for below it.
func follow[T comparable](w want, field, typeName string, l loader[T], keys []string, below func(want, []T) error) error {
	if !w.has(field) {
		return nil
	}

	if err := l.prefetch(w.ctx, keys); err != nil || below == nil {
		return err
	}

	rows, err := loaded(w.ctx, l, keys)
	if err != nil {
		return err
	}

	return below(w.at(typeName, field), rows)
}

// lists prefetches the lists that a field answers.
func lists[T any](w want, field string, l loader[[]T], keys []string) error {
	if !w.has(field) {
		return nil
	}

	return l.prefetch(w.ctx, keys)
}

func (w want) services(rows []*db.Service) error {
	l := load(w.ctx)
	errs := follow(w, "configuration", "Configuration", l.configuration,
		keysOf(rows, func(s *db.Service) string { return catalog.LayerKey(s.ID, "") }), nil)

	for _, f := range w.fields("placements") {
		keys := keysOf(rows, func(s *db.Service) string { return keyWith(s.ID, w.atOf(f)) })
		errs = errors.Join(errs, l.placementsOf.prefetch(w.ctx, keys), w.placementsBehind(f, keys))
	}

	return errs
}

// atOf is the key of a field's argument at.
func (w want) atOf(f graphql.CollectedField) string {
	raw, given := f.ArgumentMap(w.oc.Variables)["at"]
	if !given || raw == nil {
		return ""
	}

	at, err := scalar.UnmarshalTime(raw)
	if err != nil {
		return "" // the field itself refuses it
	}

	return atKey(&at)
}

func (w want) placementsBehind(f graphql.CollectedField, keys []string) error {
	var all []*deployment.Placement

	for _, key := range keys {
		found, err := load(w.ctx).placementsOf.Load(w.ctx, key)
		if err != nil {
			return err
		}

		all = append(all, found...)
	}

	return want{ctx: w.ctx, oc: w.oc, typeName: "Placement", selection: f.Selections}.placements(all)
}

func (w want) versions(rows []*db.Version) error {
	if w.empty() || len(rows) == 0 {
		return nil
	}

	l := load(w.ctx)
	ids := keysOf(rows, func(v *db.Version) string { return v.ID })

	errs := errors.Join(
		follow(w, "service", "Service", l.service, keysOf(rows, func(v *db.Version) string { return v.ServiceID }), want.services),
		follow(w, "workloadFrom", "Version", l.version, keysOf(rows, func(v *db.Version) string { return value(v.WorkloadFromID) }), nil),
		follow(w, "workload", "Workload", l.document, keysOf(rows, func(v *db.Version) string { return value(v.WorkloadDigest) }), nil),
		follow(w, "notes", "String", l.document, keysOf(rows, func(v *db.Version) string { return value(v.NotesDigest) }), nil),
		lists(w, "images", l.images, ids),
		lists(w, "decisions", l.decisions, ids),
	)

	for _, f := range w.fields("placements") {
		errs = errors.Join(errs, w.versionPlacements(f, rows, ids))
	}

	for _, f := range w.fields("checks") {
		environment, _ := f.ArgumentMap(w.oc.Variables)["environment"].(string)
		keys := keysOf(rows, func(v *db.Version) string { return keyWith(v.ID, environment) })
		errs = errors.Join(errs, l.checksOf.prefetch(w.ctx, keys))
	}

	return errs
}

// versionPlacements prefetches where versions are, and what is asked for there.
func (w want) versionPlacements(f graphql.CollectedField, rows []*db.Version, ids []string) error {
	at := w.atOf(f)

	var err error
	if at == "" {
		err = load(w.ctx).placementsOfVersion.prefetch(w.ctx, ids)
	} else {
		err = load(w.ctx).placementsOf.prefetch(w.ctx, keysOf(rows, func(v *db.Version) string { return keyWith(v.ServiceID, at) }))
	}

	var all []*deployment.Placement

	for _, v := range rows {
		found, failed := versionPlacements(w.ctx, v, at)
		all, err = append(all, found...), errors.Join(err, failed)
	}

	return errors.Join(err, want{ctx: w.ctx, oc: w.oc, typeName: "Placement", selection: f.Selections}.placements(all))
}

func (w want) deployments(rows []*db.Deployment) error {
	if w.empty() || len(rows) == 0 {
		return nil
	}

	l := load(w.ctx)
	ids := keysOf(rows, func(d *db.Deployment) string { return d.ID })
	environments := keysOf(rows, func(d *db.Deployment) string { return d.EnvironmentID })

	// They may be asked for again by others, and are here already.
	for _, d := range rows {
		l.deployment.keep(d.ID, d)
	}

	errs := errors.Join(
		follow(w, "service", "Service", l.service, keysOf(rows, func(d *db.Deployment) string { return d.ServiceID }), want.services),
		follow(w, "environment", "Environment", l.environment, environments, want.environments),
		follow(w, "version", "Version", l.version, keysOf(rows, func(d *db.Deployment) string { return value(d.VersionID) }), want.versions),
		follow(w, "target", "Target", l.target, keysOf(rows, func(d *db.Deployment) string { return d.TargetID }), nil),
		follow(w, "snapshot", "Snapshot", l.snapshot, keysOf(rows, func(d *db.Deployment) string { return value(d.SnapshotID) }), want.snapshots),
		follow(w, "base", "Deployment", l.deployment, keysOf(rows, func(d *db.Deployment) string { return value(d.BaseID) }), want.deployments),
		follow(w, "source", "Deployment", l.deployment, keysOf(rows, func(d *db.Deployment) string { return value(d.SourceID) }), want.deployments),
		follow(w, "supersededBy", "Deployment", l.deployment, keysOf(rows, func(d *db.Deployment) string { return value(d.SupersededByID) }), want.deployments),
		follow(w, "decision", "Decision", l.decisionOf, ids, want.decisions),
		lists(w, "checks", l.checks, ids),
	)

	if w.has("steps") || w.has("viewerCan") || w.has("timeline") {
		errs = errors.Join(errs, l.steps.prefetch(w.ctx, ids))
	}

	if w.has("canRollback") || w.has("viewerCan") {
		units := keysOf(rows, func(d *db.Deployment) string { return id.PlacementID(d.ServiceID, d.EnvironmentID) })
		versions := keysOf(rows, func(d *db.Deployment) string { return value(d.VersionID) })
		errs = errors.Join(errs, l.environment.prefetch(w.ctx, environments), l.placement.prefetch(w.ctx, units), l.version.prefetch(w.ctx, versions))
	}

	return errs
}

func (w want) snapshots(rows []*db.Snapshot) error {
	if !w.has("images") && !w.has("workload") && !w.has("configuration") && !w.has("objects") {
		return nil
	}

	return load(w.ctx).document.prefetch(w.ctx, keysOf(rows, func(s *db.Snapshot) string { return s.ContentDigest }))
}

func (w want) environments(rows []*db.Environment) error {
	l := load(w.ctx)

	return errors.Join(
		follow(w, "target", "Target", l.target, keysOf(rows, func(e *db.Environment) string { return e.TargetID }), nil),
		follow(w, "configuration", "Configuration", l.configuration,
			keysOf(rows, func(e *db.Environment) string { return catalog.LayerKey("", e.ID) }), nil),
	)
}

func (w want) decisions(rows []*db.Decision) error {
	l := load(w.ctx)

	return errors.Join(
		follow(w, "rule", "Rule", l.rule, keysOf(rows, func(d *db.Decision) string { return d.RuleID }), nil),
		follow(w, "event", "Event", l.event, keysOf(rows, func(d *db.Decision) string { return d.EventID }), want.events),
		follow(w, "version", "Version", l.version, keysOf(rows, func(d *db.Decision) string { return d.VersionID }), want.versions),
		follow(w, "environment", "Environment", l.environment, keysOf(rows, func(d *db.Decision) string { return d.EnvironmentID }), want.environments),
		follow(w, "deployment", "Deployment", l.deployment, keysOf(rows, func(d *db.Decision) string { return value(d.DeploymentID) }), want.deployments),
	)
}

func (w want) events(rows []*db.Event) error {
	return follow(w, "payload", "JSON", load(w.ctx).payload, keysOf(rows, func(e *db.Event) string { return e.ID }), nil)
}

func (w want) placements(rows []*deployment.Placement) error {
	if w.empty() || len(rows) == 0 {
		return nil
	}

	l := load(w.ctx)

	var now []*deployment.Placement

	for _, p := range rows {
		if !p.Past {
			now = append(now, p)
		}
	}

	errs := errors.Join(
		follow(w, "service", "Service", l.service, keysOf(rows, func(p *deployment.Placement) string { return p.ServiceID }), want.services),
		follow(w, "environment", "Environment", l.environment, keysOf(rows, func(p *deployment.Placement) string { return p.EnvironmentID }), want.environments),
		follow(w, "pending", "Deployment", l.pending, keysOf(now, func(p *deployment.Placement) string { return p.ID }), want.deployments),
		follow(w, "hold", "Hold", l.hold, keysOf(now, func(p *deployment.Placement) string { return p.ID }), want.holds),
		w.recordedAndApplied(rows),
	)

	if w.has("pendingConfiguration") {
		errs = errors.Join(errs, w.layers(now))
	}

	if w.has("observed") {
		errs = errors.Join(errs, w.observed(rows))
	}

	return errs
}

// recordedAndApplied are often the same deployments: one statement for both.
func (w want) recordedAndApplied(rows []*deployment.Placement) error {
	l := load(w.ctx)
	recorded := keysOf(rows, func(p *deployment.Placement) string { return value(p.RecordedID) })
	applied := keysOf(rows, func(p *deployment.Placement) string { return value(p.AppliedID) })

	var both []string
	if w.has("recorded") || w.has("pendingConfiguration") {
		both = append(both, recorded...)
	}

	if w.has("applied") {
		both = append(both, applied...)
	}

	if err := l.deployment.prefetch(w.ctx, both); err != nil {
		return err
	}

	return errors.Join(
		follow(w, "recorded", "Deployment", l.deployment, recorded, want.deployments),
		follow(w, "applied", "Deployment", l.deployment, applied, want.deployments),
	)
}

func (w want) layers(rows []*deployment.Placement) error {
	var keys []string
	for _, p := range rows {
		keys = append(keys, placementLayers(p)...)
	}

	return load(w.ctx).configuration.prefetch(w.ctx, keys)
}

func (w want) observed(rows []*deployment.Placement) error {
	var keys []string

	for _, p := range rows {
		seen, err := observe.Read(p.Observed)
		if err != nil {
			return err
		}

		for _, s := range seen.Versions {
			keys = append(keys, s.VersionID)
		}
	}

	return follow(w.at("Observed", "observed").at("ObservedVersion", "versions"), "version", "Version", load(w.ctx).version, keys, want.versions)
}
