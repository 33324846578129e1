package access

import (
	"context"
	"maps"
	"slices"

	"github.com/shiplog/shiplog/internal/fault"
)

// readers may read; everybody who has any role.
var readers = []Role{Viewer, CI, Deployer, Operator} //nolint:gochecknoglobals // a constant of the table

// table is the one permission table: a row for every root field of the
// schema, with the roles that may use it beside admin. The server does not
// start, and the build does not pass, when a row is missing or too much.
var table = map[string][]Role{ //nolint:gochecknoglobals // a constant; it is asked for every field
	"Query.node":            readers,
	"Query.nodes":           readers,
	"Query.service":         readers,
	"Query.services":        readers,
	"Query.version":         readers,
	"Query.environment":     readers,
	"Query.environments":    readers,
	"Query.deployment":      readers,
	"Query.deployments":     readers,
	"Query.placements":      readers,
	"Query.matrix":          readers,
	"Query.changes":         readers,
	"Query.deliveryMetrics": readers,
	"Query.diff":            readers,
	"Query.rules":           readers,
	"Query.rule":            readers,
	"Query.evaluateRules":   readers,
	"Query.holds":           readers,
	"Query.events":          readers,
	"Query.viewer":          readers,

	"Mutation.createService":      {Deployer, Operator},
	"Mutation.updateService":      {Deployer, Operator},
	"Mutation.archiveService":     {Operator},
	"Mutation.createEnvironment":  {Operator},
	"Mutation.updateEnvironment":  {Operator},
	"Mutation.archiveEnvironment": {Operator},
	"Mutation.setConfiguration":   {Deployer, Operator},
	"Mutation.registerVersion":    {CI, Deployer, Operator},
	"Mutation.reportCheck":        {CI, Deployer, Operator},
	"Mutation.recordDeployment":   {CI, Deployer, Operator},
	"Mutation.deploy":             {Deployer, Operator},
	"Mutation.promote":            {Deployer, Operator},
	"Mutation.promoteEnvironment": {Deployer, Operator},
	"Mutation.redeploy":           {Deployer, Operator},
	"Mutation.rollback":           {Deployer, Operator},
	"Mutation.undeploy":           {Deployer, Operator},
	"Mutation.cancelDeployment":   {Deployer, Operator},
	"Mutation.resolveStep":        {Operator},
	"Mutation.putRule":            {Operator},
	"Mutation.deleteRule":         {Operator},
	"Mutation.createHold":         {Deployer, Operator},
	"Mutation.releaseHold":        {Deployer, Operator},
	"Mutation.lockEnvironment":    {Operator},
	"Mutation.unlockEnvironment":  {Operator},
	"Mutation.blockVersion":       {Deployer, Operator},
	"Mutation.unblockVersion":     {Deployer, Operator},

	"Subscription.deploymentLogs":    readers,
	"Subscription.deploymentChanged": readers,
	"Subscription.placementChanged":  readers,
	"Subscription.events":            readers,
}

// Operations gives the names of all rows, sorted.
func Operations() []string { return slices.Sorted(maps.Keys(table)) }

// May reports whether the caller may use the operation.
func (c Caller) May(operation string) bool {
	allowed, ok := table[operation]
	if !ok {
		return false
	}

	return slices.ContainsFunc(c.Roles, func(r Role) bool { return r == Admin || slices.Contains(allowed, r) })
}

// Authorize refuses a caller who may not use the operation ("Mutation.deploy").
// Errors: UNAUTHENTICATED, FORBIDDEN.
func Authorize(ctx context.Context, operation string) error {
	c, err := From(ctx)
	if err != nil {
		return err
	}

	if !c.May(operation) {
		return fault.New(fault.Forbidden, "%s may not use %s", c.Actor.Display, operation)
	}

	return nil
}
