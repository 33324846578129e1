package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/shiplog/shiplog/test/bench/dataset"
)

// bodies is how many different requests of a query there are.
const bodies = 400

// query is one of the portal's hot reads.
type query struct {
	name, what, document string
	// limit is the limit's path.
	limit string
	// goal is the floor of the throughput's ratio to the limit, and the
	// ceiling of the CPU's.
	goal, cpuGoal float64
	// variables of request i.
	variables func(z dataset.Size, r *rand.Rand, i int) object
	// deep: the page after row 900 of the list.
	deep bool
}

type object = map[string]any

const list = `query D($s:ID!,$a:Cursor){service(name:$s){deployments(first:50,after:$a){nodes{id version{name} environment{name} actor{display} status occurredAt} pageInfo{endCursor hasNextPage}}}}`

func queries() []query {
	service := func(z dataset.Size, r *rand.Rand, _ int) object {
		return object{"s": z.Service(1 + r.IntN(z.Services))}
	}
	running := func(z dataset.Size, r *rand.Rand, _ int) object {
		s := 1 + r.IntN(z.Services)

		return object{"s": z.Service(s), "v": z.Running(s, 1+r.IntN(z.Environments))}
	}

	return []query{
		{
			name: "Q1", what: "where is a version", limit: "/q1", goal: 0.5, cpuGoal: 2, variables: running,
			document: `query W($s:ID!,$v:ID!){version(service:$s,name:$v){name placements{environment{name target{connection}} recorded{becameCurrentAt actor{display}}}}}`,
		},
		{
			name: "Q2", what: "matrix of 50 × 20", limit: "/q2", goal: 0.4, cpuGoal: 2.5,
			variables: func(z dataset.Size, _ *rand.Rand, i int) object { return object{"o": z.Owner(1 + i%z.Teams()*50)} },
			document:  `query M($o:String!){matrix(owner:$o,first:50){environments{name} rows{service{name} placements{recorded{version{name} becameCurrentAt}}}}}`,
		},
		{
			name: "Q3", what: "journey of a version", limit: "/q3", goal: 0.5, cpuGoal: 2,
			variables: func(z dataset.Size, r *rand.Rand, _ int) object {
				s := 1 + r.IntN(z.Services)

				return object{"s": z.Service(s), "v": z.Deployed(s, 1+r.IntN(z.Environments), z.Deployments/2)}
			},
			document: `query J($s:ID!,$v:ID!){version(service:$s,name:$v){name journey{environment{name rank} deployments{actor{display} status occurredAt} checks{name result createdAt}}}}`,
		},
		{name: "Q4", what: "last 50 deployments", limit: "/q4", goal: 0.6, cpuGoal: 1.8, variables: service, document: list},
		{name: "Q4 deep", what: "the same at row 900", limit: "/q4", goal: 0.6, cpuGoal: 1.8, variables: service, document: list, deep: true},
	}
}

// prepared is a query with its finished requests.
type prepared struct {
	query

	ours, limits [][]byte
}

// prepare makes the requests, of all queries when none is named, and checks
// that server and limit answer every one of them with the same values.
func prepare(ctx context.Context, z dataset.Size, server, limit string, only []string) ([]*prepared, error) {
	all, err := requests(ctx, z, server, limit, only)
	if err != nil {
		return nil, err
	}

	us, err := dial(server)
	if err != nil {
		return nil, err
	}
	defer us.close()

	them, err := dial(limit)
	if err != nil {
		return nil, err
	}
	defer them.close()

	for _, p := range all {
		checked := map[string]bool{}

		for i, ours := range p.ours {
			if err := ctx.Err(); err != nil {
				return nil, err
			}

			if checked[string(ours)] {
				continue
			}

			checked[string(ours)] = true

			if err := same(us, them, ours, p.limits[i]); err != nil {
				return nil, fmt.Errorf("%s: %w:\n%s", p.name, err, ours)
			}
		}
	}

	return all, nil
}

// requests makes the requests, of all queries when none is named.
func requests(ctx context.Context, z dataset.Size, server, limit string, only []string) ([]*prepared, error) {
	us, err := dial(server)
	if err != nil {
		return nil, err
	}
	defer us.close()

	var all []*prepared

	for _, q := range queries() {
		if len(only) > 0 && !slices.Contains(only, q.name) {
			continue
		}

		p, r := &prepared{query: q}, rand.New(rand.NewPCG(42, 1))

		for i := range bodies {
			if err := ctx.Err(); err != nil {
				return nil, err
			}

			variables := q.variables(z, r, i)
			other := maps.Clone(variables)

			if q.deep {
				if variables["a"], other["a"], err = rowAt(us, server, z, variables["s"]); err != nil {
					return nil, err
				}
			}

			p.ours = append(p.ours, finished(server, "/graphql", q.document, variables))
			p.limits = append(p.limits, finished(limit, q.limit, "", other))
		}

		all = append(all, p)
	}

	return all, nil
}

func finished(address, path, document string, variables object) []byte {
	body, _ := json.Marshal(object{"query": document, "variables": variables}) //nolint:errchkjson // maps of strings always marshal

	return request(address, path, token, body)
}

// rowAt gives the places after row 900 of a service's list, or the last from
// which a whole page follows, for the server and for the limit.
func rowAt(c *conn, address string, z dataset.Size, service any) (cursor, place string, err error) {
	const page = 50

	row := min(900, z.Environments*z.Deployments-page)

	body, err := c.do(finished(address, "/graphql",
		`query($s:ID!,$n:Int!){service(name:$s){deployments(first:$n){edges{cursor node{id occurredAt}}}}}`, object{"s": service, "n": row}))
	if err != nil {
		return "", "", err
	}

	var got struct {
		Data struct {
			Service struct {
				Deployments struct {
					Edges []struct {
						Cursor string
						Node   struct{ ID, OccurredAt string }
					}
				}
			}
		}
	}

	if err := json.Unmarshal(body, &got); err != nil {
		return "", "", err
	}

	edges := got.Data.Service.Deployments.Edges
	if len(edges) != row {
		return "", "", fmt.Errorf("%d rows of %d: %.300s", len(edges), row, body)
	}

	last := edges[row-1]

	return last.Cursor, last.Node.OccurredAt + "/" + last.Node.ID, nil
}

// same compares two answers, but for the cursors.
func same(us, them *conn, ours, limits []byte) error {
	a, err := us.do(ours)
	if err != nil {
		return err
	}

	b, err := them.do(limits)
	if err != nil {
		return fmt.Errorf("the limit: %w", err)
	}

	one, err := values(a)
	if err != nil {
		return err
	}

	two, err := values(b)
	if err != nil {
		return err
	}

	if one != two {
		return fmt.Errorf("other values than the limit:\n%.2000s\n%.2000s", one, two)
	}

	if len(one) < 100 {
		return fmt.Errorf("next to nothing: %s", one)
	}

	return nil
}

// values is the data of an answer without its cursors.
func values(body []byte) (string, error) {
	var answer struct {
		Data   json.RawMessage
		Errors json.RawMessage
	}

	if err := json.Unmarshal(body, &answer); err != nil {
		return "", fmt.Errorf("%w: %.300s", err, body)
	}

	if len(answer.Errors) > 0 {
		return "", fmt.Errorf("refused: %.500s", answer.Errors)
	}

	head, rest, found := strings.Cut(string(answer.Data), `"endCursor":"`)
	if !found {
		return head, nil
	}

	_, tail, _ := strings.Cut(rest, `"`)

	return head + tail, nil
}
