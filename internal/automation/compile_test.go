package automation

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/shiplog/shiplog/internal/fault"
)

func TestCompileRefusals(t *testing.T) {
	t.Parallel()

	cases := []struct {
		name string
		set  func(*Rule)
	}{
		{"no trigger", func(r *Rule) { r.Trigger = "" }},
		{"unknown trigger", func(r *Rule) { r.Trigger = "FULL_MOON" }},
		{"no environment", func(r *Rule) { r.Target = Reference{} }},
		{"source for a registration", func(r *Rule) { r.FromEnvironment = "dev" }},
		{"kinds for a registration", func(r *Rule) { r.Kinds = []Kind{KindDeploy} }},
		{"to where it comes from", func(r *Rule) { r.Trigger, r.FromEnvironment = DeploymentSucceeded, "staging" }},
		{"unknown kind", func(r *Rule) { r.Trigger, r.Kinds = DeploymentSucceeded, []Kind{KindDeploy, "SHIP"} }},
		{"kind without a version", func(r *Rule) { r.Trigger, r.Kinds = DeploymentSucceeded, []Kind{KindUndeploy} }},
		{"bad glob", func(r *Rule) { r.Selector.Names = []string{"shop", "[a"} }},
		{"empty name", func(r *Rule) { r.Selector.Names = []string{""} }},
		{"empty owner", func(r *Rule) { r.Selector.Owners = []string{""} }},
		{"condition: syntax", func(r *Rule) { r.Condition = "version.name ==" }},
		{"condition: second line", func(r *Rule) { r.Condition = "true &&\n  version.nme == 'x'" }},
		{"condition: unknown variable", func(r *Rule) { r.Condition = "tag == 'x'" }},
		{"condition: unknown function", func(r *Rule) { r.Condition = "now() > version.builtAt" }},
		{"condition: unequal types", func(r *Rule) { r.Condition = "environment.rank == '2'" }},
		{"condition: no boolean", func(r *Rule) { r.Condition = "version.name" }},
		{"condition: dynamic", func(r *Rule) { r.Condition = "dyn(true)" }},
		{"condition: a whole object", func(r *Rule) { r.Condition = "version" }},
		{"condition: bad pattern", func(r *Rule) { r.Condition = "version.name.matches('[')" }},
		{"condition: too long", func(r *Rule) { r.Condition = strings.Repeat(" ", maxConditionBytes) + "true" }},
		{"condition: too deep", func(r *Rule) { r.Condition = strings.Repeat("(", 60) + "true" + strings.Repeat(")", 60) }},
		{"condition: write-only secrets do not exist", func(r *Rule) { r.Condition = "version.secrets.size() == 0" }},
	}

	var out strings.Builder

	for _, c := range cases {
		rule := plain()
		c.set(&rule)

		_, err := Compile(rule)

		var refused *fault.Error
		if !errors.As(err, &refused) || refused.Code != fault.InvalidInput {
			t.Errorf("%s: got %v", c.name, err)

			continue
		}

		fmt.Fprintf(&out, "%s\n\t%s %s %s\n", c.name, refused.Code, refused.Field, refused.Message)
	}

	golden(t, "testdata/compile_refusals.txt", out.String())
}

// TestCompiledNeverChanges: neither what came in nor what goes out is shared.
func TestCompiledNeverChanges(t *testing.T) {
	t.Parallel()

	rule := plain()
	rule.Selector = Selector{Names: []string{"shop"}, Labels: map[string]string{"tier": "web"}, Owners: []string{"group:default/payments"}}
	compiled := mustCompile(t, rule)

	before := compiled[0].Rule()

	for _, r := range []Rule{rule, compiled[0].Rule()} {
		r.Selector.Names[0], r.Selector.Owners[0], r.Selector.Labels["tier"] = "x", "x", "x"
	}

	if got := compiled[0].Rule(); !reflect.DeepEqual(got, before) {
		t.Errorf("got %v, want %v", got, before)
	}
}

// FuzzCondition: compiling and deciding never panic, and what compiles gives
// one decision.
func FuzzCondition(f *testing.F) {
	for _, c := range decideCases() {
		rule, facts := plain(), registered()
		c.set(&rule, &facts)
		f.Add(rule.Condition)
	}

	compiler, err := NewCompiler()
	if err != nil {
		f.Fatal(err)
	}

	f.Fuzz(func(t *testing.T, expression string) {
		rule := plain()
		rule.Condition = expression

		compiled, err := compiler.Compile(rule)
		if err != nil {
			if fault.CodeOf(err) != fault.InvalidInput {
				t.Fatal(err)
			}

			return
		}

		if got := Decide([]*Compiled{compiled}, registered()); len(got) != 1 || len(got[0].Reasons) == 0 {
			t.Fatalf("got %v", got)
		}
	})
}
