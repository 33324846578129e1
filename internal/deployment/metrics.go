package deployment

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"github.com/shiplog/shiplog/ent/db"
	"github.com/shiplog/shiplog/ent/db/deployment"
	"github.com/shiplog/shiplog/internal/delivery"
	"github.com/shiplog/shiplog/internal/fault"
	"github.com/shiplog/shiplog/internal/id"
	"github.com/shiplog/shiplog/internal/page"
	"github.com/shiplog/shiplog/internal/store"
)

// maxActs bounds the deployments that figures are made of.
const maxActs = 200_000

// DeliveryMetrics are the figures of a scope over a period.
type DeliveryMetrics struct {
	From, To            time.Time
	DeploymentFrequency *DeploymentFrequency
	LeadTime            *LeadTime
	ChangeFailureRate   *ChangeFailureRate
	TimeToRestore       *TimeToRestore
}

// Counted are the deployments that a figure counted, in their order.
type Counted struct{ ids []string }

// DeploymentFrequency is how often changes succeed.
type DeploymentFrequency struct {
	Counted

	Count  int
	PerDay float64
}

// LeadTime is how long it takes from a version's build to its being in place.
type LeadTime struct {
	Counted

	Count                     int
	MedianSeconds, P90Seconds *int64
}

// ChangeFailureRate is which part of the changes failed.
type ChangeFailureRate struct {
	Counted

	Changes, Failures int
	Rate              *float64
}

// TimeToRestore is how long it took to restore what failed.
type TimeToRestore struct {
	Counted

	Count, Open               int
	MedianSeconds, P90Seconds *int64
}

// DeliveryMetrics makes the figures of a scope over a period: one statement.
// Errors: NOT_FOUND, INVALID_INPUT, TOO_COMPLEX.
func (e *Engine) DeliveryMetrics(ctx context.Context, client *db.Client, scope *Scope, between TimeRange) (*DeliveryMetrics, error) {
	switch {
	case between.From == nil:
		return nil, fault.Invalid("between.from", "want the beginning of the period")
	case between.To == nil:
		return nil, fault.Invalid("between.to", "want the end of the period")
	case !between.From.Before(*between.To):
		return nil, fault.Invalid("between", "want a period that ends after it begins")
	}

	found, err := scope.resolve(ctx, client)
	if err != nil {
		return nil, err
	}

	period := delivery.Span{From: *utc(between.From), To: *utc(between.To)}

	acts, err := e.acts(ctx, client, found, period)
	if err != nil {
		return nil, err
	}

	return figures(delivery.Compute(acts, period), period), nil
}

// acts reads what the figures are made of: of each placement what began in the
// period, from the last but one success before it to the first one after it.
func (e *Engine) acts(ctx context.Context, client *db.Client, scope scoped, period delivery.Span) ([]delivery.Act, error) {
	query := e.store.NewQuery(`SELECT d.id, d.service_id, d.environment_id, d.acted_at, COALESCE(d.became_current_at, d.finished_at), d.status, d.kind, v.built_at
	FROM (SELECT p.service_id, p.environment_id,
		(SELECT b.acted_at FROM deployments b WHERE b.service_id = p.service_id AND b.environment_id = p.environment_id
			AND b.acted_at IS NOT NULL AND b.acted_at < ? AND b.status = 'SUCCEEDED' ORDER BY b.acted_at DESC, b.id DESC LIMIT 1 OFFSET 1) AS since,
		(SELECT a.acted_at FROM deployments a WHERE a.service_id = p.service_id AND a.environment_id = p.environment_id
			AND a.acted_at IS NOT NULL AND a.acted_at >= ? AND a.status = 'SUCCEEDED' ORDER BY a.acted_at, a.id LIMIT 1) AS until
		FROM placements p WHERE 1 = 1`, period.From, period.To)
	scope.environments(query, "p.environment_id")
	scope.services(query, "p.service_id")
	query.Add(`) x JOIN deployments d ON d.service_id = x.service_id AND d.environment_id = x.environment_id
		AND d.acted_at IS NOT NULL AND d.acted_at >= COALESCE(x.since, ?) AND d.acted_at <= COALESCE(x.until, ?)
	LEFT JOIN versions v ON v.id = d.version_id
	WHERE d.status IN ('SUCCEEDED', 'FAILED', 'ERRORED')
	LIMIT ?`, time.Unix(0, 0).UTC(), time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), maxActs+1)

	var acts []delivery.Act

	err := query.Rows(ctx, client, func(rows *sql.Rows) error {
		var (
			a                    delivery.Act
			service, environment string
			status, kind         string
			began, ended, built  store.NullTime
		)

		if err := rows.Scan(&a.ID, &service, &environment, &began, &ended, &status, &kind, &built); err != nil {
			return fmt.Errorf("read a deployment: %w", err)
		}

		a.Place, a.Began, a.Ended = id.PlacementID(service, environment), *began.Time, *ended.Time
		a.Succeeded = status == string(deployment.StatusSUCCEEDED)
		a.Rollback, a.Undeploy = kind == string(deployment.KindROLLBACK), kind == string(deployment.KindUNDEPLOY)

		if built.Time != nil {
			a.Built = *built.Time
		}

		acts = append(acts, a)

		return nil
	})
	if err != nil {
		return nil, err
	}

	if len(acts) > maxActs {
		return nil, fault.New(fault.TooComplex, "there are over %d deployments: ask for a smaller scope or a shorter period", maxActs).At("between")
	}

	return acts, nil
}

