package automation

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/ext"

	"github.com/shiplog/shiplog/internal/fault"
)

// Bounds of a condition. They are far above what a rule needs: a label, a
// branch, a pattern.
const (
	maxConditionBytes = 4 << 10
	maxConditionDepth = 50
	// maxCost bounds the work of one evaluation (some milliseconds).
	maxCost = 100_000
)

// What a condition sees. The names are part of the language of rules.
type (
	versionFacts struct {
		Name    string            `cel:"name"`
		Commit  string            `cel:"commit"`
		Ref     string            `cel:"ref"`
		Author  string            `cel:"author"`
		BuiltAt time.Time         `cel:"builtAt"`
		Labels  map[string]string `cel:"labels"`
		Images  map[string]string `cel:"images"`
	}
	serviceFacts struct {
		Name   string            `cel:"name"`
		Owner  string            `cel:"owner"`
		Labels map[string]string `cel:"labels"`
	}
	environmentFacts struct {
		Name   string            `cel:"name"`
		Tier   string            `cel:"tier"`
		Rank   int               `cel:"rank"`
		Labels map[string]string `cel:"labels"`
	}
	deploymentFacts struct {
		Kind string `cel:"kind"`
	}
)

// newEnvironment makes the language of conditions.
func newEnvironment() (*cel.Env, error) {
	env, err := cel.NewEnv(
		ext.NativeTypes(
			reflect.TypeFor[versionFacts](), reflect.TypeFor[serviceFacts](),
			reflect.TypeFor[environmentFacts](), reflect.TypeFor[deploymentFacts](),
			ext.ParseStructTags(true),
		),
		cel.Variable("version", cel.ObjectType("automation.versionFacts")),
		cel.Variable("service", cel.ObjectType("automation.serviceFacts")),
		cel.Variable("environment", cel.ObjectType("automation.environmentFacts")),
		cel.Variable("source", cel.ObjectType("automation.environmentFacts")),
		cel.Variable("deployment", cel.ObjectType("automation.deploymentFacts")),
		cel.ParserExpressionSizeLimit(maxConditionBytes),
		cel.ParserRecursionLimit(maxConditionDepth),
		cel.DefaultUTCTimeZone(true),
	)
	if err != nil {
		return nil, fmt.Errorf("make the language of conditions: %w", err)
	}

	return env, nil
}

// compileCondition checks an expression and makes it ready to run.
func compileCondition(env *cel.Env, expression string) (cel.Program, error) {
	if len(expression) > maxConditionBytes {
		return nil, fault.Invalid("condition", "has %d bytes; accepted are at most %d", len(expression), maxConditionBytes)
	}

	ast, issues := env.Compile(expression)
	if issues.Err() != nil {
		return nil, conditionFault(issues)
	}

	if !ast.OutputType().IsExactType(types.BoolType) {
		return nil, fault.Invalid("condition", "gives %s; accepted is a CEL expression that is true or false", firstLine(ast.OutputType().String()))
	}

	program, err := env.Program(ast, cel.CostLimit(maxCost), cel.EvalOptions(cel.OptOptimize))
	if err != nil {
		return nil, fault.Invalid("condition", "cannot be run: %s", firstLine(err.Error()))
	}

	return program, nil
}

// conditionFault gives the first problem with its place.
func conditionFault(issues *cel.Issues) error {
	problems := issues.Errors()
	if len(problems) == 0 {
		return fault.Invalid("condition", "is not a CEL expression")
	}

	e := problems[0]
	if e.Location.Line() < 1 {
		return fault.Invalid("condition", "is not a CEL expression: %s", firstLine(e.Message))
	}

	return fault.Invalid("condition", "is not a CEL expression (line %d, column %d): %s; known are version {name, commit, ref, author, builtAt, labels, images}, service {name, owner, labels}, environment and source {name, tier, rank, labels}, deployment {kind}",
		e.Location.Line(), e.Location.Column()+1, firstLine(e.Message))
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	line = strings.ReplaceAll(line, "automation.", "")

	const most = 200
	if r := []rune(line); len(r) > most {
		return string(r[:most]) + "…"
	}

	return line
}

// errNoBool cannot happen after the check of the type.
var errNoBool = errors.New("the condition gave no boolean")

// holds evaluates a condition.
func holds(program cel.Program, facts map[string]any) (bool, error) {
	value, _, err := program.Eval(facts)
	if err != nil {
		return false, fmt.Errorf("evaluate the condition: %w", err)
	}

	answer, ok := value.Value().(bool)
	if !ok {
		return false, errNoBool
	}

	return answer, nil
}

// activation is what a condition sees of the facts and one target.
func activation(facts Facts, environment Environment) map[string]any {
	v := facts.Version

	return map[string]any{
		"version": &versionFacts{
			Name: v.Name, Commit: v.Commit, Ref: v.Ref, Author: v.Author, BuiltAt: v.BuiltAt.UTC(),
			Labels: present(v.Labels), Images: present(v.Images),
		},
		"service":     &serviceFacts{Name: facts.Service.Name, Owner: facts.Service.Owner, Labels: present(facts.Service.Labels)},
		"environment": environmentOf(environment),
		"source":      environmentOf(facts.Source),
		"deployment":  &deploymentFacts{Kind: string(facts.Kind)},
	}
}

func environmentOf(e Environment) *environmentFacts {
	return &environmentFacts{Name: e.Name, Tier: e.Tier, Rank: e.Rank, Labels: present(e.Labels)}
}

func present(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}

	return m
}
