package deployment

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/shiplog/shiplog/ent/db"
	"github.com/shiplog/shiplog/ent/db/decision"
	"github.com/shiplog/shiplog/ent/db/deployment"
	"github.com/shiplog/shiplog/ent/db/environment"
	"github.com/shiplog/shiplog/ent/db/hold"
	"github.com/shiplog/shiplog/ent/db/placement"
	"github.com/shiplog/shiplog/ent/db/rule"
	"github.com/shiplog/shiplog/ent/db/target"
	"github.com/shiplog/shiplog/ent/schema"
	"github.com/shiplog/shiplog/internal/automation"
	"github.com/shiplog/shiplog/internal/catalog"
	"github.com/shiplog/shiplog/internal/fault"
	"github.com/shiplog/shiplog/internal/id"
	"github.com/shiplog/shiplog/internal/journal"
	"github.com/shiplog/shiplog/internal/store"
)

// occasion is what the rules are asked about.
type occasion struct {
	eventID string
	cause   deployment.Cause
	trigger rule.Trigger
	service *db.Service
	version *db.Version // with its images
	// source is the deployment that succeeded, with its environment and
	// target; nil for a registration.
	source *db.Deployment
}

// DecideVersion takes the decisions for a new version inside the transaction
// that registers it.
func (e *Engine) DecideVersion(ctx context.Context, tx *store.Tx, eventID string, service *db.Service, version *db.Version) ([]*db.Decision, error) {
	return e.decide(ctx, tx, occasion{
		eventID: eventID, cause: deployment.CauseRULE, trigger: rule.TriggerVERSION_REGISTERED, service: service, version: version,
	})
}

// answer lets the rules answer the success of a deployment, once.
func (e *Engine) answer(ctx context.Context, deploymentID string) error {
	return e.store.WithTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		d, err := tx.Deployment.Query().Where(deployment.ID(deploymentID), tx.Lock).Only(ctx)
		if err != nil || d.RulesEventID == nil {
			return err // answered by another job
		}

		if err := tx.Deployment.UpdateOneID(d.ID).ClearRulesEventID().Exec(ctx); err != nil {
			return err
		}

		if d.VersionID == nil {
			return nil
		}

		full, err := tx.Deployment.Query().Where(deployment.ID(d.ID)).WithService().
			WithVersion(func(q *db.VersionQuery) { q.WithImages() }).
			WithEnvironment(func(q *db.EnvironmentQuery) { q.WithTarget() }).Only(ctx)
		if err != nil {
			return err
		}

		_, err = e.decide(ctx, tx, occasion{
			eventID: *d.RulesEventID, cause: deployment.CauseRULE, trigger: rule.TriggerDEPLOYMENT_SUCCEEDED,
			service: full.Edges.Service, version: full.Edges.Version, source: full,
		})

		return err
	})
}

// decide asks the rules, stores their decisions and makes the deployments.
func (e *Engine) decide(ctx context.Context, tx *store.Tx, o occasion) ([]*db.Decision, error) {
	rules, err := e.rules(ctx, tx.Client, o.trigger)
	if err != nil || len(rules) == 0 {
		return nil, err
	}

	environments := targetsOf(rules)

	// What is there must not change between the decision and the deployment:
	// the placements are locked, always in the same order.
	for _, environmentID := range environments {
		if _, err := lockPlacement(ctx, tx, o.service.ID, environmentID); err != nil {
			return nil, err
		}
	}

	if err := o.steady(ctx, tx, environments); err != nil {
		return nil, err
	}

	facts, rows, err := e.facts(ctx, tx.Client, o, environments)
	if err != nil {
		return nil, err
	}

	var stored []*db.Decision

	for _, verdict := range automation.Decide(rules, facts) {
		row, err := e.keepDecision(ctx, tx, o, rows, verdict)
		if err != nil {
			return nil, err
		}

		stored = append(stored, row)
	}

	return stored, nil
}

// keepDecision stores a decision with the deployment that it makes.
func (e *Engine) keepDecision(ctx context.Context, tx *store.Tx, o occasion, environments map[string]*db.Environment, verdict automation.Decision) (*db.Decision, error) {
	decisionID, err := id.New(id.Decision)
	if err != nil {
		return nil, err
	}

	create := tx.Decision.Create().SetID(decisionID).SetRuleID(verdict.RuleID).SetRuleRevision(verdict.RuleRevision).SetEventID(o.eventID).
		SetVersionID(o.version.ID).SetEnvironmentID(verdict.Environment.ID).SetEffect(decision.Effect(verdict.Effect)).
		SetReasons(reasonsOf(verdict)).SetCreatedAt(store.Now()).
		SetOpen(verdict.Effect == automation.EffectHold)
	if o.source != nil {
		create.SetSourceID(o.source.ID)
	}

	actor := journal.Actor{Kind: journal.Rule, Issuer: "local", Subject: verdict.RuleID, Display: "rule " + verdict.RuleName}

	if verdict.Effect == automation.EffectDeploy {
		kind := deployment.KindDEPLOY
		if o.source != nil {
			kind = deployment.KindPROMOTE
		}

		d, _, err := e.create(ctx, tx, request{
			service: o.service, environment: environments[verdict.Environment.ID], version: o.version, kind: kind, cause: o.cause, actor: actor,
			source: "rule", reason: new("rule " + verdict.RuleName), repeats: o.source,
		})
		if err != nil {
			return nil, err
		}

		create.SetDeploymentID(d.ID)
	}

	row, err := create.Save(ctx)
	if err != nil {
		return nil, err
	}

	_, err = journal.Record(tx, journal.Entry{
		Type: "decision.taken", Actor: actor, Source: "rule", Subject: row.ID, Service: o.service.ID,
		Message: fmt.Sprintf("rule %s: %s of %s %s to %s: %s", verdict.RuleName, verdict.Effect, o.service.Name, o.version.Name, verdict.Environment.Name, verdict.Reasons[0].Message),
		Payload: row,
	})

	return row, err
}

