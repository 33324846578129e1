package deployment

import (
	"context"
	"database/sql"
	"time"

	"github.com/shiplog/shiplog/ent/db"
	"github.com/shiplog/shiplog/ent/db/check"
	"github.com/shiplog/shiplog/internal/store"
)

// JourneyStay is a time for which a version was current in an environment.
type JourneyStay struct {
	Since time.Time
	Until *time.Time
	// DeploymentID began it, EndedByID ended it.
	DeploymentID string
	EndedByID    *string
}

// stays finds, for each environment, the times for which the version was
// current: from each of its deployments to the one that took its place next.
func (e *Engine) stays(ctx context.Context, v *db.Version, stops map[string]*JourneyStop) error {
	query := e.store.NewQuery(`SELECT x.environment_id, x.id, x.became_current_at, n.id, n.version_id, n.became_current_at FROM (
		SELECT d.environment_id, d.id, d.became_current_at, d.current_order, (
			SELECT n.id FROM deployments n WHERE n.service_id = d.service_id AND n.environment_id = d.environment_id
				AND n.became_current_at IS NOT NULL AND (n.became_current_at, n.current_order) > (d.became_current_at, d.current_order)
			ORDER BY n.became_current_at, n.current_order LIMIT 1) AS next
		FROM deployments d WHERE d.version_id = ? AND d.became_current_at IS NOT NULL) x
	LEFT JOIN deployments n ON n.id = x.next
	ORDER BY x.became_current_at, x.current_order`, v.ID)

	// The stay that another deployment of the version goes on with.
	going := map[string]*JourneyStay{}

	return query.Rows(ctx, e.store.Read, func(rows *sql.Rows) error {
		var (
			environmentID, deploymentID string
			since, until                store.NullTime
			next, version               *string
		)

		if err := rows.Scan(&environmentID, &deploymentID, &since, &next, &version, &until); err != nil {
			return err
		}

		s, ok := stops[environmentID]
		if !ok {
			return nil // beyond what is shown
		}

		stay := going[environmentID]
		if stay == nil {
			stay = &JourneyStay{Since: *since.Time, DeploymentID: deploymentID}
			s.Stays = append(s.Stays, stay)
		}

		if going[environmentID] = stay; value(version) != v.ID || next == nil {
			stay.Until, stay.EndedByID = until.Time, next
			going[environmentID] = nil
		}

		s.CurrentSince = since.Time

		return nil
	})
}

// conclude says what follows from the stays and the checks.
func (s *JourneyStop) conclude(now time.Time) {
	var soak time.Duration

	for _, stay := range s.Stays {
		until := now
		if stay.Until != nil {
			until = *stay.Until
		}

		s.CurrentUntil, s.IsCurrent = stay.Until, stay.Until == nil
		soak += max(0, until.Sub(stay.Since))
	}

	s.SoakSeconds = int64(soak / time.Second)
	s.Verdict = verdict(s.Checks)
}

// verdict is what the newest checks of each name say together; checks stand
// from the oldest on.
func verdict(checks []*db.Check) *check.Result {
	if len(checks) == 0 {
		return nil
	}

	newest := map[string]check.Result{}
	for _, c := range checks {
		newest[c.Name] = c.Result
	}

	together := check.ResultPASSED

	for _, result := range newest {
		if result == check.ResultFAILED || together != check.ResultFAILED && result == check.ResultINCONCLUSIVE {
			together = result
		}
	}

	return &together
}
