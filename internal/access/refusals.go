package access

import (
	"context"
	"log/slog"
	"sync"
	"time"

	entsql "entgo.io/ent/dialect/sql"

	"github.com/shiplog/shiplog/ent/db"
	"github.com/shiplog/shiplog/ent/db/refusal"
	"github.com/shiplog/shiplog/internal/fault"
	"github.com/shiplog/shiplog/internal/store"
)

// flushEvery is how long refusals are counted in memory. They are no events:
// a kill may lose the last few.
const flushEvery = 5 * time.Second

// maxCounters bounds the memory of one flush period; what is more is counted
// for the caller "others".
const maxCounters = 10_000

type refusalKey struct {
	hour                    time.Time
	caller, operation, code string
}

// Refusals is the access log: refused requests, aggregated by hour.
type Refusals struct {
	store *store.Store
	log   *slog.Logger

	mu     sync.Mutex
	counts map[refusalKey]int64
}

// NewRefusals makes the access log. Run writes it.
func NewRefusals(s *store.Store, log *slog.Logger) *Refusals {
	return &Refusals{store: s, log: log, counts: map[refusalKey]int64{}}
}

// Note counts a refusal.
func (r *Refusals) Note(ctx context.Context, operation string, code fault.Code) {
	caller := "anonymous"
	if c, err := From(ctx); err == nil {
		caller = c.Key()
	}

	key := refusalKey{hour: store.Now().Truncate(time.Hour), caller: caller, operation: operation, code: string(code)}

	r.mu.Lock()
	defer r.mu.Unlock()

	if _, known := r.counts[key]; !known && len(r.counts) >= maxCounters {
		key.caller = "others"
	}

	r.counts[key]++
}

// Run writes what was counted until ctx ends, and then once more.
func (r *Refusals) Run(ctx context.Context) {
	ticker := time.NewTicker(flushEvery)
	defer ticker.Stop()

	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushEvery)
			defer cancel()

			r.flush(last)

			return
		case <-ticker.C:
			r.flush(ctx)
		}
	}
}

func (r *Refusals) flush(ctx context.Context) {
	r.mu.Lock()
	counts := r.counts
	r.counts = map[refusalKey]int64{}
	r.mu.Unlock()

	if len(counts) == 0 {
		return
	}

	err := r.store.WithTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		for key, n := range counts {
			err := tx.Refusal.Create().SetHour(key.hour).SetCaller(key.caller).SetOperation(key.operation).SetCode(key.code).
				SetCount(n).SetLastAt(store.Now()).
				OnConflict(entsql.ConflictColumns(refusal.FieldHour, refusal.FieldCaller, refusal.FieldOperation, refusal.FieldCode)).
				Update(func(u *db.RefusalUpsert) { u.AddCount(n).UpdateLastAt() }).
				Exec(ctx)
			if err != nil {
				return err
			}
		}

		return nil
	})
	if err != nil {
		r.log.WarnContext(ctx, "the access log was not written; its counts are kept", "error", err)
		r.keep(counts)
	}
}

func (r *Refusals) keep(counts map[refusalKey]int64) {
	r.mu.Lock()
	defer r.mu.Unlock()

	for key, n := range counts {
		r.counts[key] += n
	}
}
