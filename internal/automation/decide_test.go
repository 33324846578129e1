package automation

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "write the golden files of this package")

func golden(t *testing.T, path, got string) {
	t.Helper()

	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}

		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}

	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}

	if got != string(want) {
		t.Errorf("%s differs (write it with -update):\n--- got\n%s\n--- want\n%s", path, got, want)
	}
}

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// ref is a version built n hours after noon, the n-th registered.
func ref(n int) VersionRef {
	return VersionRef{ID: fmt.Sprintf("version_%d", n), Name: fmt.Sprintf("1.%d.0", n), BuiltAt: noon.Add(time.Duration(n) * time.Hour), Ordinal: int64(n)}
}

func refAt(n int, at time.Time) *VersionRef {
	r := ref(n)
	r.BuiltAt = at

	return &r
}

func candidate(n int) Candidate {
	return Candidate{Deployment: fmt.Sprintf("deployment_%d", n), Version: ref(n)}
}

// plain is a rule that deploys everything to staging.
func plain() Rule {
	return Rule{
		ID: "rule_1", Name: "to-staging", Revision: 3, Enabled: true, Trigger: VersionRegistered,
		Target: Reference{ID: "environment_staging", Name: "staging"},
	}
}

// registered are the facts of version 1.5.0 that was just registered.
func registered() Facts {
	return Facts{
		Trigger: VersionRegistered,
		Version: Version{
			VersionRef: ref(5), Commit: "abc123", Ref: "refs/heads/main", Author: "alice",
			Labels: map[string]string{"channel": "stable"}, Images: map[string]string{"main": "example.com/shop:1.5.0"},
		},
		Service: Service{ID: "service_shop", Name: "shop", Owner: "group:default/payments", Labels: map[string]string{"tier": "web", "lang": "go"}},
		Targets: map[string]Target{
			"environment_staging": {Environment: Environment{
				ID: "environment_staging", Name: "staging", Tier: "STAGING", Rank: 2, Labels: map[string]string{"region": "eu"},
			}},
		},
	}
}

// edit changes the facts about staging.
func edit(f *Facts, change func(*Target)) {
	target := f.Targets["environment_staging"]
	change(&target)
	f.Targets["environment_staging"] = target
}

func succeeded(r *Rule, f *Facts, kind Kind) {
	r.Trigger, f.Trigger = DeploymentSucceeded, DeploymentSucceeded
	f.Kind = kind
	f.Source = Environment{ID: "environment_dev", Name: "dev", Tier: "DEVELOPMENT", Rank: 1}
}

type decideCase struct {
	name string
	// want is the effect, "" for no decision, and the codes of the reasons.
	want string
	set  func(*Rule, *Facts)
}

func condition(expression string) func(*Rule, *Facts) {
	return func(r *Rule, _ *Facts) { r.Condition = expression }
}

func after(kind Kind, kinds ...Kind) func(*Rule, *Facts) {
	return func(r *Rule, f *Facts) {
		succeeded(r, f, kind)
		r.Kinds = kinds
	}
}

func there(change func(*Target)) func(*Rule, *Facts) {
	return func(_ *Rule, f *Facts) { edit(f, change) }
}

