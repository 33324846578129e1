package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/shiplog/shiplog/internal/id"
	"github.com/shiplog/shiplog/internal/live"
	"github.com/shiplog/shiplog/internal/logs"
	"github.com/shiplog/shiplog/internal/store"
	"github.com/shiplog/shiplog/test/bench/dataset"
)

const (
	// perChunk 200-byte lines are 64 KiB.
	perChunk = 320
	// noLimit is for logs that are longer than one may be.
	noLimit = 1 << 40
)

// ingest stores lines as the product does and as compressed chunks that are
// inserted and nothing else, in turns; and takes the output of a process.
func ingest(ctx context.Context, s *stage) error {
	chunks, rounds := either(s.options, 150, 1_000), either(s.options, 7, 11)

	k, err := s.keep(ctx)
	if err != nil {
		return err
	}

	ours, limits, err := k.inTurns(ctx, chunks, rounds)
	if err := errors.Join(err, k.store.Close()); err != nil {
		return err
	}

	var ratios []float64
	for i := range ours {
		ratios = append(ratios, ours[i]/limits[i])
	}

	s.add(row{
		what: "log lines stored, 200 bytes each", figures: count(median(ours)) + "/s", beside: "raw chunks " + count(median(limits)) + "/s",
		ratio: fmt.Sprintf("%.2f", median(ratios)), goals: []goal{atLeast("", median(ratios), 0.7)},
	})

	return s.taken(ctx, either(s.options, 200_000, 300_000))
}

// keeper is a database with the room that keeps logs.
type keeper struct {
	store *store.Store
	logs  *logs.Logs
	lines []logs.Line
}

// keep opens a fresh database.
func (s *stage) keep(ctx context.Context) (*keeper, error) {
	database, err := s.empty(ctx)
	if err != nil {
		return nil, err
	}

	if err := filled(ctx, database, dataset.Of(1_000)); err != nil {
		return nil, err
	}

	return openKeeper(ctx, database)
}

func openKeeper(ctx context.Context, database string) (*keeper, error) {
	quiet := slog.New(slog.DiscardHandler)

	st, err := store.Open(ctx, store.Config{URL: database, Logger: quiet})
	if err != nil {
		return nil, err
	}

	l, err := logs.New(st, live.New(st, quiet), logs.Config{Limit: noLimit, Logger: quiet})
	if err != nil {
		return nil, errors.Join(err, st.Close())
	}

	return &keeper{store: st, logs: l, lines: madeUp(100 * perChunk)}, nil
}

// madeUp are lines that compress about as those of services do.
func madeUp(n int) []logs.Line {
	var (
		r     = rand.New(rand.NewPCG(1, 2))
		words = strings.Fields("GET POST /cart /checkout /product/OLJCESPC7Z status=200 status=404 user= session= took= ms upstream=10.0.0.1 trace= retry cache hit miss INFO WARN")
		began = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		all   = make([]logs.Line, n)
	)

	for i := range all {
		var b strings.Builder
		for b.Len() < 180 {
			fmt.Fprintf(&b, "%s %x ", words[r.IntN(len(words))], r.Uint32N(1<<20))
		}

		all[i] = logs.Line{
			Time: began.Add(time.Duration(i) * time.Millisecond), Stream: logs.Container, Phase: logs.Rollout,
			Container: "main", Instance: "main-0", Attempt: 1, Text: (b.String() + strings.Repeat(".", 200))[:200],
		}
	}

	return all
}

// batch is the i-th chunk's worth of lines.
func (k *keeper) batch(i int) []logs.Line {
	return k.lines[i*perChunk%len(k.lines):][:perChunk]
}

