package limit

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// q1 is where a version runs: environments, cluster, since when, by whom.
func (h *Handler) q1(ctx context.Context, r *Request) ([]byte, error) {
	b := append(text(append(make([]byte, 0, 4<<10), `{"data":{"version":{`...), "name", r.Variables.V), `,"placements":[`...)
	n := 0

	err := each(ctx, h.where, []any{r.Variables.S, r.Variables.V}, func(rows *sql.Rows) error {
		var (
			environment, cluster, actor string
			since                       time.Time
		)

		if err := rows.Scan(&environment, &cluster, &since, &actor); err != nil {
			return err
		}

		if n++; n > 1 {
			b = append(b, ',')
		}

		b = append(text(append(b, `{"environment":{`...), "name", environment), `,"target":{`...)
		b = append(text(b, "connection", cluster), `}},"recorded":{`...)
		b = append(moment(b, "becameCurrentAt", since), `,"actor":{`...)
		b = append(text(b, "display", actor), `}}}`...)

		return nil
	})

	return append(b, `]}}}`...), err
}

// q2 is the matrix of 50 services and all environments.
func (h *Handler) q2(ctx context.Context, r *Request) ([]byte, error) {
	b := append(make([]byte, 0, 128<<10), `{"data":{"matrix":{"environments":[`...)
	place := map[string]int{}

	err := each(ctx, h.columns, nil, func(rows *sql.Rows) error {
		var id, name string
		if err := rows.Scan(&id, &name); err != nil {
			return err
		}

		if len(place) > 0 {
			b = append(b, ',')
		}

		place[id] = len(place)
		b = append(text(append(b, '{'), "name", name), '}')

		return nil
	})
	if err != nil {
		return nil, err
	}

	type cell struct {
		version string
		since   time.Time
	}

	row, last, named := make([]cell, len(place)), "", ""
	b = append(b, `],"rows":[`...)
	write := func() {
		b = append(text(append(b, `{"service":{`...), "name", named), `},"placements":[`...)

		for i, c := range row {
			if i > 0 {
				b = append(b, ',')
			}

			if c.version == "" {
				b = append(b, "null"...)

				continue
			}

			b = append(text(append(b, `{"recorded":{"version":{`...), "name", c.version), `},`...)
			b = append(moment(b, "becameCurrentAt", c.since), `}}`...)
		}

		b = append(b, `]}`...)
		clear(row)
	}

	err = each(ctx, h.matrix, []any{r.Variables.O}, func(rows *sql.Rows) error {
		var (
			service, name, environment string
			c                          cell
		)

		if err := rows.Scan(&service, &name, &environment, &c.version, &c.since); err != nil {
			return err
		}

		if service != last {
			if last != "" {
				write()

				b = append(b, ',')
			}

			last, named = service, name
		}

		row[place[environment]] = c

		return nil
	})

	if last != "" {
		write()
	}

	return append(b, `]}}}`...), err
}

// stop is an environment of a journey, with its lists as JSON.
type stop struct {
	name                string
	rank                int
	deployments, checks []byte
}

// q3 is the journey of a version: where it was deployed and checked.
func (h *Handler) q3(ctx context.Context, r *Request) ([]byte, error) {
	var stops []*stop

	args := []any{r.Variables.S, r.Variables.V}

	// Both lists come by rank: the second is merged into the first.
	err := each(ctx, h.deployed, args, func(rows *sql.Rows) error {
		var (
			s             stop
			actor, status string
			at            time.Time
		)

		if err := rows.Scan(&s.name, &s.rank, &actor, &status, &at); err != nil {
			return err
		}

		if len(stops) == 0 || stops[len(stops)-1].name != s.name {
			stops = append(stops, &s)
		}

		of := stops[len(stops)-1]
		if len(of.deployments) > 0 {
			of.deployments = append(of.deployments, ',')
		}

		of.deployments = append(text(append(of.deployments, `{"actor":{`...), "display", actor), `},`...)
		of.deployments = append(text(of.deployments, "status", status), ',')
		of.deployments = append(moment(of.deployments, "occurredAt", at), '}')

		return nil
	})
	if err != nil {
		return nil, err
	}

	i := 0

	err = each(ctx, h.checked, args, func(rows *sql.Rows) error {
		var (
			s            stop
			name, result string
			at           time.Time
		)

		if err := rows.Scan(&s.name, &s.rank, &name, &result, &at); err != nil {
			return err
		}

		for i < len(stops) && stops[i].name != s.name {
			i++
		}

		if i == len(stops) {
			return fmt.Errorf("a check without a deployment in %s", s.name)
		}

		of := stops[i]
		if len(of.checks) > 0 {
			of.checks = append(of.checks, ',')
		}

		of.checks = append(text(append(of.checks, '{'), "name", name), ',')
		of.checks = append(text(of.checks, "result", result), ',')
		of.checks = append(moment(of.checks, "createdAt", at), '}')

		return nil
	})

	b := append(text(append(make([]byte, 0, 8<<10), `{"data":{"version":{`...), "name", r.Variables.V), `,"journey":[`...)

	for i, s := range stops {
		if i > 0 {
			b = append(b, ',')
		}

		b = append(text(append(b, `{"environment":{`...), "name", s.name), `,"rank":`...)
		b = append(strconv.AppendInt(b, int64(s.rank), 10), `},"deployments":[`...)
		b = append(append(b, s.deployments...), `],"checks":[`...)
		b = append(append(b, s.checks...), `]}`...)
	}

	return append(b, `]}}}`...), err
}

// q4 is a page of a service's deployments, newest first.
func (h *Handler) q4(ctx context.Context, r *Request) ([]byte, error) {
	after, id := time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), "~"

	if moment, last, ok := strings.Cut(r.Variables.A, "/"); ok {
		var err error
		if after, err = time.Parse(time.RFC3339, moment); err != nil {
			return nil, err
		}

		id = last
	}

	b := append(make([]byte, 0, 16<<10), `{"data":{"service":{"deployments":{"nodes":[`...)
	n, last := 0, ""

	err := each(ctx, h.list, []any{r.Variables.S, after, id}, func(rows *sql.Rows) error {
		if n++; n > 50 {
			return nil
		}

		var (
			version, environment, actor, status string
			at                                  time.Time
		)

		if err := rows.Scan(&id, &version, &environment, &actor, &status, &at); err != nil {
			return err
		}

		if n > 1 {
			b = append(b, ',')
		}

		b = append(text(append(b, '{'), "id", id), `,"version":{`...)
		b = append(text(b, "name", version), `},"environment":{`...)
		b = append(text(b, "name", environment), `},"actor":{`...)
		b = append(text(b, "display", actor), `},`...)
		b = append(text(b, "status", status), ',')
		b = append(moment(b, "occurredAt", at), '}')
		last = at.UTC().Format(time.RFC3339Nano) + "/" + id

		return nil
	})

	b = append(text(append(b, `],"pageInfo":{`...), "endCursor", last), `,"hasNextPage":`...)

	return append(strconv.AppendBool(b, n > 50), `}}}}}`...), err
}