func reasonsOf(verdict automation.Decision) []schema.Reason {
	reasons := make([]schema.Reason, len(verdict.Reasons))
	for i, r := range verdict.Reasons {
		reasons[i] = schema.Reason{Code: string(r.Code), Message: r.Message}
	}

	return reasons
}

// rules gives the compiled rules of the trigger, by name.
func (e *Engine) rules(ctx context.Context, client *db.Client, trigger ...rule.Trigger) ([]*automation.Compiled, error) {
	rows, err := client.Rule.Query().Where(rule.DeletedAtIsNil(), rule.TriggerIn(trigger...)).Order(rule.ByName()).WithTargetEnvironment().All(ctx)
	if err != nil {
		return nil, store.Classify(err)
	}

	compiled := make([]*automation.Compiled, len(rows))
	for i, row := range rows {
		// It was checked when it was put; a program that no longer takes it
		// must say so, not skip it.
		if compiled[i], err = e.compiler.Compile(ruleOf(row)); err != nil {
			return nil, fmt.Errorf("rule %s: %w", row.Name, err)
		}
	}

	return compiled, nil
}

func targetsOf(rules []*automation.Compiled) []string {
	seen := map[string]bool{}
	for _, r := range rules {
		seen[r.Rule().Target.ID] = true
	}

	return slices.Sorted(maps.Keys(seen))
}

// facts draws up what has happened and what is there.
func (e *Engine) facts(ctx context.Context, client *db.Client, o occasion, environments []string) (automation.Facts, map[string]*db.Environment, error) {
	facts := automation.Facts{
		Trigger: automation.Trigger(o.trigger), Service: automation.Service{
			ID: o.service.ID, Name: o.service.Name, Owner: value(o.service.Owner), Labels: o.service.Labels,
		},
		Version: versionFacts(o.version), Backfill: o.version.Backfill && o.source == nil, Targets: map[string]automation.Target{},
	}

	if o.source != nil {
		facts.Kind, facts.Backfill = automation.Kind(o.source.Kind), o.source.Backfill
		facts.Source = environmentFacts(o.source.Edges.Environment)
	}

	rows, err := client.Environment.Query().Where(environment.IDIn(environments...)).WithTarget().All(ctx)
	if err != nil {
		return facts, nil, store.Classify(err)
	}

	placements, err := client.Placement.Query().Where(placement.ServiceID(o.service.ID), placement.EnvironmentIDIn(environments...)).
		WithRecorded(func(q *db.DeploymentQuery) { q.WithVersion() }).All(ctx)
	if err != nil {
		return facts, nil, store.Classify(err)
	}

	holds, err := client.Hold.Query().Where(hold.ServiceID(o.service.ID), hold.EnvironmentIDIn(environments...), hold.ReleasedAtIsNil()).All(ctx)
	if err != nil {
		return facts, nil, store.Classify(err)
	}

	unfinished, err := client.Deployment.Query().
		Where(deployment.ServiceID(o.service.ID), deployment.EnvironmentIDIn(environments...), deployment.FinishedAtIsNil(), deployment.VersionIDNotNil()).
		WithVersion().Order(deployment.ByID()).All(ctx)
	if err != nil {
		return facts, nil, store.Classify(err)
	}

	found := map[string]*db.Environment{}

	for _, row := range rows {
		found[row.ID] = row
		facts.Targets[row.ID] = automation.Target{Environment: environmentFacts(row)}
	}

	for _, p := range placements {
		if d := p.Edges.Recorded; d != nil && d.Edges.Version != nil {
			t := facts.Targets[p.EnvironmentID]
			t.Current = new(versionRef(d.Edges.Version))
			facts.Targets[p.EnvironmentID] = t
		}
	}

	for _, h := range holds {
		t := facts.Targets[h.EnvironmentID]
		t.Held, t.HoldReason = true, h.Reason
		facts.Targets[h.EnvironmentID] = t
	}

	for _, d := range unfinished {
		t := facts.Targets[d.EnvironmentID]
		t.Unfinished = append(t.Unfinished, automation.Candidate{Deployment: d.ID, Version: versionRef(d.Edges.Version)})
		facts.Targets[d.EnvironmentID] = t
	}

	return facts, found, nil
}

