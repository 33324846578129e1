package automation

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Decide asks the rules what is to be done about the facts. Every enabled rule
// whose trigger, source and selector match makes one decision, in the order of
// the rules' names (then ids), so that the same rules and facts give the same
// decisions. Of several rules that would deploy to one environment the first
// does, and the others find it ALREADY_UNDER_WAY.
func Decide(rules []*Compiled, facts Facts) []Decision { return decide(rules, facts, false) }

// Explain is Decide for people who ask "what if": rules that make no decision
// are in the answer too, with Explained set and the reason.
func Explain(rules []*Compiled, facts Facts) []Decision { return decide(rules, facts, true) }

func decide(rules []*Compiled, facts Facts, explain bool) []Decision {
	s := session{facts: facts, taken: map[string]string{}, activations: map[string]map[string]any{}}

	var decisions []Decision

	for _, c := range inOrder(rules) {
		d := Decision{RuleID: c.rule.ID, RuleName: c.rule.Name, RuleRevision: c.rule.Revision, Environment: c.rule.Target}

		if reason, concerned := concern(&c.rule, facts); !concerned {
			if explain {
				d.Effect, d.Reasons, d.Explained = EffectSkip, []Reason{reason}, true
				decisions = append(decisions, d)
			}

			continue
		}

		d.Effect, d.Reasons = s.answer(c)
		if target, ok := facts.Targets[c.rule.Target.ID]; ok && target.Environment.Name != "" {
			d.Environment.Name = target.Environment.Name
		}

		if d.Effect == EffectDeploy {
			s.taken[c.rule.Target.ID] = c.rule.Name
		}

		decisions = append(decisions, d)
	}

	return decisions
}

func inOrder(rules []*Compiled) []*Compiled {
	order := func(a, b *Compiled) int {
		return cmp.Or(strings.Compare(a.rule.Name, b.rule.Name), strings.Compare(a.rule.ID, b.rule.ID))
	}

	if slices.IsSortedFunc(rules, order) {
		return rules
	}

	sorted := slices.Clone(rules)
	slices.SortStableFunc(sorted, order)

	return sorted
}

// concern says whether the rule makes a decision at all, and if not, why.
func concern(rule *Rule, facts Facts) (Reason, bool) {
	switch {
	case !rule.Enabled:
		return reason(Disabled, "the rule is disabled"), false
	case rule.Trigger != facts.Trigger:
		return reason(TriggerNotMatched, "the rule waits for %s, and this is %s", rule.Trigger, facts.Trigger), false
	case rule.FromEnvironment != "" && rule.FromEnvironment != facts.Source.ID && rule.FromEnvironment != facts.Source.Name:
		return reason(SourceNotMatched, "the rule follows %s, and this happened in %s", rule.FromEnvironment, facts.Source.Name), false
	default:
		return selects(rule.Selector, facts.Service)
	}
}

func selects(s Selector, service Service) (Reason, bool) {
	named := func(pattern string) bool {
		ok, err := path.Match(pattern, service.Name)

		return err == nil && ok
	}

	if len(s.Names) > 0 && !slices.ContainsFunc(s.Names, named) {
		return reason(NotSelected, "the rule selects services named %s, and this is %s", strings.Join(s.Names, ", "), service.Name), false
	}

	if len(s.Owners) > 0 && !slices.Contains(s.Owners, service.Owner) {
		return reason(NotSelected, "the rule selects services of %s, and %s belongs to %s", strings.Join(s.Owners, ", "), service.Name, or(service.Owner, "nobody")), false
	}

	missing := ""

	for key, value := range s.Labels {
		if got, ok := service.Labels[key]; (!ok || got != value) && (missing == "" || key < missing) {
			missing = key
		}
	}

	if missing != "" {
		return reason(NotSelected, "the rule selects services with the label %s=%s, and %s has not", missing, s.Labels[missing], service.Name), false
	}

	return Reason{}, true
}

// session is the state of one call of Decide.
type session struct {
	facts Facts
	// taken are the environments that a rule before deploys to, with its name.
	taken map[string]string
	// activations of conditions by environment.
	activations map[string]map[string]any
}

// answer gives the effect and its reasons. All reasons that apply are given,
// those to skip before those to hold; after a backfill, a kind that does not
// count and a missing environment the rest has no meaning.
func (s *session) answer(c *Compiled) (Effect, []Reason) {
	target, ok := s.facts.Targets[c.rule.Target.ID]

	switch {
	case s.facts.Backfill:
		return EffectSkip, []Reason{reason(Backfill, "%s was recorded as a backfill, and rules do not act on the past", s.facts.Version.Name)}
	case s.facts.Trigger == DeploymentSucceeded && !slices.Contains(c.rule.Kinds, s.facts.Kind):
		return EffectSkip, []Reason{reason(KindNotMatched, "the deployment was of kind %s, and the rule follows %s", s.facts.Kind, joined(c.rule.Kinds))}
	case !ok:
		return EffectSkip, []Reason{reason(EnvironmentMissing, "the environment %s of the rule does not exist", or(c.rule.Target.Name, c.rule.Target.ID))}
	}

	reasons := s.condition(nil, c, target.Environment)
	reasons = forbidden(reasons, s.facts.Version, target.Environment)
	reasons = superfluous(reasons, s.facts.Version.VersionRef, target)

	if rule, taken := s.taken[c.rule.Target.ID]; taken {
		reasons = append(reasons, reason(AlreadyUnderWay, "the rule %s deploys %s to %s", rule, s.facts.Version.Name, target.Environment.Name))
	}

	effect := EffectDeploy
	if len(reasons) > 0 {
		effect = EffectSkip
	}

	reasons = stopped(reasons, s.facts.Service, target)

	switch {
	case effect == EffectSkip:
		return EffectSkip, reasons
	case len(reasons) > 0:
		return EffectHold, reasons
	default:
		return EffectDeploy, []Reason{s.matched(&c.rule)}
	}
}

