package deployment

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/shiplog/shiplog/ent/db"
	"github.com/shiplog/shiplog/ent/db/deployment"
	"github.com/shiplog/shiplog/ent/db/rule"
	"github.com/shiplog/shiplog/internal/access"
	"github.com/shiplog/shiplog/internal/automation"
	"github.com/shiplog/shiplog/internal/catalog"
	"github.com/shiplog/shiplog/internal/fault"
	"github.com/shiplog/shiplog/internal/id"
	"github.com/shiplog/shiplog/internal/journal"
	"github.com/shiplog/shiplog/internal/spec"
	"github.com/shiplog/shiplog/internal/store"
)

// Selector is which services a rule is about, as input.
type Selector struct {
	Names  []string
	Labels map[string]string
	Owners []string
}

// maxSelected bounds the names and the owners of a selector.
const maxSelected = 100

// selectedName is a service's name in which * and ? stand for what may vary.
var selectedName = regexp.MustCompile(`^[a-z0-9*?-]{1,63}$`)

// validate checks the form of every field.
func (s Selector) validate() error {
	switch {
	case len(s.Names) > maxSelected:
		return fault.Invalid("selector.names", "has %d names; accepted are at most %d", len(s.Names), maxSelected)
	case len(s.Owners) > maxSelected:
		return fault.Invalid("selector.owners", "has %d owners; accepted are at most %d", len(s.Owners), maxSelected)
	}

	for i, name := range s.Names {
		if !selectedName.MatchString(name) {
			return fault.Invalid(fmt.Sprintf("selector.names[%d]", i), "is %.80q; accepted is a service's name, with * and ? for what may vary (\"shop-*\")", name)
		}
	}

	for i, owner := range s.Owners {
		if err := spec.ValidateEntityRef(fmt.Sprintf("selector.owners[%d]", i), owner); err != nil {
			return err
		}
	}

	return spec.ValidateLabels("selector.labels", s.Labels)
}

// PutRule is the input of putRule.
type PutRule struct {
	Name              string
	Enabled           *bool
	Trigger           rule.Trigger
	SourceEnvironment *string
	Kinds             []deployment.Kind
	Selector          *Selector
	Condition         *string
	TargetEnvironment string
	IdempotencyKey    *string `json:"-"`
}

// validate checks the form of what Compile does not look at.
func (in PutRule) validate() error {
	if err := spec.ValidateName("name", in.Name); err != nil {
		return err
	}

	for i, kind := range in.Kinds {
		if slices.Contains(in.Kinds[:i], kind) {
			return fault.Invalid(fmt.Sprintf("kinds[%d]", i), "is %s again; accepted is every kind once", kind)
		}
	}

	if in.Selector != nil {
		return in.Selector.validate()
	}

	return nil
}

// RuleResult is the payload of putRule and deleteRule.
type RuleResult struct {
	Rule    *db.Rule
	Changed bool
}

type ruled struct {
	ID      string
	Changed bool
}

// PutRule creates a rule or changes it by its name. Errors: INVALID_INPUT
// names the field; NOT_FOUND for an environment, CONFLICT for an archived target.
func (e *Engine) PutRule(ctx context.Context, in PutRule) (*RuleResult, error) {
	caller, err := access.From(ctx)
	if err != nil {
		return nil, err
	}

	if err := in.validate(); err != nil {
		return nil, err
	}

	call := store.Call{Caller: caller.Key(), Mutation: "putRule", Key: value(in.IdempotencyKey), Input: in}

	result, _, err := store.Once(ctx, e.store, call, func(ctx context.Context, tx *store.Tx) (ruled, error) {
		return e.putRule(ctx, tx, caller, in)
	})
	if err != nil {
		return nil, err
	}

	row, err := e.store.Read.Rule.Get(ctx, result.ID)

	return &RuleResult{Rule: row, Changed: result.Changed}, store.Classify(err)
}