func versionRef(v *db.Version) automation.VersionRef {
	return automation.VersionRef{ID: v.ID, Name: v.Name, BuiltAt: v.BuiltAt, Ordinal: v.Ordinal}
}

func versionFacts(v *db.Version) automation.Version {
	images := map[string]string{}
	for name, img := range catalog.ImagesOf(v) {
		images[name] = img.Reference
	}

	return automation.Version{
		VersionRef: versionRef(v), Commit: value(v.Commit), Ref: value(v.Ref), Author: value(v.Author), Labels: v.Labels, Images: images,
		Blocked: v.BlockedReason != nil, BlockedReason: value(v.BlockedReason), RecordOnly: v.WorkloadDigest == nil,
	}
}

func environmentFacts(e *db.Environment) automation.Environment {
	return automation.Environment{
		ID: e.ID, Name: e.Name, Tier: string(e.Tier), Rank: e.Rank, Labels: e.Labels, Locked: e.LockedReason != nil,
		LockReason: value(e.LockedReason), Archived: e.ArchivedAt != nil, External: e.Edges.Target.Kind == target.KindEXTERNAL,
	}
}

// Evaluation is what a rule would decide now.
type Evaluation struct {
	Rule        *db.Rule
	Environment *db.Environment
	Effect      *decision.Effect
	Reasons     []schema.Reason
}

// Evaluate says what every rule would decide for the version now; nothing is
// done. Rules on deployments are asked as if the version had just succeeded
// in their source environment. Errors: NOT_FOUND, INVALID_INPUT.
func (e *Engine) Evaluate(ctx context.Context, serviceRef *string, versionRef string) ([]*Evaluation, error) {
	service, version, err := findVersion(ctx, e.store.Read, serviceRef, versionRef)
	if err != nil {
		return nil, err
	}

	var evaluations []*Evaluation

	for _, trigger := range []rule.Trigger{rule.TriggerVERSION_REGISTERED, rule.TriggerDEPLOYMENT_SUCCEEDED} {
		some, err := e.evaluate(ctx, service, version, trigger)
		if err != nil {
			return nil, err
		}

		evaluations = append(evaluations, some...)
	}

	return evaluations, nil
}

func (e *Engine) evaluate(ctx context.Context, service *db.Service, version *db.Version, trigger rule.Trigger) ([]*Evaluation, error) {
	client := e.store.Read

	rules, err := e.rules(ctx, client, trigger)
	if err != nil || len(rules) == 0 {
		return nil, err
	}

	o := occasion{trigger: trigger, service: service, version: version}

	facts, environments, err := e.facts(ctx, client, o, targetsOf(rules))
	if err != nil {
		return nil, err
	}

	facts.Backfill = false

	rows, err := client.Rule.Query().Where(rule.DeletedAtIsNil(), rule.TriggerEQ(trigger)).
		WithSourceEnvironment(func(q *db.EnvironmentQuery) { q.WithTarget() }).All(ctx)
	if err != nil {
		return nil, store.Classify(err)
	}

	byID := map[string]*db.Rule{}
	for _, row := range rows {
		byID[row.ID] = row
	}

	var evaluations []*Evaluation

	for _, compiled := range rules {
		row, ok := byID[compiled.Rule().ID]
		if !ok {
			continue // deleted a moment ago
		}

		asked := facts
		if trigger == rule.TriggerDEPLOYMENT_SUCCEEDED {
			asked.Kind = automation.KindDeploy
			if from := row.Edges.SourceEnvironment; from != nil {
				asked.Source = environmentFacts(from)
			}
		}

		for _, verdict := range automation.Explain([]*automation.Compiled{compiled}, asked) {
			evaluation := &Evaluation{Rule: row, Environment: environments[verdict.Environment.ID], Reasons: reasonsOf(verdict)}
			if !verdict.Explained {
				evaluation.Effect = new(decision.Effect(verdict.Effect))
			}

			evaluations = append(evaluations, evaluation)
		}
	}

	return evaluations, nil
}

// findVersion finds a version by id, or by name within a service.
func findVersion(ctx context.Context, client *db.Client, serviceRef *string, ref string) (*db.Service, *db.Version, error) {
	if value(serviceRef) == "" {
		if !id.IsOf(ref, id.Version) {
			return nil, nil, fault.Invalid("service", "want the service when the version is given by its name")
		}

		v, err := client.Version.Get(ctx, ref)
		if db.IsNotFound(err) {
			return nil, nil, fault.Missing("version", "there is no version %q", ref)
		}

		if err != nil {
			return nil, nil, store.Classify(err)
		}

		serviceRef = &v.ServiceID
	}

	service, err := catalog.FindService(ctx, client, "service", *serviceRef)
	if err != nil {
		return nil, nil, err
	}

	version, err := catalog.FindVersion(ctx, client, "version", service, ref)

	return service, version, err
}