func (s *session) condition(reasons []Reason, c *Compiled, environment Environment) []Reason {
	if c.program == nil {
		return reasons
	}

	facts, ok := s.activations[c.rule.Target.ID]
	if !ok {
		facts = activation(s.facts, environment)
		s.activations[c.rule.Target.ID] = facts
	}

	answer, err := holds(c.program, facts)

	switch {
	case err != nil:
		return append(reasons, reason(ConditionError, "the condition %s could not be evaluated: %s", c.rule.Condition, firstLine(strings.TrimPrefix(err.Error(), "evaluate the condition: "))))
	case !answer:
		return append(reasons, reason(ConditionFalse, "the condition is false: %s", c.rule.Condition))
	default:
		return reasons
	}
}

// forbidden gives why the version may not, or cannot, go there at all.
func forbidden(reasons []Reason, version Version, environment Environment) []Reason {
	if version.Blocked {
		reasons = append(reasons, reason(VersionBlocked, "%s is blocked%s", version.Name, because(version.BlockedReason)))
	}

	if version.RecordOnly {
		reasons = append(reasons, reason(NoWorkload, "%s has no workload, so Shiplog cannot deploy it", version.Name))
	}

	if environment.Archived {
		reasons = append(reasons, reason(EnvironmentArchived, "%s is archived", environment.Name))
	}

	if environment.External {
		reasons = append(reasons, reason(ExternalTarget, "somebody else deploys to %s, Shiplog only records it", environment.Name))
	}

	return reasons
}

// superfluous gives why what is there, or on its way, is as good or better.
func superfluous(reasons []Reason, version VersionRef, target Target) []Reason {
	name := target.Environment.Name

	if current := target.Current; current != nil && current.ID != version.ID && current.Newer(version) {
		reasons = append(reasons, reason(OlderVersion, "%s is older than %s, which is current in %s", version.Name, current.Name, name))
	}

	for _, candidate := range target.Unfinished {
		if candidate.Version.ID != version.ID && candidate.Version.Newer(version) {
			reasons = append(reasons, reason(OlderVersion, "%s is older than %s, which is on its way to %s (%s)", version.Name, candidate.Version.Name, name, candidate.Deployment))
		}
	}

	if target.Current != nil && target.Current.ID == version.ID {
		reasons = append(reasons, reason(AlreadyCurrent, "%s is already current in %s", version.Name, name))
	}

	for _, candidate := range target.Unfinished {
		if candidate.Version.ID == version.ID {
			reasons = append(reasons, reason(AlreadyUnderWay, "%s is already on its way to %s (%s)", version.Name, name, candidate.Deployment))
		}
	}

	return reasons
}

// stopped gives what people put in the way for now.
func stopped(reasons []Reason, service Service, target Target) []Reason {
	if target.Environment.Locked {
		reasons = append(reasons, reason(EnvironmentLocked, "%s is locked%s", target.Environment.Name, because(target.Environment.LockReason)))
	}

	if target.Held {
		reasons = append(reasons, reason(Held, "%s is held in %s%s", service.Name, target.Environment.Name, because(target.HoldReason)))
	}

	return reasons
}

func (s *session) matched(rule *Rule) Reason {
	what := fmt.Sprintf("%s of %s was registered", s.facts.Version.Name, s.facts.Service.Name)
	if s.facts.Trigger == DeploymentSucceeded {
		what = fmt.Sprintf("%s of %s succeeded in %s (%s)", s.facts.Version.Name, s.facts.Service.Name, s.facts.Source.Name, s.facts.Kind)
	}

	if strings.TrimSpace(rule.Condition) == "" {
		return reason(Matched, "%s", what)
	}

	return reason(Matched, "%s, and the condition holds: %s", what, rule.Condition)
}

func reason(code Code, format string, args ...any) Reason {
	return Reason{Code: code, Message: fmt.Sprintf(format, args...)}
}

func because(why string) string {
	if why == "" {
		return ""
	}

	return ": " + why
}

func or(s, other string) string { return cmp.Or(s, other) }

func indexed(field string, i int) string { return field + "[" + strconv.Itoa(i) + "]" }

func joined(kinds []Kind) string {
	words := make([]string, len(kinds))
	for i, kind := range kinds {
		words[i] = string(kind)
	}

	return strings.Join(words, ", ")
}