func figures(f delivery.Figures, period delivery.Span) *DeliveryMetrics {
	m := &DeliveryMetrics{
		From: period.From, To: period.To,
		DeploymentFrequency: &DeploymentFrequency{
			Counted: Counted{f.Deployed}, Count: len(f.Deployed), PerDay: float64(len(f.Deployed)) / (period.To.Sub(period.From).Hours() / 24),
		},
		LeadTime:          &LeadTime{Counted: counted(f.Led), Count: len(f.Led)},
		ChangeFailureRate: &ChangeFailureRate{Counted: Counted{f.Failed}, Changes: f.Changes, Failures: len(f.Failed)},
		TimeToRestore:     &TimeToRestore{Counted: counted(f.Restored), Count: len(f.Restored), Open: f.Open},
	}
	m.LeadTime.MedianSeconds, m.LeadTime.P90Seconds = seconds(delivery.Median(f.Led)), seconds(delivery.P90(f.Led))
	m.TimeToRestore.MedianSeconds, m.TimeToRestore.P90Seconds = seconds(delivery.Median(f.Restored)), seconds(delivery.P90(f.Restored))

	if f.Changes > 0 {
		m.ChangeFailureRate.Rate = new(float64(len(f.Failed)) / float64(f.Changes))
	}

	return m
}

func counted(all []delivery.Timed) Counted {
	ids := make([]string, len(all))
	for i, t := range all {
		ids[i] = t.ID
	}

	return Counted{ids}
}

func seconds(d time.Duration, ok bool) *int64 {
	if !ok {
		return nil
	}

	return new(int64(d / time.Second))
}

// Deployments gives a page of what was counted.
func (c Counted) Deployments(ctx context.Context, client *db.Client, args page.Args) (*page.Page[*db.Deployment], error) {
	order := page.Order[string]{Name: "counted", Columns: []string{"id"}, Key: func(ref string) []any { return []any{ref} }}

	p, err := order.LoadRaw(args, c.ids, func(restrict page.Restriction, limit int) ([]string, error) {
		rest := c.ids

		if restrict.After != nil {
			after, _ := restrict.After[0].(string)
			rest = rest[slices.Index(rest, after)+1:]
		}

		return rest[:min(limit, len(rest))], nil
	})
	if err != nil {
		return nil, err
	}

	rows, err := client.Deployment.Query().Where(store.AnyOf(deployment.FieldID, p.Nodes())).All(ctx)
	if err != nil {
		return nil, store.Classify(err)
	}

	byID := make(map[string]*db.Deployment, len(rows))
	for _, d := range rows {
		byID[d.ID] = d
	}

	found := page.MapNodes(p, func(ref string) *db.Deployment { return byID[ref] })
	found.Count = func(context.Context) (int, error) { return len(c.ids), nil }

	return found, nil
}
