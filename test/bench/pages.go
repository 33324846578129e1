package main

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/shiplog/shiplog/internal/logs"
	"github.com/shiplog/shiplog/internal/store"
	"github.com/shiplog/shiplog/test/bench/dataset"
)

const (
	pagedLines = 1_000_000
	pageLines  = 1_000
)

// pages reads a long log: its end, and all of it.
func pages(ctx context.Context, s *stage) (err error) {
	database, err := s.empty(ctx)
	if err != nil {
		return err
	}

	if err := filled(ctx, database, dataset.Of(1_000)); err != nil {
		return err
	}

	k, err := openKeeper(ctx, database)
	if err != nil {
		return err
	}

	deployment, byStore, storePaged, err := k.read(ctx)
	if err := errors.Join(err, k.store.Close()); err != nil {
		return err
	}

	p, err := s.serve(ctx, database, false)
	if err != nil {
		return err
	}

	defer func() { err = errors.Join(err, p.stop()) }()

	c, err := dial(p.address)
	if err != nil {
		return err
	}
	defer c.close()

	ends, err := lastPages(c, p.address, deployment)
	if err != nil {
		return err
	}

	s.add(row{
		what: "last 1,000 lines of 1,000,000, GraphQL", figures: spread(quantile(ends, 0.5), quantile(ends, 0.99)),
		beside: "the store alone p50 " + span(byStore), ratio: fmt.Sprintf("%.1f", float64(quantile(ends, 0.5))/float64(byStore)),
		goals: []goal{atMost("p50", quantile(ends, 0.5), 2*time.Millisecond)},
	})

	took, err := paged(c, p.address, deployment)
	if err != nil {
		return err
	}

	streamed, err := stream(ctx, p.address, deployment)
	if err != nil {
		return err
	}

	beside := "the store alone " + span(storePaged)

	s.add(row{
		what: "1,000,000 lines by pages of 1,000, GraphQL", figures: span(took), beside: beside,
		ratio: fmt.Sprintf("%.1f", float64(took)/float64(storePaged)), goals: []goal{atMost("", took, 3*time.Second)},
	})
	s.add(row{
		what: "1,000,000 stored lines by subscription", figures: span(streamed), beside: beside,
		ratio: fmt.Sprintf("%.1f", float64(streamed)/float64(storePaged)), goals: []goal{atMost("", streamed, 3*time.Second)},
	})

	return nil
}

// read writes the long log, and reads it without a server: the median of its
// last page, and all its pages.
func (k *keeper) read(ctx context.Context) (deployment string, last, all time.Duration, err error) {
	// The oldest has no log of its own.
	err = k.store.NewQuery("SELECT id FROM deployments ORDER BY id LIMIT 1").Rows(ctx, k.store.Read, func(rows *sql.Rows) error {
		return rows.Scan(&deployment)
	})
	if err != nil {
		return "", 0, 0, err
	}

	if err := k.fill(ctx, deployment, pagedLines); err != nil {
		return "", 0, 0, err
	}

	var ends []time.Duration

	for range 50 {
		began := time.Now()

		page, err := k.logs.Page(ctx, k.store.Read, deployment, logs.PageQuery{Last: pageLines})
		if err != nil || len(page.Lines) != pageLines {
			return "", 0, 0, errors.Join(err, fmt.Errorf("%d lines", len(page.Lines)))
		}

		ends = append(ends, time.Since(began))
	}

	began := time.Now()

	for after, more := int64(0), true; more; {
		page, err := k.logs.Page(ctx, k.store.Read, deployment, logs.PageQuery{After: &after, First: pageLines})
		if err != nil {
			return "", 0, 0, err
		}

		after, more = page.Lines[len(page.Lines)-1].Seq, page.HasNext
	}

	return deployment, median(ends), time.Since(began), nil
}

// fill appends so many lines.
func (k *keeper) fill(ctx context.Context, deployment string, lines int) error {
	const together = 50

	for done := 0; done < lines; {
		err := k.store.WithTx(ctx, func(ctx context.Context, tx *store.Tx) error {
			for i := done; i < min(lines, done+together*perChunk); i += perChunk {
				if _, err := k.logs.AppendTx(ctx, tx, deployment, logs.Batch{Lines: k.batch(i / perChunk)[:min(perChunk, lines-i)]}); err != nil {
					return err
				}
			}

			return nil
		})
		if err != nil {
			return err
		}

		done += together * perChunk
	}

	return nil
}

const pageDocument = `query ($d: ID!, $first: Int, $after: Cursor, $last: Int) {
	deployment(id: $d) { logs(first: $first, after: $after, last: $last) { nodes { text } pageInfo { endCursor } } } }`

// text is how a line's text begins in an answer.
var text = []byte(`{"text":"`)

// lastPages asks for the last page, many times.
func lastPages(c *conn, address, deployment string) ([]time.Duration, error) {
	request := finished(address, "/graphql", pageDocument, object{"d": deployment, "last": pageLines})

	var took []time.Duration

	for range 101 {
		began := time.Now()

		body, err := c.do(request)
		if err != nil {
			return nil, err
		}

		took = append(took, time.Since(began))

		if n := bytes.Count(body, text); n != pageLines {
			return nil, fmt.Errorf("%d lines: %.300s", n, body)
		}
	}

	took = took[1:]
	slices.Sort(took)

	return took, nil
}

// paged reads the whole log by pages.
func paged(c *conn, address, deployment string) (time.Duration, error) {
	var (
		began     = time.Now()
		variables = object{"d": deployment, "first": pageLines}
		endCursor = []byte(`"endCursor":"`)
	)

	for lines := 0; lines < pagedLines; {
		body, err := c.do(finished(address, "/graphql", pageDocument, variables))
		if err != nil {
			return 0, err
		}

		lines += bytes.Count(body, text)

		_, rest, found := bytes.Cut(body, endCursor)
		if !found {
			return 0, fmt.Errorf("no more after %d lines: %.300s", lines, body)
		}

		cursor, _, _ := bytes.Cut(rest, []byte(`"`))
		variables["after"] = string(cursor)
	}

	return time.Since(began), nil
}

// stream reads the whole log by a subscription that does not wait for more.
func stream(ctx context.Context, address, deployment string) (time.Duration, error) {
	began := time.Now()

	v, err := newViewer(ctx, address, `subscription ($d: ID!) { deploymentLogs(deployment: $d, follow: false) { lines { text } cursor } }`, object{"d": deployment})
	if err != nil {
		return 0, err
	}
	defer v.socket.Close()

	if err := v.conn.SetReadDeadline(began.Add(patience)); err != nil {
		return 0, err
	}

	for lines := 0; lines < pagedLines; {
		_, body, err := v.frame()
		if err != nil {
			return 0, fmt.Errorf("after %d lines: %w", lines, err)
		}

		lines += bytes.Count(body, text)
	}

	return time.Since(began), nil
}