func (e *Engine) putRule(ctx context.Context, tx *store.Tx, caller access.Caller, in PutRule) (ruled, error) {
	want, err := in.row(ctx, tx)
	if err != nil {
		return ruled{}, err
	}

	before, err := tx.Rule.Query().Where(rule.Name(in.Name), rule.DeletedAtIsNil(), tx.Lock).Only(ctx)
	if err != nil && !db.IsNotFound(err) {
		return ruled{}, err
	}

	if _, err := e.compiler.Compile(ruleOf(want)); err != nil {
		return ruled{}, inputField(err)
	}

	if before != nil && sameRule(before, want) {
		return ruled{ID: before.ID}, nil
	}

	now := store.Now()

	var after *db.Rule

	if before == nil {
		ruleID, err := id.New(id.Rule)
		if err != nil {
			return ruled{}, err
		}

		after, err = tx.Rule.Create().SetID(ruleID).SetName(want.Name).SetRevision(1).SetCreatedAt(now).SetUpdatedAt(now).
			SetEnabled(want.Enabled).SetTrigger(want.Trigger).SetNillableSourceEnvironmentID(want.SourceEnvironmentID).
			SetKinds(want.Kinds).SetServiceNames(want.ServiceNames).SetServiceLabels(want.ServiceLabels).SetServiceOwners(want.ServiceOwners).
			SetNillableCondition(want.Condition).SetTargetEnvironmentID(want.TargetEnvironmentID).Save(ctx)

		switch {
		case db.IsConstraintError(err):
			return ruled{}, fault.New(fault.Conflict, "somebody else made a rule %q at the same time: read it again", in.Name).At("name")
		case err != nil:
			return ruled{}, err
		}
	} else {
		update := tx.Rule.UpdateOneID(before.ID).AddRevision(1).SetUpdatedAt(now).
			SetEnabled(want.Enabled).SetTrigger(want.Trigger).SetTargetEnvironmentID(want.TargetEnvironmentID).
			SetKinds(want.Kinds).SetServiceNames(want.ServiceNames).SetServiceLabels(want.ServiceLabels).SetServiceOwners(want.ServiceOwners)
		assign(want.SourceEnvironmentID, update.SetSourceEnvironmentID, update.ClearSourceEnvironmentID)
		assign(want.Condition, update.SetCondition, update.ClearCondition)

		if after, err = update.Save(ctx); err != nil {
			return ruled{}, err
		}
	}

	_, err = journal.Record(tx, journal.Entry{
		Type: "rule.put", Actor: caller.Actor, Source: "graphql", Subject: after.ID, Message: "rule " + after.Name + " set",
		Payload: map[string]any{"before": before, "after": after},
	})

	return ruled{ID: after.ID, Changed: true}, err
}

// row gives the input as the row that it is to be.
func (in PutRule) row(ctx context.Context, tx *store.Tx) (*db.Rule, error) {
	to, err := catalog.FindEnvironment(ctx, tx.Client, "targetEnvironment", in.TargetEnvironment)
	if err != nil {
		return nil, err
	}

	// One that is turned off may stay: nothing is decided by it.
	if to.ArchivedAt != nil && (in.Enabled == nil || *in.Enabled) {
		return nil, fault.New(fault.Conflict, "environment %s is archived", to.Name).At("targetEnvironment")
	}

	row := &db.Rule{
		Name: in.Name, Enabled: in.Enabled == nil || *in.Enabled, Trigger: in.Trigger, TargetEnvironmentID: to.ID,
		Kinds: []string{}, ServiceNames: []string{}, ServiceLabels: map[string]string{}, ServiceOwners: []string{}, Condition: text(in.Condition),
	}
	row.Edges.TargetEnvironment = to

	if value(in.SourceEnvironment) != "" {
		from, err := catalog.FindEnvironment(ctx, tx.Client, "sourceEnvironment", *in.SourceEnvironment)
		if err != nil {
			return nil, err
		}

		row.SourceEnvironmentID = &from.ID
	}

	for _, kind := range in.Kinds {
		row.Kinds = append(row.Kinds, string(kind))
	}

	if len(row.Kinds) == 0 && in.Trigger == rule.TriggerDEPLOYMENT_SUCCEEDED {
		for _, kind := range automation.DefaultKinds() {
			row.Kinds = append(row.Kinds, string(kind))
		}
	}

	if in.Selector == nil {
		return row, nil
	}

	row.ServiceNames = append(row.ServiceNames, in.Selector.Names...)
	row.ServiceOwners = append(row.ServiceOwners, in.Selector.Owners...)
	maps.Copy(row.ServiceLabels, in.Selector.Labels)

	return row, nil
}

