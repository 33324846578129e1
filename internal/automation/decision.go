package automation

// Effect is what a decision comes to.
type Effect string

// The effects.
const (
	EffectDeploy Effect = "DEPLOY"
	EffectSkip   Effect = "SKIP"
	EffectHold   Effect = "HOLD"
)

// Code is a reason's machine-readable name. The values are those of the
// contract.
type Code string

// Why a rule makes no decision; told only to those who ask for explanations.
const (
	Disabled          Code = "DISABLED"
	TriggerNotMatched Code = "TRIGGER_NOT_MATCHED"
	SourceNotMatched  Code = "SOURCE_NOT_MATCHED"
	NotSelected       Code = "NOT_SELECTED"
)

// Why a rule skips, in the order in which reasons are given.
const (
	Backfill            Code = "BACKFILL"
	KindNotMatched      Code = "KIND_NOT_MATCHED"
	EnvironmentMissing  Code = "ENVIRONMENT_MISSING"
	ConditionFalse      Code = "CONDITION_FALSE"
	ConditionError      Code = "CONDITION_ERROR"
	VersionBlocked      Code = "VERSION_BLOCKED"
	NoWorkload          Code = "NO_WORKLOAD"
	EnvironmentArchived Code = "ENVIRONMENT_ARCHIVED"
	ExternalTarget      Code = "EXTERNAL_TARGET"
	OlderVersion        Code = "OLDER_VERSION"
	AlreadyCurrent      Code = "ALREADY_CURRENT"
	AlreadyUnderWay     Code = "ALREADY_UNDER_WAY"
)

// Why a rule holds, in the order in which reasons are given.
const (
	EnvironmentLocked Code = "ENVIRONMENT_LOCKED"
	Held              Code = "HELD"
)

// Matched is why a rule deploys.
const Matched Code = "MATCHED"

// Reason is one reason, for machines and for people.
type Reason struct {
	Code    Code
	Message string
}

// Decision is a rule's answer to one event.
type Decision struct {
	RuleID       string
	RuleName     string
	RuleRevision int
	Environment  Reference
	Effect       Effect
	// Reasons, at least one; the first one decides.
	Reasons []Reason
	// Explained: the rule made no decision, this says why. Never stored.
	Explained bool
}