func decideCases() []decideCase {
	return []decideCase{
		{"registered", "DEPLOY MATCHED", func(*Rule, *Facts) {}},
		{"disabled", "", func(r *Rule, _ *Facts) { r.Enabled = false }},
		{"other trigger", "", func(r *Rule, _ *Facts) { r.Trigger = DeploymentSucceeded }},
		{"backfill", "SKIP BACKFILL", func(_ *Rule, f *Facts) { f.Backfill = true }},
		{"backfill outweighs all", "SKIP BACKFILL", func(_ *Rule, f *Facts) {
			f.Backfill, f.Version.Blocked, f.Targets = true, true, nil
		}},
		{"backfilled deployment", "SKIP BACKFILL", func(r *Rule, f *Facts) {
			succeeded(r, f, KindExternal)
			f.Backfill = true
		}},

		{"name selected", "DEPLOY MATCHED", func(r *Rule, _ *Facts) { r.Selector.Names = []string{"cart", "shop"} }},
		{"name selected by glob", "DEPLOY MATCHED", func(r *Rule, _ *Facts) { r.Selector.Names = []string{"sh*"} }},
		{"name selected by question mark", "DEPLOY MATCHED", func(r *Rule, _ *Facts) { r.Selector.Names = []string{"sho?"} }},
		{"name not selected", "", func(r *Rule, _ *Facts) { r.Selector.Names = []string{"cart", "s"} }},
		{"label selected", "DEPLOY MATCHED", func(r *Rule, _ *Facts) { r.Selector.Labels = map[string]string{"tier": "web", "lang": "go"} }},
		{"label of another value", "", func(r *Rule, _ *Facts) { r.Selector.Labels = map[string]string{"tier": "db", "lang": "go"} }},
		{"label missing", "", func(r *Rule, _ *Facts) { r.Selector.Labels = map[string]string{"zone": ""} }},
		{"owner selected", "DEPLOY MATCHED", func(r *Rule, _ *Facts) { r.Selector.Owners = []string{"group:default/payments"} }},
		{"owner not selected", "", func(r *Rule, _ *Facts) { r.Selector.Owners = []string{"group:default/search"} }},
		{"nobody's service", "", func(r *Rule, f *Facts) {
			r.Selector.Owners, f.Service.Owner = []string{"group:default/payments"}, ""
		}},
		{"every part must select", "", func(r *Rule, _ *Facts) {
			r.Selector = Selector{Names: []string{"shop"}, Owners: []string{"group:default/search"}}
		}},

		{"condition on ref", "DEPLOY MATCHED", condition(`version.ref == "refs/heads/main"`)},
		{"condition is false", "SKIP CONDITION_FALSE", condition(`version.ref.startsWith("refs/tags/")`)},
		{"condition on name", "DEPLOY MATCHED", condition(`version.name.matches("^1\\.[0-9]+\\.0$")`)},
		{"condition on commit and author", "DEPLOY MATCHED", condition(`version.commit != "" && version.author == "alice"`)},
		{"condition on label", "DEPLOY MATCHED", condition(`version.labels["channel"] == "stable"`)},
		{"condition on a missing label", "SKIP CONDITION_ERROR", condition(`version.labels["nothing"] == "x"`)},
		{"condition that asks for the label", "SKIP CONDITION_FALSE", condition(`"nothing" in version.labels && version.labels["nothing"] == "x"`)},
		{"condition with no labels at all", "SKIP CONDITION_FALSE", func(r *Rule, f *Facts) {
			r.Condition, f.Version.Labels = `"channel" in version.labels`, nil
		}},
		{"condition on image", "DEPLOY MATCHED", condition(`version.images.exists(name, version.images[name].startsWith("example.com/"))`)},
		{"condition on time", "DEPLOY MATCHED", condition(`version.builtAt > timestamp("2026-03-01T00:00:00Z") && version.builtAt.getHours() == 17`)},
		{"condition on time zone", "DEPLOY MATCHED", func(r *Rule, f *Facts) {
			r.Condition = `version.builtAt.getHours() == 17`
			f.Version.BuiltAt = f.Version.BuiltAt.In(time.FixedZone("east", 3600))
		}},
		{"condition on service", "DEPLOY MATCHED", condition(`service.name == "shop" && service.owner.endsWith("payments") && service.labels.lang == "go"`)},
		{"condition on environment", "DEPLOY MATCHED", condition(`environment.name == "staging" && environment.tier == "STAGING" && environment.rank < 3 && environment.labels["region"] == "eu"`)},
		{"condition on no source", "DEPLOY MATCHED", condition(`source.name == "" && deployment.kind == ""`)},
		{"condition on source", "DEPLOY MATCHED", func(r *Rule, f *Facts) {
			succeeded(r, f, KindDeploy)
			r.Condition = `source.name == "dev" && source.rank < environment.rank && deployment.kind == "DEPLOY"`
		}},
		{"condition of blanks", "DEPLOY MATCHED", condition(" \n")},
		{"condition divides by zero", "SKIP CONDITION_ERROR", condition(`1 / (environment.rank - 2) == 1`)},
		{"condition costs too much", "SKIP CONDITION_ERROR", condition(`[1,2,3,4,5,6,7,8,9,0].all(a, [1,2,3,4,5,6,7,8,9,0].all(b, [1,2,3,4,5,6,7,8,9,0].all(c, [1,2,3,4,5,6,7,8,9,0].all(d, [1,2,3,4,5,6,7,8,9,0].all(e, a + b + c + d + e + environment.rank < 100)))))`)},

		{"environment gone", "SKIP ENVIRONMENT_MISSING", func(_ *Rule, f *Facts) { f.Targets = nil }},
		{"version blocked", "SKIP VERSION_BLOCKED", func(_ *Rule, f *Facts) { f.Version.Blocked, f.Version.BlockedReason = true, "loses orders" }},
		{"version blocked without reason", "SKIP VERSION_BLOCKED", func(_ *Rule, f *Facts) { f.Version.Blocked = true }},
		{"version to record only", "SKIP NO_WORKLOAD", func(_ *Rule, f *Facts) { f.Version.RecordOnly = true }},
		{"environment archived", "SKIP ENVIRONMENT_ARCHIVED", there(func(p *Target) { p.Environment.Archived = true })},
		{"external environment", "SKIP EXTERNAL_TARGET", there(func(p *Target) { p.Environment.External = true })},
		{"environment locked", "HOLD ENVIRONMENT_LOCKED", there(func(p *Target) { p.Environment.Locked, p.Environment.LockReason = true, "audit" })},
		{"held", "HOLD HELD", there(func(p *Target) { p.Held, p.HoldReason = true, "rolled back to 1.3.0" })},
		{"locked and held", "HOLD ENVIRONMENT_LOCKED HELD", there(func(p *Target) { p.Environment.Locked, p.Held = true, true })},

		{"older is there", "DEPLOY MATCHED", there(func(p *Target) { c := ref(4); p.Current = &c })},
		{"newer is there", "SKIP OLDER_VERSION", there(func(p *Target) { c := ref(6); p.Current = &c })},
		{"same time, registered before", "DEPLOY MATCHED", there(func(p *Target) { p.Current = refAt(4, ref(5).BuiltAt) })},
		{"same time, registered after", "SKIP OLDER_VERSION", there(func(p *Target) { p.Current = refAt(6, ref(5).BuiltAt) })},
		{"registered before, built later", "SKIP OLDER_VERSION", there(func(p *Target) { p.Current = refAt(1, ref(9).BuiltAt) })},
		{"registered after, built before", "DEPLOY MATCHED", there(func(p *Target) { p.Current = refAt(9, ref(1).BuiltAt) })},
		{"same time in another zone", "DEPLOY MATCHED", there(func(p *Target) { p.Current = refAt(4, ref(5).BuiltAt.In(time.FixedZone("east", 3600))) })},
		{"already current", "SKIP ALREADY_CURRENT", there(func(p *Target) { c := ref(5); p.Current = &c })},
		{"older on its way", "DEPLOY MATCHED", there(func(p *Target) { p.Unfinished = []Candidate{candidate(4)} })},
		{"newer on its way", "SKIP OLDER_VERSION", there(func(p *Target) { p.Unfinished = []Candidate{candidate(7)} })},
		{"newer of two on its way", "SKIP OLDER_VERSION", there(func(p *Target) { p.Unfinished = []Candidate{candidate(4), candidate(7)} })},
		{"already under way", "SKIP ALREADY_UNDER_WAY", there(func(p *Target) { p.Unfinished = []Candidate{candidate(5)} })},
		{"newer there and on its way", "SKIP OLDER_VERSION OLDER_VERSION", there(func(p *Target) { c := ref(6); p.Current, p.Unfinished = &c, []Candidate{candidate(7)} })},
		{"current, and newer on its way", "SKIP OLDER_VERSION ALREADY_CURRENT", there(func(p *Target) { c := ref(5); p.Current, p.Unfinished = &c, []Candidate{candidate(7)} })},
		{"current and under way", "SKIP ALREADY_CURRENT ALREADY_UNDER_WAY", there(func(p *Target) { c := ref(5); p.Current, p.Unfinished = &c, []Candidate{candidate(5)} })},
		{"rolled back and held", "HOLD HELD", there(func(p *Target) { c := ref(3); p.Current, p.Held = &c, true })},
		{"older in a locked environment", "SKIP OLDER_VERSION ENVIRONMENT_LOCKED", there(func(p *Target) { c := ref(6); p.Current, p.Environment.Locked = &c, true })},
		{"current and held", "SKIP ALREADY_CURRENT HELD", there(func(p *Target) { c := ref(5); p.Current, p.Held = &c, true })},
		{"everything at once", "SKIP CONDITION_FALSE VERSION_BLOCKED NO_WORKLOAD ENVIRONMENT_ARCHIVED EXTERNAL_TARGET OLDER_VERSION OLDER_VERSION ALREADY_UNDER_WAY ENVIRONMENT_LOCKED HELD", func(r *Rule, f *Facts) {
			r.Condition = "false"
			f.Version.Blocked, f.Version.RecordOnly = true, true
			edit(f, func(p *Target) {
				c := ref(6)
				p.Current, p.Unfinished, p.Held = &c, []Candidate{candidate(5), candidate(7)}, true
				p.Environment.Archived, p.Environment.External, p.Environment.Locked = true, true, true
			})
		}},

		{"after a deploy", "DEPLOY MATCHED", after(KindDeploy)},
		{"after a promotion", "DEPLOY MATCHED", after(KindPromote)},
		{"after a patch", "DEPLOY MATCHED", after(KindPatch)},
		{"after a redeploy", "SKIP KIND_NOT_MATCHED", after(KindRedeploy)},
		{"after a rollback", "SKIP KIND_NOT_MATCHED", after(KindRollback)},
		{"after an undeploy", "SKIP KIND_NOT_MATCHED", after(KindUndeploy)},
		{"after an external deployment", "SKIP KIND_NOT_MATCHED", after(KindExternal)},
		{"after a rollback that was asked for", "DEPLOY MATCHED", after(KindRollback, KindRollback)},
		{"after an external deployment that was asked for", "DEPLOY MATCHED", after(KindExternal, KindDeploy, KindExternal)},
		{"after a deploy that was not asked for", "SKIP KIND_NOT_MATCHED", after(KindDeploy, KindPromote)},
		{"after a rollback to what is older there", "SKIP OLDER_VERSION", func(r *Rule, f *Facts) {
			succeeded(r, f, KindRollback)
			r.Kinds = []Kind{KindRollback}
			edit(f, func(p *Target) { c := ref(6); p.Current = &c })
		}},
		{"from the environment by name", "DEPLOY MATCHED", func(r *Rule, f *Facts) {
			succeeded(r, f, KindDeploy)
			r.FromEnvironment = "dev"
		}},
		{"from the environment by id", "DEPLOY MATCHED", func(r *Rule, f *Facts) {
			succeeded(r, f, KindDeploy)
			r.FromEnvironment = "environment_dev"
		}},
		{"from another environment", "", func(r *Rule, f *Facts) {
			succeeded(r, f, KindDeploy)
			r.FromEnvironment = "test"
		}},
		{"patched where it is current already", "SKIP ALREADY_CURRENT", func(r *Rule, f *Facts) {
			succeeded(r, f, KindPatch)
			edit(f, func(p *Target) { c := ref(5); p.Current = &c })
		}},
	}
}

