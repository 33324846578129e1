package catalog

import (
	"context"
	"fmt"
	"strings"

	"github.com/shiplog/shiplog/ent/db"
	"github.com/shiplog/shiplog/ent/db/check"
	"github.com/shiplog/shiplog/internal/access"
	"github.com/shiplog/shiplog/internal/fault"
	"github.com/shiplog/shiplog/internal/id"
	"github.com/shiplog/shiplog/internal/spec"
	"github.com/shiplog/shiplog/internal/store"
)

const (
	maxCheckName = 100
	maxSummary   = 4 << 10
)

// ReportCheck is the input of reportCheck.
type ReportCheck struct {
	Service        string
	Version        string
	Environment    *string
	Name           string
	Result         check.Result
	URL            *string
	Summary        *string
	IdempotencyKey *string `json:"-"`
}

// ReportCheckResult is the payload of reportCheck.
type ReportCheckResult struct{ Check *db.Check }

// ReportCheck stores the result of a check. Errors: NOT_FOUND.
func (c *Catalog) ReportCheck(ctx context.Context, in ReportCheck) (*ReportCheckResult, error) {
	err := first(
		spec.ValidateLine("name", in.Name, maxCheckName),
		optional(in.URL, func(s string) error { return spec.ValidateURL("url", s) }),
		optional(in.Summary, func(s string) error { return spec.ValidateText("summary", s, maxSummary) }),
	)
	if err != nil {
		return nil, err
	}

	if strings.TrimSpace(in.Name) == "" {
		return nil, fault.Invalid("name", "want a name, such as e2e")
	}

	result, _, err := once(ctx, c.store, "reportCheck", in.IdempotencyKey, in, func(ctx context.Context, tx *store.Tx) (created, error) {
		row, err := reportCheck(ctx, tx, in)
		if err != nil {
			return created{}, err
		}

		return created{row.ID}, nil
	})
	if err != nil {
		return nil, err
	}

	row, err := c.store.Read.Check.Get(ctx, result.ID)

	return &ReportCheckResult{row}, store.Classify(err)
}

func reportCheck(ctx context.Context, tx *store.Tx, in ReportCheck) (*db.Check, error) {
	service, err := FindService(ctx, tx.Client, "service", in.Service)
	if err != nil {
		return nil, err
	}

	version, err := FindVersion(ctx, tx.Client, "version", service, in.Version)
	if err != nil {
		return nil, err
	}

	caller, err := access.From(ctx)
	if err != nil {
		return nil, err
	}

	checkID, err := id.New(id.Check)
	if err != nil {
		return nil, err
	}

	create := tx.Check.Create().SetID(checkID).SetVersionID(version.ID).SetName(in.Name).SetResult(in.Result).
		SetNillableURL(text(in.URL)).SetNillableSummary(text(in.Summary)).SetCreatedAt(store.Now()).
		SetActorKind(check.ActorKind(caller.Actor.Kind)).SetActorIssuer(caller.Actor.Issuer).
		SetActorSubject(caller.Actor.Subject).SetActorDisplay(caller.Actor.Display)

	where := ""

	if value(in.Environment) != "" {
		environment, err := FindEnvironment(ctx, tx.Client, "environment", *in.Environment)
		if err != nil {
			return nil, err
		}

		create.SetEnvironmentID(environment.ID)

		where = " in " + environment.Name
	}

	row, err := create.Save(ctx)
	if err != nil {
		return nil, err
	}

	_, err = record(ctx, tx, "check.reported", row.ID, service.ID,
		fmt.Sprintf("check %s of %s %s%s: %s", row.Name, service.Name, version.Name, where, row.Result), row)

	return row, err
}
