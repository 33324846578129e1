package catalog

import (
	"context"
	"strings"

	"github.com/shiplog/shiplog/internal/fault"
	"github.com/shiplog/shiplog/internal/spec"
	"github.com/shiplog/shiplog/internal/store"
)

// LockEnvironment is the input of lockEnvironment.
type LockEnvironment struct {
	Environment string
	Reason      string
}

// validReason wants a reason that says something.
func validReason(reason, want string) error {
	if strings.TrimSpace(reason) == "" {
		return fault.Invalid("reason", "%s", want)
	}

	return spec.ValidateText("reason", reason, maxReason)
}

// LockEnvironment locks an environment, or changes why it is. Errors:
// INVALID_INPUT, NOT_FOUND; CONFLICT when it is archived.
func (c *Catalog) LockEnvironment(ctx context.Context, in LockEnvironment) (*EnvironmentResult, error) {
	if err := validReason(in.Reason, "want the reason for locking it"); err != nil {
		return nil, err
	}

	var result EnvironmentResult

	return &result, c.store.WithTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		before, err := lockedEnvironment(ctx, tx, in.Environment)
		if err != nil {
			return err
		}

		if before.ArchivedAt != nil {
			return fault.New(fault.Conflict, "environment %s is archived", before.Name).At("environment")
		}

		result = EnvironmentResult{Environment: before}
		if before.LockedReason != nil && *before.LockedReason == in.Reason {
			return nil
		}

		result.Changed = true
		if result.Environment, err = tx.Environment.UpdateOneID(before.ID).SetLockedReason(in.Reason).Save(ctx); err != nil {
			return err
		}

		_, err = record(ctx, tx, "environment.locked", before.ID, "", "environment "+before.Name+" locked: "+in.Reason, change{before, result.Environment})

		return err
	})
}

// UnlockEnvironment is the input of unlockEnvironment.
type UnlockEnvironment struct {
	Environment string
	Reason      *string
}

// unlocked is the payload of environment.unlocked.
type unlocked struct {
	Locked string  `json:"locked"`
	Reason *string `json:"reason"`
}

// UnlockEnvironment unlocks an environment and lets its rules go on. Unlocking
// again changes nothing. Errors: NOT_FOUND.
func (c *Catalog) UnlockEnvironment(ctx context.Context, in UnlockEnvironment) (*EnvironmentResult, error) {
	if err := optional(in.Reason, func(s string) error { return spec.ValidateText("reason", s, maxReason) }); err != nil {
		return nil, err
	}

	var result EnvironmentResult

	return &result, c.store.WithTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		before, err := lockedEnvironment(ctx, tx, in.Environment)
		if err != nil {
			return err
		}

		result = EnvironmentResult{Environment: before}
		if before.LockedReason == nil {
			return nil
		}

		result.Changed = true
		if result.Environment, err = tx.Environment.UpdateOneID(before.ID).ClearLockedReason().Save(ctx); err != nil {
			return err
		}

		_, err = record(ctx, tx, "environment.unlocked", before.ID, "", "environment "+before.Name+" unlocked", unlocked{*before.LockedReason, in.Reason})
		if err != nil {
			return err
		}

		return c.decider.Unlocked(ctx, tx, before.ID)
	})
}
