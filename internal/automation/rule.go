package automation

// Trigger is what a rule waits for.
type Trigger string

// The triggers.
const (
	VersionRegistered   Trigger = "VERSION_REGISTERED"
	DeploymentSucceeded Trigger = "DEPLOYMENT_SUCCEEDED"
)

// Kind is the kind of a deployment.
type Kind string

// The kinds of deployments.
const (
	KindDeploy   Kind = "DEPLOY"
	KindPromote  Kind = "PROMOTE"
	KindRedeploy Kind = "REDEPLOY"
	KindRollback Kind = "ROLLBACK"
	KindPatch    Kind = "PATCH"
	KindUndeploy Kind = "UNDEPLOY"
	KindExternal Kind = "EXTERNAL"
)

// DefaultKinds are the kinds of deployments that a rule follows unless told
// otherwise.
func DefaultKinds() []Kind { return []Kind{KindDeploy, KindPromote, KindPatch} }

// Reference names something by its id and its name.
type Reference struct {
	ID   string
	Name string
}

// Rule says: when Trigger happens to a service that Selector selects, and
// Condition holds, deploy the version to Target.
type Rule struct {
	ID       string
	Name     string
	Revision int
	Enabled  bool
	Trigger  Trigger
	// FromEnvironment (DEPLOYMENT_SUCCEEDED only) is the name or id of the
	// environment whose deployments count; "" means any.
	FromEnvironment string
	Selector        Selector
	// Condition is a CEL expression over version, service, environment,
	// source and deployment that is true or false; "" holds always.
	Condition string
	// Target is the environment to deploy to.
	Target Reference
	// Kinds (DEPLOYMENT_SUCCEEDED only) are the kinds of deployments that
	// count; none means DefaultKinds.
	Kinds []Kind
}

// Selector selects services. A part that is empty selects all; a service must
// be selected by every part.
type Selector struct {
	// Names of services, with * and ? ("shop-*"); one must match.
	Names []string
	// Labels that the service must have, all of them.
	Labels map[string]string
	// Owners of services (entity refs); one must be the service's.
	Owners []string
}
