package catalog

import (
	"context"

	"github.com/shiplog/shiplog/ent/db"
	"github.com/shiplog/shiplog/ent/db/version"
	"github.com/shiplog/shiplog/internal/spec"
	"github.com/shiplog/shiplog/internal/store"
)

// BlockVersion is the input of blockVersion.
type BlockVersion struct {
	Service string
	Version string
	Reason  string
}

// UnblockVersion is the input of unblockVersion.
type UnblockVersion struct {
	Service string
	Version string
	Reason  *string
}

// VersionResult is the payload of blockVersion and unblockVersion.
type VersionResult struct {
	Version *db.Version
	Changed bool
}

// blocking is the payload of version.blocked and version.unblocked.
type blocking struct {
	Service string  `json:"service"`
	Version string  `json:"version"`
	Before  *string `json:"before"`
	Reason  *string `json:"reason"`
}

// BlockVersion blocks a version, or changes why it is. Errors: INVALID_INPUT,
// NOT_FOUND.
func (c *Catalog) BlockVersion(ctx context.Context, in BlockVersion) (*VersionResult, error) {
	if err := validReason(in.Reason, "want the reason for blocking it"); err != nil {
		return nil, err
	}

	return c.block(ctx, in.Service, in.Version, "version.blocked", "blocked", &in.Reason, func(before *db.Version, update *db.VersionUpdateOne) bool {
		update.SetBlockedReason(in.Reason)

		return before.BlockedReason == nil || *before.BlockedReason != in.Reason
	})
}

// UnblockVersion unblocks a version. Unblocking again changes nothing. Errors:
// NOT_FOUND.
func (c *Catalog) UnblockVersion(ctx context.Context, in UnblockVersion) (*VersionResult, error) {
	if err := optional(in.Reason, func(s string) error { return spec.ValidateText("reason", s, maxReason) }); err != nil {
		return nil, err
	}

	return c.block(ctx, in.Service, in.Version, "version.unblocked", "unblocked", text(in.Reason), func(before *db.Version, update *db.VersionUpdateOne) bool {
		update.ClearBlockedReason()

		return before.BlockedReason != nil
	})
}

// block changes whether a version is blocked; apply says whether that changes
// anything.
func (c *Catalog) block(ctx context.Context, serviceRef, versionRef, kind, what string, reason *string, apply func(*db.Version, *db.VersionUpdateOne) bool) (*VersionResult, error) {
	var result VersionResult

	return &result, c.store.WithTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		service, err := FindService(ctx, tx.Client, "service", serviceRef)
		if err != nil {
			return err
		}

		row, err := FindVersionAlone(ctx, tx.Client, "version", service, versionRef)
		if err != nil {
			return err
		}

		before, err := tx.Version.Query().Where(version.ID(row.ID), tx.Lock).Only(ctx)
		if err != nil {
			return err
		}

		result = VersionResult{Version: before}

		update := tx.Version.UpdateOneID(before.ID)
		if !apply(before, update) {
			return nil
		}

		result.Changed = true
		if result.Version, err = update.Save(ctx); err != nil {
			return err
		}

		message := "version " + before.Name + " of " + service.Name + " " + what
		if reason != nil {
			message += ": " + *reason
		}

		_, err = record(ctx, tx, kind, before.ID, service.ID, message, blocking{service.Name, before.Name, before.BlockedReason, reason})

		return err
	})
}
