package logs_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/shiplog/shiplog/internal/logs"
	"github.com/shiplog/shiplog/internal/store"
	"github.com/shiplog/shiplog/internal/store/storetest"
)

// perChunk 200-byte lines are 64 KiB.
const perChunk = 320

func benchLines(n int) []logs.Line {
	r := rand.New(rand.NewPCG(1, 2))
	words := strings.Fields("GET POST /cart /checkout /product/OLJCESPC7Z status=200 status=404 user= session= took= ms upstream=10.0.0.1 trace= retry cache hit miss INFO WARN")
	all := make([]logs.Line, n)

	for i := range all {
		var b strings.Builder
		for b.Len() < 180 {
			fmt.Fprintf(&b, "%s %x ", words[r.IntN(len(words))], r.Uint32N(1<<20))
		}

		all[i] = line(int64(i))
		all[i].Text = (b.String() + strings.Repeat(".", 200))[:200]
	}

	return all
}

func each(b *testing.B, bench func(b *testing.B, s *store.Store)) {
	for _, dialect := range []string{"sqlite", "postgres"} {
		b.Run(dialect, func(b *testing.B) { bench(b, storetest.Open(b, dialect)) })
	}
}

func perLine(b *testing.B, n int) {
	b.ReportMetric(float64(b.N)*float64(n)/b.Elapsed().Seconds(), "lines/s")
}

// BenchmarkChunkInsert is the limit: the same bytes compressed into rows of
// the same table, one a transaction, and nothing else.
func BenchmarkChunkInsert(b *testing.B) {
	each(b, func(b *testing.B, s *store.Store) {
		enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest))
		if err != nil {
			b.Fatal(err)
		}

		all := benchLines(100 * perChunk)
		d := deploymentID(b)
		query := "INSERT INTO log_chunks (deployment_id, first_seq, last_seq, first_time, last_time, raw_bytes, data) VALUES ($1, $2, $3, $4, $5, $6, $7)"
		seq := int64(0)

		b.ResetTimer()

		for i := range b.N {
			var raw []byte
			for _, l := range all[i%100*perChunk:][:perChunk] {
				raw = append(append(raw, l.Text...), '\n')
			}

			data := enc.EncodeAll(raw, nil)

			tx, err := s.Writer().Begin()
			if err != nil {
				b.Fatal(err)
			}

			if _, err := tx.Exec(query, d, seq+1, seq+perChunk, start, start, len(raw), data); err != nil {
				b.Fatal(err)
			}

			if err := tx.Commit(); err != nil {
				b.Fatal(err)
			}

			seq += perChunk
		}

		perLine(b, perChunk)
	})
}

// BenchmarkAppend appends through a writer, two batches on their way.
func BenchmarkAppend(b *testing.B) {
	each(b, func(b *testing.B, s *store.Store) {
		l, d := open(b, s, logs.Config{Limit: 1 << 40}), deploymentID(b)
		w := l.NewWriter()
		all := benchLines(100 * perChunk)

		var before *logs.Pending

		b.ResetTimer()

		for i := range int64(b.N) {
			p, err := w.Submit(b.Context(), d, logs.Batch{
				Lines: all[i%100*perChunk:][:perChunk], Advances: []logs.Advance{{Source: "a", From: i, To: i + 1}},
			})
			if err != nil {
				b.Fatal(err)
			}

			if before != nil {
				if _, err := before.Wait(b.Context()); err != nil {
					b.Fatal(err)
				}
			}

			before = p
		}

		w.Close()
		perLine(b, perChunk)
	})
}

// BenchmarkAppendOneLine is the latency of a line that comes alone.
func BenchmarkAppendOneLine(b *testing.B) {
	each(b, func(b *testing.B, s *store.Store) {
		l, d := open(b, s, logs.Config{}), deploymentID(b)
		w := l.NewWriter()
		all := benchLines(1)

		for b.Loop() {
			if _, err := w.Append(b.Context(), d, logs.Batch{Lines: all}); err != nil {
				b.Fatal(err)
			}
		}

		w.Close()
	})
}

func fill(b *testing.B, s *store.Store, l *logs.Logs, d string, n int) {
	b.Helper()

	all := benchLines(100 * perChunk)

	err := s.WithTx(b.Context(), func(ctx context.Context, tx *store.Tx) error {
		for i := 0; i < n; i += perChunk {
			from := i % len(all)
			if _, err := l.AppendTx(ctx, tx, d, logs.Batch{Lines: all[from : from+min(perChunk, n-i)]}); err != nil {
				return err
			}
		}

		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
}

func BenchmarkLastThousand(b *testing.B) {
	each(b, func(b *testing.B, s *store.Store) {
		l, d := open(b, s, logs.Config{Limit: 1 << 40}), deploymentID(b)
		fill(b, s, l, d, 100_000)

		for b.Loop() {
			page, err := l.Page(b.Context(), s.Read, d, logs.PageQuery{Last: 1000})
			if err != nil || len(page.Lines) != 1000 {
				b.Fatal(len(page.Lines), err)
			}
		}
	})
}

// BenchmarkPageMillion reads 1,000,000 lines by pages of 1,000.
func BenchmarkPageMillion(b *testing.B) {
	each(b, func(b *testing.B, s *store.Store) {
		l, d := open(b, s, logs.Config{Limit: 1 << 40}), deploymentID(b)
		fill(b, s, l, d, 1_000_000)

		for b.Loop() {
			n := 0

			for after := int64(0); ; {
				page, err := l.Page(b.Context(), s.Read, d, logs.PageQuery{After: &after, First: 1000})
				if err != nil {
					b.Fatal(err)
				}

				n += len(page.Lines)

				if !page.HasNext {
					break
				}

				after = page.Lines[len(page.Lines)-1].Seq
			}

			if n != 1_000_000 {
				b.Fatal(n)
			}
		}

		perLine(b, 1_000_000)
	})
}

// BenchmarkFollowers gives what one line costs each of n readers of a tail.
func BenchmarkFollowers(b *testing.B) {
	for _, n := range []int{1, 100, 1000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			s := storetest.Open(b, "sqlite")
			l, d := open(b, s, logs.Config{Limit: 1 << 40}), deploymentID(b)
			all := benchLines(100)
			done := make(chan error, n)

			for range n {
				go func() {
					got := 0

					r, err := l.Follow(b.Context(), d, 0, logs.Options{Follow: true})
					for err == nil && got < 100*b.N {
						var part logs.Part

						part, err = r.Next(b.Context())
						got += len(part.Lines)
					}

					if r != nil {
						r.Close()
					}
					done <- err
				}()
			}

			began := time.Now()

			for range b.N {
				if _, err := l.Append(b.Context(), d, logs.Batch{Lines: all}); err != nil {
					b.Fatal(err)
				}
			}

			for range n {
				if err := <-done; err != nil {
					b.Fatal(err)
				}
			}

			b.ReportMetric(float64(b.N)*100*float64(n)/time.Since(began).Seconds(), "delivered/s")
		})
	}
}
