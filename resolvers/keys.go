package resolvers

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/shiplog/shiplog/ent/db"
	"github.com/shiplog/shiplog/internal/catalog"
	"github.com/shiplog/shiplog/internal/deployment"
)

// Some look-ups have arguments: their keys are an id and the argument.

func keyWith(id, argument string) string { return id + "|" + argument }

func (r *Resolver) byArgument(keys []string, each func(argument string, ids []string) error) error {
	groups := map[string][]string{}

	for _, key := range keys {
		id, argument, _ := strings.Cut(key, "|")
		groups[argument] = append(groups[argument], id)
	}

	for argument, ids := range groups {
		if err := each(argument, ids); err != nil {
			return err
		}
	}

	return nil
}

// atKey is a moment as an argument; "" is now.
func atKey(at *time.Time) string {
	if at == nil {
		return ""
	}

	return strconv.FormatInt(at.UnixMicro(), 10)
}

// placementsByKey loads the placements of services, by service and moment.
func (r *Resolver) placementsByKey(ctx context.Context, keys []string) (map[string][]*deployment.Placement, error) {
	found := make(map[string][]*deployment.Placement, len(keys))

	return found, r.byArgument(keys, func(argument string, services []string) error {
		var at *time.Time

		if argument != "" {
			micro, err := strconv.ParseInt(argument, 10, 64)
			if err != nil {
				return err
			}

			at = new(time.UnixMicro(micro).UTC())
		}

		rows, err := r.Engine.PlacementsOf(ctx, services, at)
		if err != nil {
			return err
		}

		for _, service := range services {
			found[keyWith(service, argument)] = []*deployment.Placement{}
		}

		for _, p := range rows {
			key := keyWith(p.ServiceID, argument)
			found[key] = append(found[key], p)
		}

		return nil
	})
}

// checksByKey loads the checks of versions, by version and environment.
func (r *Resolver) checksByKey(ctx context.Context, keys []string) (map[string][]*db.Check, error) {
	found := make(map[string][]*db.Check, len(keys))

	return found, r.byArgument(keys, func(environment string, versions []string) error {
		rows, err := catalog.Checks(ctx, r.Store.Read, versions, environment)
		if err != nil {
			return err
		}

		for _, version := range versions {
			found[keyWith(version, environment)] = []*db.Check{}
		}

		for _, c := range rows {
			key := keyWith(c.VersionID, environment)
			found[key] = append(found[key], c)
		}

		return nil
	})
}