func mustCompile(t testing.TB, rules ...Rule) []*Compiled {
	t.Helper()

	compiler, err := NewCompiler()
	if err != nil {
		t.Fatal(err)
	}

	compiled := make([]*Compiled, len(rules))
	for i, rule := range rules {
		if compiled[i], err = compiler.Compile(rule); err != nil {
			t.Fatal(err)
		}
	}

	return compiled
}

// written is how decisions stand in golden files.
func written(decisions []Decision) string {
	var out strings.Builder

	for _, d := range decisions {
		explained := ""
		if d.Explained {
			explained = " (explained)"
		}

		fmt.Fprintf(&out, "\t%s %s revision %d to %s%s\n", d.Effect, d.RuleName, d.RuleRevision, d.Environment.Name, explained)

		for _, r := range d.Reasons {
			fmt.Fprintf(&out, "\t\t%s: %s\n", r.Code, r.Message)
		}
	}

	return out.String()
}

func summary(decisions []Decision) string {
	var words []string

	for _, d := range decisions {
		words = append(words, string(d.Effect))
		for _, r := range d.Reasons {
			words = append(words, string(r.Code))
		}
	}

	return strings.Join(words, " ")
}

func TestDecide(t *testing.T) {
	t.Parallel()

	var (
		out   strings.Builder
		names = map[string]bool{}
	)

	for _, c := range decideCases() {
		if names[c.name] {
			t.Errorf("two cases are named %s", c.name)
		}

		names[c.name] = true
		rule, facts := plain(), registered()
		c.set(&rule, &facts)
		compiled := mustCompile(t, rule)

		if got := summary(Decide(compiled, facts)); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}

		fmt.Fprintf(&out, "%s\n%s", c.name, written(Explain(compiled, facts)))
	}

	if len(names) < 60 {
		t.Errorf("only %d cases", len(names))
	}

	golden(t, "testdata/decisions.txt", out.String())
}

