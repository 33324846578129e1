package deployment

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/shiplog/shiplog/ent/db"
	"github.com/shiplog/shiplog/ent/db/deployment"
	"github.com/shiplog/shiplog/ent/db/placement"
	"github.com/shiplog/shiplog/ent/db/service"
	"github.com/shiplog/shiplog/internal/access"
	"github.com/shiplog/shiplog/internal/catalog"
	"github.com/shiplog/shiplog/internal/fault"
	"github.com/shiplog/shiplog/internal/store"
)

// maxSet bounds the services that are promoted as one set: one transaction.
const maxSet = 500

// PromoteEnvironment is the input of promoteEnvironment.
type PromoteEnvironment struct {
	From           string
	To             string
	Services       []string
	Expected       *string
	DryRun         *bool
	Reason         *string
	Preempt        *bool
	Override       *Override
	IdempotencyKey *string `json:"-"`
}

// PromotionSet is what differs between two environments: one item a service
// that has another version in place, by the service's name.
type PromotionSet struct {
	// Digest is over services, what is in place in both, and the revisions of
	// the configuration: what was reviewed under it is what is promoted.
	Digest string
	From   *db.Environment
	To     *db.Environment
	Items  []*PromotionItem
}

// PromotionItem is one service of a set.
type PromotionItem struct {
	Service *db.Service
	Version *db.Version
	Source  *db.Deployment
	Current *db.Deployment // nil for nothing
	// Plan, or the Refusal that says why it cannot be made; on a dry run.
	Plan    *Plan
	Refusal *fault.Error

	layers map[string]string
}

// PromoteEnvironmentResult is the payload of promoteEnvironment.
type PromoteEnvironmentResult struct {
	Set         *PromotionSet // on a dry run
	Deployments []*db.Deployment
}

// PromoteEnvironment promotes every service whose version differs, as one set:
// all of it, or nothing. A dry run shows the set; its digest is expected then.
// Errors: NOT_FOUND, INVALID_INPUT; STALE when the set is another one; CONFLICT
// when nothing differs; those of promote, for the first service that has one.
func (e *Engine) PromoteEnvironment(ctx context.Context, in PromoteEnvironment) (*PromoteEnvironmentResult, error) {
	caller, err := access.From(ctx)
	if err != nil {
		return nil, err
	}

	a := act{Reason: in.Reason, Preempt: in.Preempt, Override: in.Override}
	if err := a.validate(); err != nil {
		return nil, err
	}

	switch {
	case in.Services != nil && len(in.Services) == 0:
		return nil, fault.Invalid("services", "names no service; leave it out for all that differ")
	case len(in.Services) > maxSet:
		return nil, fault.Invalid("services", "has %d services; accepted are at most %d", len(in.Services), maxSet)
	case value(in.DryRun):
		return e.previewSet(ctx, caller, in, a)
	case value(in.Expected) == "":
		return nil, fault.Invalid("expected", "want the digest of the set that was reviewed: a dry run gives it")
	}

	call := store.Call{Caller: caller.Key(), Mutation: "promoteEnvironment", Key: value(in.IdempotencyKey), Input: in}

	ids, _, err := store.Once(ctx, e.store, call, func(ctx context.Context, tx *store.Tx) ([]string, error) {
		set, err := e.promotionSet(ctx, tx.Client, in)
		if err != nil {
			return nil, err
		}

		return e.promoteSet(ctx, tx, set, caller, in, a)
	})
	if err != nil {
		return nil, err
	}

	rows, err := e.store.Read.Deployment.Query().Where(store.AnyOf(deployment.FieldID, ids)).Order(deployment.ByID()).All(ctx)

	return &PromoteEnvironmentResult{Deployments: rows}, store.Classify(err)
}

// promoteSet makes the deployments of a set, if it is the one that was
// reviewed.
func (e *Engine) promoteSet(ctx context.Context, tx *store.Tx, set *PromotionSet, caller access.Caller, in PromoteEnvironment, a act) ([]string, error) {
	switch {
	case set.Digest != *in.Expected:
		return nil, fault.New(fault.Stale, "the set is another one by now: review it again").At("expected").With("current", map[string]string{"digest": set.Digest})
	case len(set.Items) == 0:
		return nil, fault.New(fault.Conflict, "no service has another version in place in %s than in %s", set.From.Name, set.To.Name).At("from")
	}

	ids := make([]string, len(set.Items))

	for i, item := range set.Items {
		r := item.request(set, caller, a)

		d, _, err := e.admitted(ctx, tx, r)
		if err != nil {
			return nil, ofSet(item, err)
		}

		ids[i] = d.ID
	}

	return ids, nil
}

// admitted creates what can be planned.
func (e *Engine) admitted(ctx context.Context, tx *store.Tx, r request) (*db.Deployment, *db.Hold, error) {
	if err := e.plannable(ctx, tx.Client, r); err != nil {
		return nil, nil, err
	}

	return e.create(ctx, tx, r)
}

// previewSet says what promoting the set would apply.
func (e *Engine) previewSet(ctx context.Context, caller access.Caller, in PromoteEnvironment, a act) (*PromoteEnvironmentResult, error) {
	if err := store.ValidateKey(value(in.IdempotencyKey)); err != nil {
		return nil, err
	}

	set, err := e.promotionSet(ctx, e.store.Read, in)
	if err != nil {
		return nil, err
	}

	for _, item := range set.Items {
		plan, err := e.preview(ctx, func(context.Context, *db.Client) (request, error) { return item.request(set, caller, a), nil })

		var refusal *fault.Error

		switch {
		case err == nil:
			item.Plan = plan
		case errors.As(err, &refusal):
			item.Refusal = refusal
		default:
			return nil, err
		}
	}

	return &PromoteEnvironmentResult{Set: set, Deployments: []*db.Deployment{}}, nil
}

