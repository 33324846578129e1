package contract

import (
	"github.com/shiplog/shiplog/ent/db"
	"github.com/shiplog/shiplog/internal/deployment"
	"github.com/shiplog/shiplog/internal/page"
)

//nolint:revive // one comment for all: the connections of the contract, and their edges
type (
	ServiceConnection     = page.Page[*db.Service]
	ServiceEdge           = page.Edge[*db.Service]
	VersionConnection     = page.Page[*db.Version]
	VersionEdge           = page.Edge[*db.Version]
	EnvironmentConnection = page.Page[*db.Environment]
	EnvironmentEdge       = page.Edge[*db.Environment]
	DeploymentConnection  = page.Page[*db.Deployment]
	DeploymentEdge        = page.Edge[*db.Deployment]
	PlacementConnection   = page.Page[*deployment.Placement]
	PlacementEdge         = page.Edge[*deployment.Placement]
	RuleConnection        = page.Page[*db.Rule]
	RuleEdge              = page.Edge[*db.Rule]
	DecisionConnection    = page.Page[*db.Decision]
	DecisionEdge          = page.Edge[*db.Decision]
	ScopeChangeConnection = page.Page[*deployment.ScopeChange]
	ScopeChangeEdge       = page.Edge[*deployment.ScopeChange]
	HoldConnection        = page.Page[*db.Hold]
	HoldEdge              = page.Edge[*db.Hold]
	EventConnection       = page.Page[*db.Event]
	EventEdge             = page.Edge[*db.Event]
)

// Node is any of the nouns.
type Node any