// inTurns gives the lines a second of both sides by round.
func (k *keeper) inTurns(ctx context.Context, chunks, rounds int) (ours, limits []float64, err error) {
	perSecond := func(what func(context.Context, int) error) (float64, error) {
		began := time.Now()
		err := what(ctx, chunks)

		return float64(chunks*perChunk) / time.Since(began).Seconds(), err
	}

	for round := range rounds + 1 {
		turns := []func() error{
			func() error {
				n, err := perSecond(k.append)
				ours = append(ours, n)

				return err
			},
			func() error {
				n, err := perSecond(k.insert)
				limits = append(limits, n)

				return err
			},
		}

		if round%2 == 1 {
			slices.Reverse(turns)
		}

		for _, turn := range turns {
			if err := turn(); err != nil {
				return nil, nil, err
			}
		}
	}

	return ours[1:], limits[1:], nil // the first round was for warming up
}

// append appends through a writer, two batches on their way, to a new log.
func (k *keeper) append(ctx context.Context, chunks int) error {
	w := k.logs.NewWriter()
	defer w.Close()

	deployment, err := id.New(id.Deployment)
	if err != nil {
		return err
	}

	var before *logs.Pending

	for i := range int64(chunks) {
		p, err := w.Submit(ctx, deployment, logs.Batch{
			Lines: k.batch(int(i)), Advances: []logs.Advance{{Source: "a", From: i, To: i + 1}},
		})
		if err != nil {
			return err
		}

		if before != nil {
			if _, err := before.Wait(ctx); err != nil {
				return err
			}
		}

		before = p
	}

	_, err = before.Wait(ctx)

	return err
}

// insert is the limit: the same bytes compressed into rows of the same table,
// one a transaction.
func (k *keeper) insert(ctx context.Context, chunks int) error {
	const statement = "INSERT INTO log_chunks (deployment_id, first_seq, last_seq, first_time, last_time, raw_bytes, data) VALUES ($1, $2, $3, $4, $5, $6, $7)"

	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		return err
	}
	defer encoder.Close()

	deployment, err := id.New(id.Deployment)
	if err != nil {
		return err
	}

	for i := range chunks {
		lines := k.batch(i)

		var raw []byte
		for j := range lines {
			raw = append(append(raw, lines[j].Text...), '\n')
		}

		tx, err := k.store.Writer().BeginTx(ctx, nil)
		if err != nil {
			return err
		}

		_, err = tx.ExecContext(ctx, statement, deployment, i*perChunk+1, (i+1)*perChunk, lines[0].Time, lines[0].Time, len(raw), encoder.EncodeAll(raw, nil))
		if err != nil {
			return errors.Join(err, tx.Rollback())
		}

		if err := tx.Commit(); err != nil {
			return err
		}
	}

	return nil
}

// taken lets a deployed process print as fast as it is taken, and measures
// until the last line is stored.
func (s *stage) taken(ctx context.Context, lines int) (err error) {
	app, err := s.deployed(ctx)
	if err != nil {
		return err
	}

	defer func() { err = errors.Join(err, app.server.stop()) }()

	used, database := cpu(app.server.pid()), family(s.postmaster)
	began := time.Now()

	if err := produce(ctx, app.producer, lines, 0); err != nil {
		return err
	}

	for stored := 0; stored < lines; {
		answer, err := ask[struct {
			Deployment struct{ Logs struct{ TotalCount int } }
		}](ctx, app.server.address, `query ($d: ID!) { deployment(id: $d) { logs(last: 1) { totalCount } } }`, object{"d": app.deployment})
		if err != nil {
			return err
		}

		if stored = answer.Deployment.Logs.TotalCount; time.Since(began) > 2*patience {
			return fmt.Errorf("%d of %d lines are stored", stored, lines)
		}

		if err := rest(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}

	took := time.Since(began)
	spent := cpu(app.server.pid()) - used + since(database, family(s.postmaster))

	s.add(row{
		what:    "output of a process, taken and stored",
		figures: fmt.Sprintf("%s lines/s, server and database CPU %.2f µs a line", count(float64(lines)/took.Seconds()), micros(spent)/float64(lines)),
	})

	return nil
}
