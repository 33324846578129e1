package automation

import (
	"maps"
	"path"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"

	"github.com/shiplog/shiplog/internal/fault"
)

// Compiled is a rule that was checked and is ready to be asked. It never
// changes.
type Compiled struct {
	rule    Rule
	program cel.Program // nil when there is no condition
}

// Rule gives a copy of the rule.
func (c *Compiled) Rule() Rule { return copyRule(c.rule) }

// Compiler compiles many rules with one language of conditions. It may be
// used by any number of goroutines.
type Compiler struct{ env *cel.Env }

// NewCompiler makes a compiler; that takes about a millisecond.
func NewCompiler() (*Compiler, error) {
	env, err := newEnvironment()
	if err != nil {
		return nil, err
	}

	return &Compiler{env: env}, nil
}

// Compile checks one rule; see Compiler.Compile.
func Compile(rule Rule) (*Compiled, error) {
	compiler, err := NewCompiler()
	if err != nil {
		return nil, err
	}

	return compiler.Compile(rule)
}

// Compile checks a rule and makes it ready. Refusals are fault.InvalidInput
// and name the field of the rule: "trigger", "fromEnvironment",
// "selector.names[0]", "condition" (with line and column), "environment",
// "kinds[0]".
func (c *Compiler) Compile(rule Rule) (*Compiled, error) {
	if err := checkRule(rule); err != nil {
		return nil, err
	}

	compiled := &Compiled{rule: copyRule(rule)}
	if len(compiled.rule.Kinds) == 0 {
		compiled.rule.Kinds = DefaultKinds()
	}

	if strings.TrimSpace(rule.Condition) == "" {
		return compiled, nil
	}

	program, err := compileCondition(c.env, rule.Condition)
	if err != nil {
		return nil, err
	}

	compiled.program = program

	return compiled, nil
}

func copyRule(rule Rule) Rule {
	rule.Kinds = slices.Clone(rule.Kinds)
	rule.Selector = Selector{
		Names:  slices.Clone(rule.Selector.Names),
		Labels: maps.Clone(rule.Selector.Labels),
		Owners: slices.Clone(rule.Selector.Owners),
	}

	return rule
}

func checkRule(rule Rule) error {
	switch rule.Trigger {
	case DeploymentSucceeded:
	case VersionRegistered:
		if rule.FromEnvironment != "" {
			return fault.Invalid("fromEnvironment", "means nothing to the trigger %s; accepted is none, or the trigger %s", rule.Trigger, DeploymentSucceeded)
		}

		if len(rule.Kinds) > 0 {
			return fault.Invalid("kinds", "mean nothing to the trigger %s; accepted are none, or the trigger %s", rule.Trigger, DeploymentSucceeded)
		}
	default:
		return fault.Invalid("trigger", "is %q; accepted are %s and %s", string(rule.Trigger), VersionRegistered, DeploymentSucceeded)
	}

	if rule.Target.ID == "" {
		return fault.Invalid("environment", "is required; accepted is the environment to deploy to")
	}

	if rule.FromEnvironment != "" && (rule.FromEnvironment == rule.Target.ID || rule.FromEnvironment == rule.Target.Name) {
		return fault.Invalid("fromEnvironment", "is the environment that the rule deploys to; accepted is another one")
	}

	for i, name := range rule.Selector.Names {
		if _, err := path.Match(name, ""); err != nil || name == "" {
			return fault.Invalid(indexed("selector.names", i), "is %q; accepted is a service's name, with * and ? for what may vary (\"shop-*\")", name)
		}
	}

	for i, owner := range rule.Selector.Owners {
		if owner == "" {
			return fault.Invalid(indexed("selector.owners", i), "is empty; accepted is an entity ref (\"group:default/payments\")")
		}
	}

	for i, kind := range rule.Kinds {
		switch kind {
		case KindDeploy, KindPromote, KindRedeploy, KindRollback, KindPatch, KindExternal:
		default:
			return fault.Invalid(indexed("kinds", i), "is %q; accepted are DEPLOY, PROMOTE, REDEPLOY, ROLLBACK, PATCH and EXTERNAL", string(kind))
		}
	}

	return nil
}