// request is the promotion of the item: of what was reviewed, over what was
// there then.
func (item *PromotionItem) request(set *PromotionSet, caller access.Caller, a act) request {
	r := a.request(caller, deployment.KindPROMOTE)
	r.service, r.environment, r.version, r.repeats, r.expected = item.Service, set.To, item.Version, item.Source, new("")

	if item.Current != nil {
		r.expected = &item.Current.ID
	}

	return r
}

// ofSet names the fields of a refusal as the input of promoteEnvironment does,
// and the service that it is about.
func ofSet(item *PromotionItem, err error) error {
	var refusal *fault.Error
	if !errors.As(ofPromotion(err), &refusal) {
		return err
	}

	named := refusal.With("service", item.Service.ID)
	named.Message = item.Service.Name + ": " + named.Message

	if named.Field == "expectedCurrent" {
		named.Field = "expected"
	}

	return named
}

// promotionSet draws up what differs.
func (e *Engine) promotionSet(ctx context.Context, client *db.Client, in PromoteEnvironment) (*PromotionSet, error) {
	from, err := catalog.FindEnvironment(ctx, client, "from", in.From)
	if err != nil {
		return nil, err
	}

	to, err := catalog.FindEnvironment(ctx, client, "to", in.To)
	if err != nil {
		return nil, err
	}

	switch {
	case from.ID == to.ID:
		return nil, fault.Invalid("to", "want another environment than %s", from.Name)
	case from.ArchivedAt != nil:
		return nil, fault.New(fault.Conflict, "environment %s is archived", from.Name).At("from")
	case to.ArchivedAt != nil:
		return nil, fault.New(fault.Conflict, "environment %s is archived", to.Name).At("to")
	}

	where := placement.And(placement.EnvironmentID(from.ID), placement.RecordedVersionIDNotNil(), placement.HasServiceWith(service.ArchivedAtIsNil()))

	if len(in.Services) > 0 {
		ids := make([]string, len(in.Services))

		for i, ref := range in.Services {
			row, err := catalog.FindService(ctx, client, fmt.Sprintf("services[%d]", i), ref)
			if err != nil {
				return nil, err
			}

			ids[i] = row.ID
		}

		where = placement.And(where, store.AnyOf(placement.FieldServiceID, ids))
	}

	rows, err := client.Placement.Query().Where(where).WithService().
		WithRecorded(func(q *db.DeploymentQuery) {
			q.WithVersion(func(q *db.VersionQuery) { q.WithImages() })
		}).All(ctx)
	if err != nil {
		return nil, store.Classify(err)
	}

	there, err := client.Placement.Query().Where(placement.EnvironmentID(to.ID), placement.RecordedIDNotNil()).WithRecorded().All(ctx)
	if err != nil {
		return nil, store.Classify(err)
	}

	set := &PromotionSet{From: from, To: to, Items: differing(rows, there)}
	if len(set.Items) > maxSet {
		return nil, fault.Invalid("services", "%d services differ, and at most %d are promoted at once: name them", len(set.Items), maxSet)
	}

	for _, item := range set.Items {
		if _, item.layers, err = catalog.Effective(ctx, client, item.Service.ID, to.ID); err != nil {
			return nil, err
		}
	}

	set.Digest, err = digestOf(set)

	return set, err
}

// differing gives the services that have another version in place in the one
// environment than in the other, by name.
func differing(from, to []*db.Placement) []*PromotionItem {
	current := map[string]*db.Deployment{}
	for _, p := range to {
		current[p.ServiceID] = p.Edges.Recorded
	}

	items := []*PromotionItem{}

	for _, p := range from {
		there := current[p.ServiceID]
		if there != nil && value(there.VersionID) == *p.RecordedVersionID {
			continue
		}

		items = append(items, &PromotionItem{Service: p.Edges.Service, Version: p.Edges.Recorded.Edges.Version, Source: p.Edges.Recorded, Current: there})
	}

	slices.SortFunc(items, func(a, b *PromotionItem) int {
		return cmp.Or(cmp.Compare(a.Service.Name, b.Service.Name), cmp.Compare(a.Service.ID, b.Service.ID))
	})

	return items
}

// digestOf is the SHA-256 of all that makes a set what it is.
func digestOf(set *PromotionSet) (string, error) {
	type reviewed struct {
		Service, Version, Source, Current string
		Layers                            map[string]string
	}

	all := struct {
		From, To, Target string
		Items            []reviewed
	}{From: set.From.ID, To: set.To.ID, Target: set.To.TargetID}

	for _, item := range set.Items {
		one := reviewed{Service: item.Service.ID, Version: item.Version.ID, Source: item.Source.ID, Layers: item.layers}
		if item.Current != nil {
			one.Current = item.Current.ID
		}

		all.Items = append(all.Items, one)
	}

	raw, err := json.Marshal(all)
	if err != nil {
		return "", fmt.Errorf("digest the set: %w", err)
	}

	sum := sha256.Sum256(raw)

	return "sha256:" + hex.EncodeToString(sum[:]), nil
}
