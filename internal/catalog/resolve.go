package catalog

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/shiplog/shiplog/ent/db"
	"github.com/shiplog/shiplog/ent/db/resolvedimage"
	"github.com/shiplog/shiplog/ent/db/version"
	"github.com/shiplog/shiplog/internal/access"
	"github.com/shiplog/shiplog/internal/journal"
	"github.com/shiplog/shiplog/internal/spec"
	"github.com/shiplog/shiplog/internal/store"
)

// resolvedVersion is the payload of version.resolved.
type resolvedVersion struct {
	Service string            `json:"service"`
	Version string            `json:"version"`
	Digests map[string]string `json:"digests"`
}

// KeepDigests stores what registries said of references that the version runs,
// each once and for good: the digest that is stored already stays, whoever is
// later takes it. It gives what is stored then.
func KeepDigests(ctx context.Context, tx *store.Tx, service *db.Service, versionID string, digests map[string]string) (map[string]string, error) {
	// One after the other: under this lock it is decided who was first.
	row, err := tx.Version.Query().Where(version.ID(versionID), tx.Lock).WithImages().Only(ctx)
	if err != nil {
		return nil, err
	}

	known, err := Digests(ctx, tx.Client, versionID)
	if err != nil {
		return nil, err
	}

	kept, fresh := map[string]string{}, map[string]string{}

	for _, reference := range slices.Sorted(maps.Keys(digests)) {
		stored, own, err := keepOwn(ctx, tx, row, reference, digests[reference])
		if err != nil {
			return nil, err
		}

		if !own {
			if stored = known[reference]; stored == "" {
				err = tx.ResolvedImage.Create().SetVersionID(versionID).SetReference(reference).SetDigest(digests[reference]).SetCreatedAt(store.Now()).Exec(ctx)
				if err != nil {
					return nil, err
				}
			}
		}

		if stored == "" {
			stored = digests[reference]
			fresh[reference] = stored
		}

		kept[reference] = stored
	}

	if len(fresh) == 0 {
		return kept, nil
	}

	said := make([]string, 0, len(fresh))
	for _, reference := range slices.Sorted(maps.Keys(fresh)) {
		said = append(said, reference+" is "+fresh[reference])
	}

	_, err = journal.Record(tx, journal.Entry{
		Type: "version.resolved", Actor: access.Engine().Actor, Source: "engine", Subject: row.ID, Service: service.ID,
		Message: fmt.Sprintf("images of version %s of %s resolved: %s", row.Name, service.Name, strings.Join(said, ", ")),
		Payload: resolvedVersion{Service: service.Name, Version: row.Name, Digests: fresh},
	})

	return kept, err
}

// keepOwn stores the digest at the version's own images of the reference. It
// gives the digest that was stored before, "" for none, and whether there is
// such an image.
func keepOwn(ctx context.Context, tx *store.Tx, row *db.Version, reference, digest string) (before string, own bool, err error) {
	for _, image := range row.Edges.Images {
		if !spec.SameImage(image.Reference, reference) {
			continue
		}

		own = true

		if image.Digest != nil {
			before = *image.Digest

			continue
		}

		if err := tx.Image.UpdateOneID(image.ID).SetDigest(digest).SetResolvedAt(store.Now()).Exec(ctx); err != nil {
			return "", true, err
		}

		image.Digest = &digest // two references may mean this image
	}

	return before, own, nil
}

// Digests gives what is stored of references that a version runs and that are
// not its own images.
func Digests(ctx context.Context, client *db.Client, versionID string) (map[string]string, error) {
	rows, err := client.ResolvedImage.Query().Where(resolvedimage.VersionID(versionID)).All(ctx)
	if err != nil {
		return nil, store.Classify(err)
	}

	digests := make(map[string]string, len(rows))
	for _, row := range rows {
		digests[row.Reference] = row.Digest
	}

	return digests, nil
}