// TestDecideOneDeploymentEach: of two rules for one environment one deploys.
func TestDecideOneDeploymentEach(t *testing.T) {
	t.Parallel()

	first, second, other, disabled := plain(), plain(), plain(), plain()
	second.ID, second.Name = "rule_2", "z-also-to-staging"
	other.ID, other.Name, other.Target = "rule_3", "to-test", Reference{ID: "environment_test", Name: "old-name"}
	disabled.ID, disabled.Name, disabled.Enabled = "rule_4", "a-disabled", false

	facts := registered()
	facts.Targets["environment_test"] = Target{Environment: Environment{ID: "environment_test", Name: "test"}}

	rules := mustCompile(t, second, disabled, other, first)
	golden(t, "testdata/several.txt", written(Explain(rules, facts)))

	if got, want := summary(Decide(rules, facts)), "DEPLOY MATCHED DEPLOY MATCHED SKIP ALREADY_UNDER_WAY"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestDecideConcurrently: compiled rules are shared (run with -race).
func TestDecideConcurrently(t *testing.T) {
	t.Parallel()

	rule := plain()
	rule.Condition = `version.labels["channel"] == "stable" && version.name.matches("^1")`
	rules := mustCompile(t, rule)

	var group sync.WaitGroup

	for range 8 {
		group.Go(func() {
			for range 50 {
				if got := summary(Decide(rules, registered())); got != "DEPLOY MATCHED" {
					t.Error(got)
				}
			}
		})
	}

	group.Wait()
}

// TestInvariants: whatever the facts, automation does not fight people or
// rewrite the past.
func TestInvariants(t *testing.T) {
	t.Parallel()

	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string) bool { return rapid.Bool().Draw(t, name) }
		rule, facts := plain(), registered()

		if draw("after a deployment") {
			kinds := []Kind{KindDeploy, KindPromote, KindRedeploy, KindRollback, KindPatch, KindUndeploy, KindExternal}
			succeeded(&rule, &facts, rapid.SampledFrom(kinds).Draw(t, "kind"))
		}

		facts.Backfill, facts.Version.Blocked = draw("backfill"), draw("blocked")
		edit(&facts, func(p *Target) {
			p.Held, p.Environment.Locked, p.Environment.Archived, p.Environment.External = draw("held"), draw("locked"), draw("archived"), draw("external")

			if draw("current") {
				c := *refAt(rapid.IntRange(1, 9).Draw(t, "current version"), ref(rapid.IntRange(1, 9).Draw(t, "current built")).BuiltAt)
				p.Current = &c
			}

			for range rapid.IntRange(0, 2).Draw(t, "candidates") {
				p.Unfinished = append(p.Unfinished, candidate(rapid.IntRange(1, 9).Draw(t, "candidate")))
			}
		})

		target := facts.Targets["environment_staging"]
		version := facts.Version.VersionRef
		decisions := Decide(mustCompileRapid(t, rule), facts)

		if len(decisions) != 1 || len(decisions[0].Reasons) == 0 {
			t.Fatalf("got %v", decisions)
		}

		effect := decisions[0].Effect
		stopped := target.Held || target.Environment.Locked
		never := facts.Backfill || facts.Version.Blocked || target.Environment.Archived || target.Environment.External ||
			facts.Trigger == DeploymentSucceeded && !slices.Contains(DefaultKinds(), facts.Kind) ||
			target.Current != nil && (target.Current.ID == version.ID || target.Current.Newer(version)) ||
			slices.ContainsFunc(target.Unfinished, func(c Candidate) bool { return c.Version.ID == version.ID || c.Version.Newer(version) })

		want := EffectDeploy

		switch {
		case never:
			want = EffectSkip
		case stopped:
			want = EffectHold
		}

		if effect != want {
			t.Fatalf("got %s, want %s: %s", effect, want, written(decisions))
		}
	})
}

