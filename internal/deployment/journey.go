package deployment

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	entsql "entgo.io/ent/dialect/sql"

	"github.com/shiplog/shiplog/ent/db"
	"github.com/shiplog/shiplog/ent/db/check"
	"github.com/shiplog/shiplog/ent/db/deployment"
	"github.com/shiplog/shiplog/ent/db/environment"
	"github.com/shiplog/shiplog/internal/id"
	"github.com/shiplog/shiplog/internal/store"
)

// JourneyStop is one environment on a version's way.
type JourneyStop struct {
	Environment     *db.Environment
	FirstDeployedAt *time.Time
	CurrentSince    *time.Time
	CurrentUntil    *time.Time
	IsCurrent       bool
	// Stays are the times for which it was current, oldest first.
	Stays       []*JourneyStay
	SoakSeconds int64
	// Verdict is what the newest checks of each name say together; nil without
	// checks.
	Verdict     *check.Result
	Deployments []*db.Deployment
	Checks      []*db.Check
}

// maxJourney bounds the deployments and checks of one version that are shown.
const maxJourney = 1000

// Journey gives a version's way: every environment that it was deployed to or
// checked in, by rank. Five statements, whatever its length.
func (e *Engine) Journey(ctx context.Context, v *db.Version) ([]*JourneyStop, error) {
	client := e.store.Read

	deployments, err := client.Deployment.Query().Where(deployment.VersionID(v.ID)).
		Order(deployment.ByOccurredAt(), deployment.ByID()).Limit(maxJourney).All(ctx)
	if err != nil {
		return nil, store.Classify(err)
	}

	checks, err := client.Check.Query().Where(check.VersionID(v.ID), check.EnvironmentIDNotNil()).
		Order(check.ByCreatedAt(), check.ByID()).Limit(maxJourney).All(ctx)
	if err != nil {
		return nil, store.Classify(err)
	}

	stops := map[string]*JourneyStop{}
	stop := func(environmentID string) *JourneyStop {
		s, ok := stops[environmentID]
		if !ok {
			s = &JourneyStop{}
			stops[environmentID] = s
		}

		return s
	}

	for _, d := range deployments {
		s := stop(d.EnvironmentID)
		s.Deployments = append(s.Deployments, d)

		if s.FirstDeployedAt == nil {
			s.FirstDeployedAt = d.ActedAt
		}
	}

	for _, c := range checks {
		s := stop(*c.EnvironmentID)
		s.Checks = append(s.Checks, c)
	}

	if err := e.stays(ctx, v, stops); err != nil {
		return nil, err
	}

	now := store.Now()
	for _, s := range stops {
		s.conclude(now)
	}

	return arrange(ctx, client, stops)
}

func arrange(ctx context.Context, client *db.Client, stops map[string]*JourneyStop) ([]*JourneyStop, error) {
	var ids []string
	for environmentID := range stops {
		ids = append(ids, environmentID)
	}

	slices.Sort(ids)

	rows, err := client.Environment.Query().Where(store.AnyOf(environment.FieldID, ids)).
		Order(environment.ByRank(), environment.ByName(), environment.ByID()).All(ctx)
	if err != nil {
		return nil, store.Classify(err)
	}

	ordered := make([]*JourneyStop, len(rows))
	for i, row := range rows {
		ordered[i] = stops[row.ID]
		ordered[i].Environment = row
	}

	return ordered, nil
}

// Pending gives, by placement id, the deployment that is under way or waits:
// the holder of the slot, else the newest candidate.
func Pending(ctx context.Context, client *db.Client, placements []string) (map[string]*db.Deployment, error) {
	var services, environments []string

	for _, p := range placements {
		s, e, err := id.PlacementParts(p)
		if err != nil {
			return nil, err
		}

		services, environments = append(services, s), append(environments, e)
	}

	slices.Sort(services)
	slices.Sort(environments)

	rows, err := client.Deployment.Query().
		Where(store.AnyOf(deployment.FieldServiceID, slices.Compact(services)), store.AnyOf(deployment.FieldEnvironmentID, slices.Compact(environments)), deployment.FinishedAtIsNil()).
		Order(deployment.ByHoldsSlot(), deployment.ByID()).All(ctx)
	if err != nil {
		return nil, store.Classify(err)
	}

	found := map[string]*db.Deployment{}
	for _, d := range rows { // the last one wins: the holder, else the newest
		found[id.PlacementID(d.ServiceID, d.EnvironmentID)] = d
	}

	return found, nil
}

// ChecksOf gives, by deployment id, the checks that were reported for its
// version in its environment while it was what is in place, newest first.
func (e *Engine) ChecksOf(ctx context.Context, deployments []string) (map[string][]*db.Check, error) {
	const of = "of_deployment"

	found := make(map[string][]*db.Check, len(deployments))
	for _, d := range deployments {
		found[d] = []*db.Check{}
	}

	query := e.store.Read.Check.Query()
	query.Modify(func(s *entsql.Selector) {
		c, d := s.Table(), entsql.Table(deployment.Table).As("d")
		s.Join(d).OnP(entsql.And(
			entsql.ColumnsEQ(c.C(check.FieldVersionID), d.C(deployment.FieldVersionID)),
			entsql.ColumnsEQ(c.C(check.FieldEnvironmentID), d.C(deployment.FieldEnvironmentID)),
			entsql.ColumnsGTE(c.C(check.FieldCreatedAt), d.C(deployment.FieldBecameCurrentAt)),
		))
		s.Where(entsql.ExprP(`NOT EXISTS (SELECT 1 FROM deployments n
			WHERE n.service_id = d.service_id AND n.environment_id = d.environment_id AND n.became_current_at IS NOT NULL
				AND (n.became_current_at, n.current_order) > (d.became_current_at, d.current_order) AND n.became_current_at <= checks.created_at)`))
		store.AnyOf(d.C(deployment.FieldID), deployments)(s)
		s.AppendSelectAs(d.C(deployment.FieldID), of)
		s.OrderBy(entsql.Desc(c.C(check.FieldCreatedAt)), entsql.Desc(c.C(check.FieldID)))
	})

	rows, err := query.All(ctx)
	if err != nil {
		return nil, store.Classify(err)
	}

	for _, c := range rows {
		value, err := c.Value(of)
		if err != nil {
			return nil, fmt.Errorf("the deployment of a check: %w", err)
		}

		var d sql.NullString
		if err := d.Scan(value); err != nil {
			return nil, fmt.Errorf("the deployment of a check: %w", err)
		}

		found[d.String] = append(found[d.String], c)
	}

	return found, nil
}