// inputField names the fields of a compiled rule as the input does.
func inputField(err error) error {
	var refusal *fault.Error
	if !errors.As(err, &refusal) {
		return err
	}

	switch refusal.Field {
	case "fromEnvironment":
		return refusal.At("sourceEnvironment")
	case "environment":
		return refusal.At("targetEnvironment")
	}

	return err
}

func sameRule(a, b *db.Rule) bool {
	return a.Enabled == b.Enabled && a.Trigger == b.Trigger && value(a.SourceEnvironmentID) == value(b.SourceEnvironmentID) &&
		slices.Equal(a.Kinds, b.Kinds) && slices.Equal(a.ServiceNames, b.ServiceNames) && maps.Equal(a.ServiceLabels, b.ServiceLabels) &&
		slices.Equal(a.ServiceOwners, b.ServiceOwners) && value(a.Condition) == value(b.Condition) && a.TargetEnvironmentID == b.TargetEnvironmentID
}

// ruleOf gives the row, with its target environment loaded, as automation
// knows it.
func ruleOf(row *db.Rule) automation.Rule {
	r := automation.Rule{
		ID: row.ID, Name: row.Name, Revision: row.Revision, Enabled: row.Enabled, Trigger: automation.Trigger(row.Trigger),
		FromEnvironment: value(row.SourceEnvironmentID), Condition: value(row.Condition),
		Selector: automation.Selector{Names: row.ServiceNames, Labels: row.ServiceLabels, Owners: row.ServiceOwners},
		Target:   automation.Reference{ID: row.TargetEnvironmentID},
	}
	if to := row.Edges.TargetEnvironment; to != nil {
		r.Target.Name = to.Name
	}

	for _, kind := range row.Kinds {
		r.Kinds = append(r.Kinds, automation.Kind(kind))
	}

	return r
}

// DeleteRule is the input of deleteRule.
type DeleteRule struct{ Rule string }

// DeleteRule deletes a rule; its decisions stay. Deleting again changes
// nothing. Errors: NOT_FOUND.
func (e *Engine) DeleteRule(ctx context.Context, in DeleteRule) (*RuleResult, error) {
	caller, err := access.From(ctx)
	if err != nil {
		return nil, err
	}

	var result RuleResult

	return &result, e.store.WithTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		row, err := catalog.FindRule(ctx, tx.Client, "rule", strings.TrimSpace(in.Rule))
		if err != nil {
			return err
		}

		result = RuleResult{Rule: row}

		row, err = tx.Rule.Query().Where(rule.ID(row.ID), tx.Lock).Only(ctx)
		if err != nil || row.DeletedAt != nil {
			return err
		}

		result.Changed = true
		if result.Rule, err = tx.Rule.UpdateOneID(row.ID).SetDeletedAt(store.Now()).Save(ctx); err != nil {
			return err
		}

		_, err = journal.Record(tx, journal.Entry{
			Type: "rule.deleted", Actor: caller.Actor, Source: "graphql", Subject: row.ID, Message: "rule " + row.Name + " deleted", Payload: row,
		})

		return err
	})
}