func mustCompileRapid(t *rapid.T, rule Rule) []*Compiled {
	t.Helper()

	compiled, err := Compile(rule)
	if err != nil {
		t.Fatal(err)
	}

	return []*Compiled{compiled}
}

// BenchmarkDecide asks 1,000 rules, every tenth of which selects the service.
func BenchmarkDecide(b *testing.B) {
	rules := make([]Rule, 1000)
	facts := registered()

	for i := range rules {
		rules[i] = plain()
		rules[i].ID, rules[i].Name = fmt.Sprintf("rule_%04d", i), fmt.Sprintf("rule-%04d", i)
		rules[i].Condition = `version.ref == "refs/heads/main" && version.labels["channel"] == "stable"`
		rules[i].Target = Reference{ID: fmt.Sprintf("environment_%d", i%20), Name: fmt.Sprintf("e%d", i%20)}
		rules[i].Selector.Names = []string{fmt.Sprintf("service-%d-*", i)}

		if i%10 == 0 {
			rules[i].Selector.Names = []string{"sh*"}
		}
	}

	for i := range 20 {
		id := fmt.Sprintf("environment_%d", i)
		facts.Targets[id] = Target{Environment: Environment{ID: id, Name: fmt.Sprintf("e%d", i)}}
	}

	compiled := mustCompile(b, rules...)

	b.ReportAllocs()

	for b.Loop() {
		if got := len(Decide(compiled, facts)); got != 100 {
			b.Fatal(got)
		}
	}
}
