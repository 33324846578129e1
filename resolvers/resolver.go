package resolvers

import (
	"context"

	"github.com/shiplog/shiplog/graph"
	"github.com/shiplog/shiplog/internal/catalog"
	"github.com/shiplog/shiplog/internal/deployment"
	"github.com/shiplog/shiplog/internal/live"
	"github.com/shiplog/shiplog/internal/logs"
	"github.com/shiplog/shiplog/internal/store"
)

// Resolver is the root: the rooms that answer.
type Resolver struct {
	Store   *store.Store
	Catalog *catalog.Catalog
	Engine  *deployment.Engine
	Logs    *logs.Logs
	Hub     *live.Hub
	// LastEventID gives the cursor with which the client of an event stream
	// came back, "" for none. It goes before `after`.
	LastEventID func(ctx context.Context) string
}

var _ graph.ResolverRoot = (*Resolver)(nil)

// Query answers the root of queries.
func (r *Resolver) Query() graph.QueryResolver { return query{r} }

// Mutation answers the root of mutations.
func (r *Resolver) Mutation() graph.MutationResolver { return mutation{r} }

// Subscription answers the root of subscriptions.
func (r *Resolver) Subscription() graph.SubscriptionResolver { return subscription{r} }

// Service answers the fields of a service.
func (r *Resolver) Service() graph.ServiceResolver { return serviceFields{r} }

// Version answers the fields of a version.
func (r *Resolver) Version() graph.VersionResolver { return versionFields{r} }

// Workload answers the fields of a workload.
func (r *Resolver) Workload() graph.WorkloadResolver { return workloadFields{} }

// Environment answers the fields of an environment.
func (r *Resolver) Environment() graph.EnvironmentResolver { return environmentFields{r} }

// Configuration answers the fields of a configuration.
func (r *Resolver) Configuration() graph.ConfigurationResolver { return configurationFields{r} }

// Snapshot answers the fields of a snapshot.
func (r *Resolver) Snapshot() graph.SnapshotResolver { return snapshotFields{r} }

// Plan answers the fields of a plan.
func (r *Resolver) Plan() graph.PlanResolver { return planFields{} }

// Diff answers the fields of a diff.
func (r *Resolver) Diff() graph.DiffResolver { return diffFields{} }

// Change answers the fields of a change.
func (r *Resolver) Change() graph.ChangeResolver { return changeFields{} }

// Deployment answers the fields of a deployment.
func (r *Resolver) Deployment() graph.DeploymentResolver { return deploymentFields{r} }

// Placement answers the fields of a placement.
func (r *Resolver) Placement() graph.PlacementResolver { return placementFields{r} }

// Check answers the fields of a check.
func (r *Resolver) Check() graph.CheckResolver { return checkFields{} }

// Rule answers the fields of a rule.
func (r *Resolver) Rule() graph.RuleResolver { return ruleFields{r} }

// Decision answers the fields of a decision.
func (r *Resolver) Decision() graph.DecisionResolver { return decisionFields{} }

// Hold answers the fields of a hold.
func (r *Resolver) Hold() graph.HoldResolver { return holdFields{} }

// Event answers the fields of an entry of the journal.
func (r *Resolver) Event() graph.EventResolver { return eventFields{} }

func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}

	return v
}
